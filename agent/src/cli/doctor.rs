//! `freehold-agent doctor`

use std::time::Duration;

use clap::Args;
use freehold_protocol::{dsse::Envelope, report::HostFacts};
use serde::Serialize;

use super::{
    CliError,
    certificates::{self, Standing},
    output,
    status::NO_POLLER,
};
use crate::{
    config::Config,
    executor::build,
    exit::Exit,
    identity::{self, IdentityError, Paths},
    journal::{Journal, JournalError, Missing},
    poller::{address, portal::Portal},
    socket::{CallError, Client, ErrorCode},
    turn,
};

/// Least version of docker compose: `up --wait` and the JSON forms that we read.
const LEAST_COMPOSE: (u32, u32) = (2, 20);
/// A clock that is off by more is told.
const SKEW_WARN: Duration = Duration::from_secs(30);

/// Checks everything the agent needs and says what to do about what is wrong.
#[derive(Debug, Args)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

#[derive(Debug, Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, Verdict::Ok, what, "");
    }
    fn warn(&mut self, check: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Verdict::Warn, what, remedy);
    }
    fn fail(&mut self, check: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Verdict::Fail, what, remedy);
    }
    fn add(
        &mut self,
        check: &'static str,
        verdict: Verdict,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.0.push(Check { check, verdict, what: what.into(), remedy: remedy.into() });
    }
}

impl Doctor {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let mut checks = Checks::default();
        checks.ok("configuration", "every key is known and in range");
        check_account(config, &mut checks);
        check_keys(config, &mut checks);
        check_journal(config, &mut checks);
        check_portal(config, &mut checks);
        check_executor(config, &mut checks);
        let facts = build::facts(config, turn::host_clock().now())?;
        check_host(config, &facts, &mut checks);
        check_certificates(config, &mut checks);
        let failed = checks.0.iter().any(|check| check.verdict == Verdict::Fail);
        if self.json {
            output::json(&checks.0);
        } else {
            output::out(&render(&checks.0));
        }
        Ok(if failed { Exit::Failed } else { Exit::Ok })
    }
}

fn render(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        };
        text.push_str(&format!("{verdict}  {:<14} {}\n", check.check, check.what));
        if !check.remedy.is_empty() {
            text.push_str(&format!("{:21}to do: {}\n", "", check.remedy));
        }
    }
    text
}

fn check_account(config: &Config, checks: &mut Checks) {
    if config.poller_user.is_empty() {
        checks.warn(
            "account",
            "the poller has no account of its own",
            "for anything but development set poller_user = \"freehold-agent\"",
        );
    } else if identity::account(&config.poller_user).is_some() {
        checks.ok("account", format!("{} exists", config.poller_user));
    } else {
        checks.fail(
            "account",
            format!("the account {} does not exist", config.poller_user),
            "install the package freehold-agent again, or run `systemd-sysusers`",
        );
    }
}

fn check_keys(config: &Config, checks: &mut Checks) {
    let paths = Paths::of(config);
    let mut bad: Option<IdentityError> = None;
    for path in [&paths.identity, &paths.report] {
        bad = bad.or(identity::read_signing_key(path).err());
    }
    bad = bad.or(identity::read_seal_key(&paths.seal).err());
    match bad {
        None => checks.ok("keys", "three keys, readable by their owners only"),
        Some(error) => checks.fail("keys", super::chain_of(&error), error.hint()),
    }
}

fn check_journal(config: &Config, checks: &mut Checks) {
    let opened = Journal::open(&config.journal_path(), Missing::Refuse);
    let enrollment = opened.and_then(|journal| journal.enrollment());
    match enrollment {
        Err(JournalError::Missing { path }) => checks.fail(
            "journal",
            format!("there is none at {}", path.display()),
            "enroll this host: `freehold-agent enroll`",
        ),
        Err(error) => {
            checks.fail("journal", super::chain_of(&error), error.to_failure().advice);
        }
        Ok(None) => checks.fail(
            "journal",
            "whole, and this host is not enrolled",
            "enroll it: `freehold-agent enroll`",
        ),
        Ok(Some(enrollment)) => {
            checks.ok(
                "journal",
                format!("whole; enrolled as {}, signatures hold", enrollment.receipt.host_name),
            );
            let expires = enrollment.trust.document().exp;
            if enrollment.trust.is_expired(turn::host_clock().now()) {
                checks.warn(
                    "trust",
                    format!("the portal's trust document expired {}", output::time(expires)),
                    "ask an admin to renew it at the portal; it comes with the next poll",
                );
            } else {
                checks.ok("trust", format!("valid until {}", output::time(expires)));
            }
        }
    }
}

fn check_portal(config: &Config, checks: &mut Checks) {
    let file = match identity::read_portal(&Paths::of(config).portal) {
        Ok(file) => file,
        Err(error) => return checks.fail("portal", super::chain_of(&error), error.hint()),
    };
    let address = match address::parse(&file.url) {
        Ok(address) => address,
        Err(error) => {
            return checks.fail("portal", format!("{error}"), "enroll anew with a corrected token");
        }
    };
    let asked = Portal::new(&config.portal, address)
        .and_then(|portal| portal.get::<Vec<Envelope>>("/api/v1/trust"));
    match asked {
        Ok(_) => checks.ok("portal", format!("{} answers", file.url)),
        Err(error) => checks.fail("portal", super::chain_of(&error), error.hint()),
    }
}

fn check_executor(config: &Config, checks: &mut Checks) {
    let view = match Client::new(&config.socket).status() {
        Ok(view) => view,
        Err(CallError::Refused { code: ErrorCode::NotEnrolled, .. }) => {
            return checks.warn(
                "executor",
                "it runs, and waits for the enrollment",
                "enroll this host",
            );
        }
        Err(error) => {
            return checks.fail(
                "executor",
                super::chain_of(&error),
                "start it: `systemctl start freehold-executor.socket freehold-agent`; see `journalctl -u freehold-executor`",
            );
        }
    };
    checks.ok("executor", format!("version {}, {} jobs in hand", view.version, view.running.len()));
    let contact = &view.contact;
    let ago = contact.last_answer_ms_ago.map(output::age);
    let failed = view.failed_poll.as_ref().filter(|failed| !failed.over);
    let remedy = match (failed, &contact.refusal) {
        (Some(_), _) => "see `polls` below",
        (None, Some(_)) => "see `answers` below",
        (None, None) => NO_POLLER,
    };
    match (ago, contact.frozen) {
        (Some(ago), false) => checks.ok("contact", format!("last valid answer {ago} ago")),
        (Some(ago), true) => {
            checks.fail("contact", format!("FREEZE: no valid signed answer for {ago}"), remedy);
        }
        (None, true) => {
            checks.fail("contact", "FREEZE: no valid answer since the executor started", remedy)
        }
        (None, false) => checks.warn("contact", "no valid answer yet", "wait a minute"),
    }
    if let Some(failed) = failed {
        let lasting = output::age(failed.since_ms_ago);
        let what = format!("{} for {lasting}: {}", failed.fault.as_str(), failed.what);
        checks.fail("polls", what, &failed.remedy);
    }
    if let Some(refusal) = &contact.refusal {
        checks.fail("answers", refusal.clone(), "see docs/agent.md, \"last answer refused\"");
    }
    if contact.conflict {
        checks.fail(
            "conflict",
            "the portal's record of this host ends before the host's own",
            "have an admin resume the host at the portal",
        );
    }
    match contact.skew_ms {
        Some(skew) if u128::from(skew.unsigned_abs()) > SKEW_WARN.as_millis() => checks.warn(
            "clock",
            format!("{} off the portal's", output::age(skew.unsigned_abs())),
            "`timedatectl set-ntp true`; certificates depend on the clock",
        ),
        Some(_) => checks.ok("clock", "as the portal's"),
        None => {}
    }
    for job in view.jobs.iter().filter(|job| job.state == "stuck") {
        let failure = job.failure.as_ref();
        checks.fail(
            "stuck job",
            format!("{}: {}", job.job_id, failure.map_or("", |failure| &failure.what)),
            failure.map_or_else(String::new, |failure| failure.advice.clone()),
        );
    }
    if view.set_aside > 0 {
        checks.warn(
            "outbox",
            format!("{} reports were refused by the portal for good", view.set_aside),
            "see the portal's log; `freehold-agent journal JOB` still has them",
        );
    }
}

fn check_host(config: &Config, facts: &HostFacts, checks: &mut Checks) {
    for tool in ["docker", "compose", "nginx", "certbot"] {
        if let Some(version) = facts.tools.get(tool) {
            if tool == "compose" && version_of(version).is_some_and(|found| found < LEAST_COMPOSE) {
                checks.fail(
                    "compose",
                    format!("version {version} is too old"),
                    format!(
                        "install docker compose {}.{} or newer",
                        LEAST_COMPOSE.0, LEAST_COMPOSE.1
                    ),
                );
            } else {
                checks.ok(tool, version.clone());
            }
        }
    }
    for problem in &facts.problems {
        checks.fail("host", problem.what.clone(), problem.advice.clone());
    }
    check_include(config, checks);
    let limits = &config.thresholds;
    for (check, total, free, most) in [
        ("memory", facts.memory_total_mib, facts.memory_available_mib, limits.memory_percent),
        ("disk", facts.disk_total_mib, facts.disk_available_mib, limits.disk_percent),
    ] {
        let used = total.saturating_sub(free) * 100 / total.max(1);
        let what = format!("{free} of {total} MiB free");
        if used > u64::from(most) {
            let remedy = "free some, or move a tenant: deploys are refused as it is";
            checks.warn(check, what, remedy);
        } else {
            checks.ok(check, what);
        }
    }
}

fn check_certificates(config: &Config, checks: &mut Checks) {
    // Its own trouble is told by `check_journal`.
    let Ok(journal) = Journal::open(&config.journal_path(), Missing::Refuse) else { return };
    let rows = match certificates::look(config, &journal) {
        Ok(rows) => rows,
        Err(error) => {
            return checks.fail("certificates", super::chain_of(&error), error.to_failure().advice);
        }
    };
    let now = turn::host_clock().now();
    for row in rows {
        match row.standing(now) {
            Standing::Well => checks.ok("certificate", row.sentence(now)),
            Standing::Soon => checks.warn("certificate", row.sentence(now), row.remedy()),
            Standing::Bad => checks.fail("certificate", row.sentence(now), row.remedy()),
        }
        if let Some(former) = &row.former {
            checks.warn("certificate", certificates::told(former), &former.failure.advice);
        }
    }
}

/// Whether nginx reads the folder of tenant sites.
fn check_include(config: &Config, checks: &mut Checks) {
    let folder = &config.nginx.include_dir;
    if !folder.is_dir() {
        return checks.fail(
            "include",
            format!("{} does not exist", folder.display()),
            "run `freehold-agent install-nginx`",
        );
    }
    let wanted = format!("include {}/*.conf", folder.display());
    let mut places = vec!["/etc/nginx/nginx.conf".into(), "/etc/nginx/conf.d/freehold.conf".into()];
    // `-c FILE` and `-cFILE` name another main file.
    places.extend(config.nginx.args.iter().map(|arg| {
        std::path::PathBuf::from(
            arg.strip_prefix("-c").filter(|rest| !rest.is_empty()).unwrap_or(arg),
        )
    }));
    let found = places
        .iter()
        .any(|place| std::fs::read_to_string(place).is_ok_and(|text| text.contains(&wanted)));
    if found {
        checks.ok("include", format!("nginx includes {}/*.conf", folder.display()));
    } else {
        checks.warn(
            "include",
            format!("no line `{wanted};` was found in nginx's configuration"),
            "run `freehold-agent install-nginx`, or add the line to the http block",
        );
    }
}

/// Major and minor number of a version such as `v2.20.3` or `2.26.1-desktop`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (text, old) in [
            ("v2.9.1", true),
            ("2.19.0", true),
            ("2.20.0", false),
            ("v2.26.1-desktop", false),
            ("5.0", false),
        ] {
            assert_eq!(version_of(text).unwrap() < LEAST_COMPOSE, old, "{text}");
        }
        assert_eq!(version_of("dev"), None);
    }

    #[test]
    fn each_failure_has_its_remedy() {
        let mut checks = Checks::default();
        checks.ok("a", "well");
        checks.fail("b", "broken", "mend it");
        assert_eq!(
            render(&checks.0),
            "ok    a              well\nFAIL  b              broken\n                     to do: mend it\n"
        );
    }
}
