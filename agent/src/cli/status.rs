//! `freehold-agent status`

use std::fmt::Write as _;

use clap::Args;
use freehold_protocol::time::Timestamp;
use serde_json::json;

use super::{CliError, certificates, open_journal, output, tenants};
use crate::{
    config::Config,
    exit::Exit,
    journal::tenants::TenantRecord,
    socket::{Client, Contact, FailedPoll, StatusView},
    turn,
};

/// A trust document that expires within this time is told, in milliseconds: 60 days.
const TRUST_WARN_MILLIS: i64 = freehold_protocol::trust::TRUST_WARN_SECS * 1000;
/// A clock that is off by more is told, in milliseconds.
const SKEW_WARN_MILLIS: i64 = 30_000;

/// What to do when the poller tells nothing.
pub(super) const NO_POLLER: &str = "is the poller at work? See `systemctl status freehold-agent` and `journalctl -u freehold-agent`";

/// Shows contact with the portal, running jobs, tenants and what waits to be told.
#[derive(Debug, Args)]
pub struct Status {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let view = Client::new(&config.socket).status()?;
        let journal = open_journal(config)?;
        let tenants = journal.tenants()?;
        let held = certificates::look(config, &journal)?;
        if self.json {
            output::json(&json!({ "status": view, "tenants": tenants, "certificates": held }));
        } else {
            output::out(&render(&view, &tenants));
            if !held.is_empty() {
                output::out(&format!(
                    "\n{}",
                    certificates::render(&held, turn::host_clock().now())
                ));
            }
        }
        Ok(Exit::Ok)
    }
}

/// The status for people.
pub(super) fn render(view: &StatusView, tenant_list: &[TenantRecord]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String does not fail.
        writeln!(text, "{name:<10} {value}").unwrap_or_default();
    };
    line("portal", format!("{} ({})", view.portal_url, view.portal));
    line("host", format!("{}, agent {}, version {}", view.host_name, view.agent_id, view.version));
    line("contact", contact(view));
    let now = turn::host_clock().now();
    if let Some(text) = polls(view.failed_poll.as_ref(), &view.contact, now) {
        line("polls", text);
    }
    if let Some(skew) = view.contact.skew_ms.filter(|skew| skew.abs() > SKEW_WARN_MILLIS) {
        line(
            "clock",
            format!(
                "{} {} the portal's; set it with `timedatectl set-ntp true`",
                output::age(skew.unsigned_abs()),
                if skew > 0 { "ahead of" } else { "behind" }
            ),
        );
    }
    line("head", format!("epoch {}, job number {}", view.head.epoch, view.head.seq));
    let mut trust =
        format!("version {}, until {}", view.trust_version, output::time(view.trust_expires));
    if let Some(now) = view.contact.portal_now {
        let left = view.trust_expires.millis_since(now);
        if left < 0 {
            trust.push_str(": EXPIRED; ask an admin to renew it");
        } else if left < TRUST_WARN_MILLIS {
            trust.push_str(": expires soon; ask an admin to renew it");
        }
    }
    line("trust", trust);
    line(
        "jobs",
        match (view.draining, view.drained_by_portal) {
            (true, _) => "drained by the operator of this host (`freehold-agent undrain`)".into(),
            (_, true) => "drained by an admin of the portal".into(),
            _ => format!("{} more would start now", view.free_workers),
        },
    );
    let mut outbox = format!("{} to be told", view.outbox);
    if view.set_aside > 0 {
        write!(outbox, ", {} refused by the portal for good", view.set_aside).unwrap_or_default();
    }
    line("outbox", outbox);
    if !view.jobs.is_empty() {
        text.push('\n');
        text.push_str(&jobs(view));
    }
    if !tenant_list.is_empty() {
        text.push('\n');
        text.push_str(&tenants::rows(tenant_list));
    }
    text
}

fn contact(view: &StatusView) -> String {
    let contact = &view.contact;
    let mut text = match contact.last_answer_ms_ago {
        None if contact.frozen => "FREEZE: no valid answer since the executor started".to_owned(),
        None => "no valid answer since the executor started".to_owned(),
        Some(ago) if contact.frozen => format!(
            "FREEZE: no valid signed answer for {}; somebody may be holding answers back",
            output::age(ago)
        ),
        Some(ago) => format!("last valid answer {} ago", output::age(ago)),
    };
    if contact.conflict {
        text.push_str("; CONFLICT: the portal's record ends before this host's, an admin must resume the host");
    }
    if let Some(refusal) = &contact.refusal {
        write!(text, "; last answer refused: {refusal}").unwrap_or_default();
    }
    text
}

/// Why no poll is answered, and what to do; none while they are, as far as is known.
fn polls(failed: Option<&FailedPoll>, contact: &Contact, now: Timestamp) -> Option<String> {
    if let Some(failed) = failed.filter(|failed| !failed.over) {
        let ago = i64::try_from(failed.since_ms_ago).unwrap_or(i64::MAX);
        return Some(format!(
            "{} since {}, last {} ago ({}): {}",
            failed.fault.as_str(),
            output::time(now.plus_millis(-ago)),
            output::age(failed.last_ms_ago),
            failed.what,
            failed.remedy
        ));
    }
    // Polls that fail are told, and answers that are not believed are shown: here is neither.
    let silent = contact.frozen && contact.refusal.is_none();
    silent.then(|| format!("none has ended of late: {NO_POLLER}"))
}

fn jobs(view: &StatusView) -> String {
    let rows: Vec<Vec<String>> = view
        .jobs
        .iter()
        .map(|job| {
            let steps = match job.steps {
                (_, 0) => job.step.clone(),
                (done, total) => format!("{} ({done}/{total})", job.step),
            };
            vec![
                job.job_id.to_string(),
                job.kind.to_string(),
                job.slug.clone().unwrap_or_default(),
                job.state.clone(),
                steps,
                format!("{} ago", output::age(job.progress_ms_ago)),
            ]
        })
        .collect();
    let mut text =
        output::table(&["JOB", "KIND", "TENANT", "STATE", "STEP", "LAST PROGRESS"], &rows);
    for job in &view.jobs {
        if let (true, Some(failure)) = (job.state == "stuck", &job.failure) {
            writeln!(text, "stuck: {}\n  {}\n  {}", job.job_id, failure.what, failure.advice)
                .unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::PollFault;

    #[test]
    fn polls_that_fail_are_told_with_since_when_and_what_to_do() {
        let now = Timestamp::from_millis(1_764_412_867_000);
        let mut contact = Contact::default();
        assert_eq!(polls(None, &contact, now), None);
        let mut failed = FailedPoll {
            fault: PollFault::Refused,
            what: "the portal answered 401: it is revoked".into(),
            remedy: "ask an admin for a new token".into(),
            since_ms_ago: 90_000,
            last_ms_ago: 7_000,
            over: false,
        };
        assert_eq!(
            polls(Some(&failed), &contact, now).unwrap(),
            "refused since 2025-11-29 10:39:37Z, last 7 s ago (the portal answered 401: it is revoked): \
             ask an admin for a new token"
        );
        for (fault, word) in
            [(PollFault::Unreachable, "unreachable"), (PollFault::Failed, "failing")]
        {
            failed.fault = fault;
            let text = polls(Some(&failed), &contact, now).unwrap();
            assert!(text.starts_with(&format!("{word} since")), "{text}");
        }
        failed.over = true;
        assert_eq!(polls(Some(&failed), &contact, now), None);

        // Nobody polls at all; an answer that was not believed is told in another line.
        contact.frozen = true;
        assert!(polls(Some(&failed), &contact, now).unwrap().contains(NO_POLLER));
        contact.refusal = Some("nonce: it is another one".into());
        assert_eq!(polls(Some(&failed), &contact, now), None);
    }
}
