//! Whether a tenant is apart from the others: who shares its networks, whether its database can be
//! reached from outside, and whether its site answers to other names.

use std::collections::BTreeMap;
use std::time::Duration;

use freehold_protocol::blueprint::model::DatabaseKind;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Domain;
use serde_json::Value;

use super::{deploy, stack};
use crate::host::docker::{self, Container};
use crate::host::probe;
use crate::runner::{Argv, CommandError, Commands, Limits, Program};
use crate::saga::context::Context;

/// The label of the short-lived containers that try to reach a database.
const PROBE_LABEL: &str = "io.freehold.probe=isolation";
/// Longest time of one attempt, its container included.
const ATTEMPT: Duration = Duration::from_secs(60);
/// Name under the tenant's domain that nobody serves.
const NOBODY: &str = "freehold-isolation-check";

/// Checks all three.
pub(super) fn check(context: &Context<'_>, commands: &Commands<'_>) -> Result<(), Failure> {
    let project = stack::project(context)?;
    let own = docker::containers(commands, &project)?;
    networks_are_private(commands, &own)?;
    database_is_out_of_reach(context, commands, &own)?;
    site_keeps_to_its_name(context)
}

fn leak(what: String) -> Failure {
    Failure::new(
        FailureClass::Host,
        what,
        "look at the networks with `docker network inspect`; disconnect what does not belong, and deploy again",
    )
}

fn networks(container: &Container) -> BTreeMap<String, Value> {
    container
        .inspect
        .pointer("/NetworkSettings/Networks")
        .and_then(Value::as_object)
        .map(|map| map.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
        .unwrap_or_default()
}

/// No container of anybody else is on a network of the tenant.
fn networks_are_private(commands: &Commands<'_>, own: &[Container]) -> Result<(), Failure> {
    let mut shared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in own.iter().flat_map(|container| networks(container).into_keys()) {
        shared.entry(name).or_default();
    }
    for network in shared.keys() {
        let argv = Argv::new(Program::Docker)
            .words(["network", "inspect"])
            .flag("--format", "{{json .Containers}}")
            .passed_on([network]);
        let output = commands.run(&argv, Limits::QUERY).map_err(|error| {
            error.failure(
                FailureClass::Host,
                &format!("the network {network} cannot be looked at"),
                "see `docker network ls`",
            )
        })?;
        let members: Value = serde_json::from_str(output.stdout.head.trim()).unwrap_or_default();
        for id in members.as_object().into_iter().flat_map(serde_json::Map::keys) {
            if !own.iter().any(|container| container.id.as_str() == id) {
                return Err(leak(format!("the container {id} of somebody else is on {network}")));
            }
        }
    }
    Ok(())
}

/// From a container outside the tenant's networks, the database does not answer. Really tried, with
/// the database image's own client.
fn database_is_out_of_reach(
    context: &Context<'_>,
    commands: &Commands<'_>,
    own: &[Container],
) -> Result<(), Failure> {
    /// What `pg_isready` exits with when there was no answer.
    const NO_ANSWER: i32 = 2;
    let blueprint = &deploy(context)?.blueprint;
    let Some(database) = &blueprint.freehold.database else { return Ok(()) };
    let DatabaseKind::Postgres = database.kind;
    let service = database.service.as_str();
    let Some(container) = own.iter().find(|one| one.service == service && !one.one_off) else {
        return Ok(());
    };
    let Some(image) = blueprint.services.get(&database.service).map(|service| &service.image)
    else {
        return Ok(());
    };
    for (network, value) in networks(container) {
        let address = value.get("IPAddress").and_then(Value::as_str).unwrap_or_default();
        let Ok(address) = address.parse::<std::net::IpAddr>() else { continue };
        let argv = Argv::new(Program::Docker)
            .words(["run", "--rm", "--pull=never", "--network=bridge", "--entrypoint=pg_isready"])
            .words(["--memory=64m", "--pids-limit=32", "--cap-drop=ALL", "--read-only"])
            .flag("--label", PROBE_LABEL)
            .arg(image)
            .passed_on([
                format!("--host={address}"),
                "--port=5432".to_owned(),
                // Neighbours on a bridge answer within a millisecond.
                "--timeout=1".to_owned(),
            ]);
        match commands.run(&argv, Limits::within(ATTEMPT).kept()) {
            Err(error) if error.code() == Some(NO_ANSWER) => {}
            // 0 is an answer, 1 a refusal by the server itself: both mean that it was reached.
            Ok(_) => return Err(reached(&network)),
            Err(error) if error.code() == Some(1) => return Err(reached(&network)),
            Err(error @ CommandError::Cancelled { .. }) => {
                return Err(error.failure(
                    FailureClass::Host,
                    "the isolation check was stopped",
                    "",
                ));
            }
            // The image has no client, say: then the networks' membership, checked above, and the
            // comparison of each container's networks are what there is.
            Err(error) => (context.progress)(&format!(
                "no attempt to reach the database from outside was possible: {error}"
            )),
        }
    }
    Ok(())
}

fn reached(network: &str) -> Failure {
    leak(format!("the database answers to containers outside the tenant, over {network}"))
}

/// A request with another name does not lead to the tenant.
fn site_keeps_to_its_name(context: &Context<'_>) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    let config = context.config();
    let Ok(other) = format!("{NOBODY}.{}", deploy.domain).parse::<Domain>() else { return Ok(()) };
    let mut address = config.public;
    address.set_port(config.nginx.http_port);
    let path = "/".parse().map_err(|_| super::bug("the root is no path"))?;
    match probe::public_plain(&other, &path, address, Duration::from_secs(10)) {
        Ok(answer) if answer.location.contains(deploy.domain.as_str()) && answer.status < 400 => {
            Err(Failure::new(
                FailureClass::Host,
                format!("the site of {} answers to the name {other} too", deploy.domain),
                "look for a catch-all server in nginx's configuration with `nginx -T`",
            ))
        }
        // Any other answer is another site's, or a refusal; no answer is fine as well.
        Ok(_) | Err(_) => Ok(()),
    }
}
