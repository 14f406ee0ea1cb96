//! Hosts as text.

use freehold_protocol::time::Timestamp;

use crate::{
    api::hosts::{EnrollmentTokenCreated, HostView, OrphanReportView},
    cli::output::{Fields, Table, age, clean, moment},
};

/// From which difference on the host's clock is shown as wrong, in milliseconds.
const SKEW_SHOWN_MS: u64 = 60_000;

/// Many hosts.
pub(crate) fn table(hosts: &[HostView], now: Timestamp) -> Table {
    let mut table = Table::new(["NAME", "STATE", "AGENT", "SEEN", "TENANTS", "LABELS", "NOTES"]);
    for host in hosts {
        let seen = host.agent.as_ref().and_then(|agent| agent.last_seen_at);
        let tenants = match host.tenant_limit {
            Some(limit) => format!("{}/{limit}", host.tenants),
            None => host.tenants.to_string(),
        };
        let labels: Vec<_> = host.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        table.row([
            host.name.to_string(),
            state(host),
            host.agent.as_ref().map_or_else(|| "–".into(), |agent| agent.version.clone()),
            seen.map_or_else(|| "–".into(), |at| age(at, now)),
            tenants,
            labels.join(","),
            notes(host).join(", "),
        ]);
    }
    table
}

/// The one word that matters: a host that was never enrolled or is in conflict is not just offline.
fn state(host: &HostView) -> String {
    if host.state == "enrolled" { host.presence.clone() } else { host.state.clone() }
}

fn notes(host: &HostView) -> Vec<String> {
    let mut notes = Vec::new();
    if !host.orphan_reports.is_empty() {
        notes.push("reports of unknown jobs".to_owned());
    }
    if host.drained {
        notes.push("drained".to_owned());
    }
    if let Some(agent) = &host.agent {
        if agent.draining {
            notes.push("drained on the host".to_owned());
        }
        if agent.clock_skew_ms.unsigned_abs() > SKEW_SHOWN_MS {
            notes.push(format!("clock off by {} s", agent.clock_skew_ms / 1000));
        }
    }
    match host.facts.as_ref().map_or(0, |facts| facts.problems.len()) {
        0 => {}
        1 => notes.push("1 problem".to_owned()),
        more => notes.push(format!("{more} problems")),
    }
    notes
}

/// One host.
pub(crate) fn details(host: &HostView, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    let mut fields = Fields::new()
        .add("name", &host.name)
        .add("state", format!("{} ({})", host.state, host.presence))
        .add_all("notes", notes(host))
        .add_all("labels", host.labels.iter().map(|(key, value)| format!("{key}={value}")))
        .add("tenants", host.tenants)
        .add_some("limit", host.tenant_limit)
        .add("id", host.id)
        .add("created", at(host.created_at))
        .add("updated", at(host.updated_at));
    if let Some(revoked) = host.revoked_at {
        fields = fields.add(
            "revoked",
            format!("{}; enroll it anew with `freehold host token {}`", at(revoked), host.name),
        );
    }
    if let Some(agent) = &host.agent {
        fields = fields
            .add("agent", format!("{} ({})", agent.version, agent.id))
            .add("enrolled", at(agent.enrolled_at))
            .add_some("seen", agent.last_seen_at.map(at))
            .add("clock skew", format!("{} ms", agent.clock_skew_ms))
            .add("trust version", agent.trust_version)
            .add("chain", format!("epoch {} job {}", agent.head.epoch, agent.head.seq))
            .add("identity key", agent.identity_key)
            .add("report key", agent.report_key)
            .add("seal key", agent.seal_key);
    }
    if let Some(conflict) = &host.conflict {
        let head = conflict.agent_head.map_or_else(String::new, |head| {
            format!("the agent has job {} of epoch {}; ", head.seq, head.epoch)
        });
        let remedy = if conflict.proven {
            format!("look at the host, then `freehold host resume {}`", host.name)
        } else {
            "wait for the agent's proof; docs/operations.md says more".to_owned()
        };
        fields = fields.add("conflict", format!("{head}{remedy}"));
    }
    fields = fields
        .add_all("unknown jobs", host.orphan_reports.iter().map(|report| orphan(report, now)));
    if let Some(facts) = &host.facts {
        let mib = |free: u64, total: u64| format!("{free} of {total} MiB free");
        let load = format!("{}.{:02}", facts.load_percent / 100, facts.load_percent % 100);
        fields = fields
            .add("system", format!("{}, kernel {}, {}", facts.os, facts.kernel, facts.arch))
            .add("memory", mib(facts.memory_available_mib, facts.memory_total_mib))
            .add("processors", format!("{}, load {load}", facts.cpus))
            .add("disk", mib(facts.disk_available_mib, facts.disk_total_mib))
            .add_all("tools", facts.tools.iter().map(|(tool, version)| format!("{tool} {version}")))
            .add_some("looked at", host.facts_received_at.map(at))
            .add_all(
                "problems",
                facts.problems.iter().map(|p| format!("{}; {}", p.what, p.advice)),
            );
    }
    fields.render()
}

/// A report of a job that the portal does not know: it was restored from an older backup.
fn orphan(report: &OrphanReportView, now: Timestamp) -> String {
    let why =
        report.failure.as_ref().map_or_else(String::new, |failure| format!(": {}", failure.what));
    let OrphanReportView { kind, outcome, job, attempt, .. } = report;
    clean(&format!(
        "{kind} {outcome}{why}; {} (job {job}, attempt {attempt})",
        moment(report.ended_at, now)
    ))
}

/// A new enrollment token and what to do with it.
pub(crate) fn enrollment(name: &str, token: &EnrollmentTokenCreated, now: Timestamp) -> String {
    format!(
        "Enrollment token for {name}, shown this once, valid until {}:\n\n  {}\n\n\
         On the host, paste it into:\n\n  sudo freehold-agent enroll\n",
        moment(token.expires_at, now),
        clean(&token.token),
    )
}
