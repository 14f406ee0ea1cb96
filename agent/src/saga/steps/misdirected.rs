//! Whether a tenant's site answers to names that are not its own: to one that nobody has, and on
//! connections that were made for another tenant.

use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Domain;

use super::isolation::MAX_PLACES;
use super::{bug, deploy, journal};
use crate::host::names::UrlPath;
use crate::host::probe::{self, Answer, ProbeError};
use crate::journal::tenants::TenantState;
use crate::saga::context::Context;

/// Name under the tenant's domain that nobody serves.
const NOBODY: &str = "freehold-isolation-check";
/// Longest time of one request.
const REQUEST: Duration = Duration::from_secs(10);
/// Misdirected Request (RFC 9110): the answer of every site to a name that is not its own.
const MISDIRECTED: u16 = 421;

/// Checks both.
pub(super) fn check(context: &Context<'_>) -> Result<(), Failure> {
    let path: UrlPath = "/".parse().map_err(|_| bug("the root is no path"))?;
    nobody_leads_here(context, &path)?;
    no_other_tenant_leads_here(context, &path)
}

/// Over plain HTTP, a name under the tenant's that nobody serves.
fn nobody_leads_here(context: &Context<'_>, path: &UrlPath) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    let config = context.config();
    let Ok(other) = format!("{NOBODY}.{}", deploy.domain).parse::<Domain>() else { return Ok(()) };
    let mut address = config.public;
    address.set_port(config.nginx.http_port);
    match probe::public_plain(&other, path, address, REQUEST) {
        Ok(answer) if answer.location.contains(deploy.domain.as_str()) && answer.status < 400 => {
            Err(leak(format!("the site of {} answers to the name {other} too", deploy.domain)))
        }
        // Any other answer is another site's, or a refusal; no answer is fine as well.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Over HTTPS, this tenant's name on a connection that was made for another tenant that runs here.
fn no_other_tenant_leads_here(context: &Context<'_>, path: &UrlPath) -> Result<(), Failure> {
    let config = context.config();
    let Some(roots) = &config.roots else { return Ok(()) };
    let own = deploy(context)?;
    let tenants = context.journal.tenants().map_err(journal)?;
    let others = tenants
        .iter()
        .rev()
        .filter(|other| other.tenant != own.tenant && other.state == TenantState::Deployed);
    for other in others.take(MAX_PLACES) {
        let names = (&other.domain, &own.domain);
        let mut looks = context.looks(config.waits.answer);
        loop {
            let asked = probe::crossed(names, path, config.public, roots, context.now, REQUEST);
            match judge(names, asked) {
                Crossing::Refused => return Ok(()),
                // That site may be suspended, moving or going away.
                Crossing::Impossible => break,
                // nginx takes a moment to follow a reload: it may be the site as it was.
                Crossing::Open(what) => {
                    if !looks.again(context) {
                        return Err(leak(what));
                    }
                }
            }
        }
    }
    Ok(())
}

/// How a request for one name ended on a connection that was made for another.
#[derive(Debug, PartialEq, Eq)]
enum Crossing {
    /// As it must.
    Refused,
    /// There was no such connection, so that nothing is known.
    Impossible,
    /// Something answered; what is to be told.
    Open(String),
}

fn judge((other, own): (&Domain, &Domain), asked: Result<Answer, ProbeError>) -> Crossing {
    match asked {
        Ok(answer) if answer.status == MISDIRECTED => Crossing::Refused,
        Ok(answer) => Crossing::Open(format!(
            "the site of {own} answers with status {} on a connection that was made for {other}",
            answer.status
        )),
        Err(error) => {
            tracing::info!(%error, "no attempt by this name was possible");
            Crossing::Impossible
        }
    }
}

fn leak(what: String) -> Failure {
    Failure::new(
        FailureClass::Host,
        what,
        "look for a server in nginx's configuration that catches more names than its own, with `nginx -T`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_name_is_a_good_answer() {
        let (other, own) = ("bolt.test".parse().unwrap(), "acme.test".parse().unwrap());
        let answered = |status| {
            let (body, location) = (String::new(), String::new());
            judge((&other, &own), Ok(Answer { status, body, location, millis: 1, expires: None }))
        };
        assert_eq!(answered(421), Crossing::Refused);
        for status in [200, 301, 401, 404, 502] {
            let Crossing::Open(what) = answered(status) else { panic!("{status}") };
            let names = [status.to_string(), other.to_string(), own.to_string()];
            assert!(names.iter().all(|name| what.contains(name)), "{what}");
        }
        let url = format!("https://{other}/");
        let silent = ProbeError::NoAnswer { url, why: "refused".to_owned() };
        assert_eq!(judge((&other, &own), Err(silent)), Crossing::Impossible);
    }
}
