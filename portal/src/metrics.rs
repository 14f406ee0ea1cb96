//! The portal's figures in the Prometheus text format (version 0.0.4), and its readiness.
//!
//! Written by hand: a few gauges and counters need no registry. Label sets are bounded; no tenant
//! or host name is ever a label.

use std::{fmt::Write as _, sync::atomic::Ordering};

use freehold_protocol::time::Timestamp;

use crate::{
    context::Portal,
    db,
    domain::{job::JobState, presence},
    error::AppError,
    http::{server::ServerStats, tally::Tally},
};

/// The content type of [`page`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Hosts that are counted; a fleet beyond it needs another way to be counted.
const MAX_HOSTS: usize = 100_000;

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP freehold_{name} {help}"));
        self.line(format_args!("# TYPE freehold_{name} {kind}"));
    }
    fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        self.line(format_args!("freehold_{name}{labels} {value}"));
    }
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.value(name, "", value);
    }
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("writing to a String cannot fail");
        self.0.push('\n');
    }
}

/// Renders the page of `/metrics`.
///
/// # Errors
/// When the database cannot be read.
pub fn page(portal: &Portal, stats: &ServerStats, tally: &Tally) -> Result<String, AppError> {
    let (states, hosts, oldest, over) = portal.db.read(|read| {
        let states = db::jobs::count_by_state(read)?;
        let mut hosts = [0u64; presence::Presence::ALL.len()];
        for host in db::hosts::page(read, "", MAX_HOSTS)? {
            let (seen, expected) = match host.agent_id {
                Some(agent) => {
                    let agent = db::agents::get(read, agent)?;
                    (agent.last_seen_at, agent.expected_at)
                }
                None => (None, None),
            };
            hosts[presence::presence(seen, expected, read.now()) as usize] += 1;
        }
        Ok((states, hosts, db::jobs::oldest_queued(read)?, db::tenant_disk::count_over(read)?))
    })?;
    let mut page = Page(String::with_capacity(4096));
    page.family("jobs", "gauge", "Jobs by state.");
    for state in JobState::ALL {
        let count = states.iter().find(|(known, _)| known == state).map_or(0, |(_, count)| *count);
        page.value("jobs", &format!("{{state=\"{state}\"}}"), count);
    }
    let age = oldest.map_or(0, |at: Timestamp| portal.db.now().millis_since(at).max(0) / 1000);
    page.one(
        "oldest_queued_job_seconds",
        "gauge",
        "Age of the oldest job that waits for its host.",
        age,
    );
    page.family("hosts", "gauge", "Hosts by presence of their agent.");
    for (presence, count) in presence::Presence::ALL.iter().zip(hosts) {
        page.value("hosts", &format!("{{presence=\"{presence}\"}}"), count);
    }
    page.one(
        "tenants_over_disk",
        "gauge",
        "Tenants that have more on the disk than their plans give.",
        over,
    );
    page.one(
        "polls_parked",
        "gauge",
        "Agents' polls that wait for a job.",
        portal.waiting_room.waiting(),
    );
    page.one("http_connections", "gauge", "Open connections.", stats.open_connections());
    page.one(
        "http_requests_in_flight",
        "gauge",
        "Requests in hand, parked polls included.",
        stats.requests_in_flight(),
    );
    page.one(
        "http_requests_total",
        "counter",
        "Requests answered or in hand.",
        stats.requests_total(),
    );
    page.one(
        "http_rejected_total",
        "counter",
        "Connections refused because the portal was full.",
        stats.rejected_total(),
    );
    page.one(
        "http_refused_total",
        "counter",
        "Requests refused by the HTTP layer.",
        stats.refused_requests_total(),
    );
    page.one(
        "http_timeouts_total",
        "counter",
        "Connections cut at a deadline.",
        stats.timeouts_total(),
    );
    page.one(
        "http_panics_total",
        "counter",
        "Requests that ended in a defect of the portal.",
        stats.panics_total(),
    );
    answers(&mut page, tally);
    page.family("license_checks_total", "counter", "Questions about licenses answered, by code.");
    for (code, count) in portal.licensing.answered() {
        page.value("license_checks_total", &format!("{{code=\"{code}\"}}"), count);
    }
    ingest(&mut page, portal);
    let (licenses, keys) = portal.licensing.snapshot().size();
    page.one("licenses", "gauge", "Licenses that validation knows.", licenses);
    page.one("tenant_keys", "gauge", "API keys of tenants that validation knows.", keys);
    page.one(
        "database_writable",
        "gauge",
        "1 while the database can be written.",
        u8::from(portal.db.fatal().is_none()),
    );
    let expires = portal.keys.current().trust().document().exp.as_secs();
    page.one(
        "trust_expires_timestamp_seconds",
        "gauge",
        "When the trust document expires.",
        expires,
    );
    Ok(page.0)
}

/// What was answered, and how long that took. A held poll counts with the time that it was held.
fn answers(page: &mut Page, tally: &Tally) {
    page.family("http_answers_total", "counter", "Requests answered, by route and status.");
    for row in tally.asked() {
        let (method, route) = (row.method, row.route);
        for (status, count) in tally.answers(row) {
            let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
            page.value("http_answers_total", &labels, count);
        }
    }
    page.family("http_answer_seconds", "histogram", "How long answers take, by route.");
    for row in tally.asked() {
        let labels = format!("method=\"{}\",route=\"{}\"", row.method, row.route);
        for (bound, count) in row.buckets() {
            page.value(
                "http_answer_seconds_bucket",
                &format!("{{{labels},le=\"{bound}\"}}"),
                count,
            );
        }
        let count = row.count();
        page.value("http_answer_seconds_bucket", &format!("{{{labels},le=\"+Inf\"}}"), count);
        page.value("http_answer_seconds_sum", &format!("{{{labels}}}"), row.seconds());
        page.value("http_answer_seconds_count", &format!("{{{labels}}}"), count);
    }
}

/// What tenants' apps send, and how long commits of both databases take.
fn ingest(page: &mut Page, portal: &Portal) {
    let (stats, db) = (&portal.ingest.stats, portal.ingest.db());
    page.family(
        "ingest_items_total",
        "counter",
        "Lines, values and reports of apps that were kept.",
    );
    for (sort, items, _) in stats.taken() {
        page.value("ingest_items_total", &format!("{{kind=\"{}\"}}", sort.as_str()), items);
    }
    page.family("ingest_bytes_total", "counter", "Bytes of kept batches, unpacked.");
    for (sort, _, bytes) in stats.taken() {
        page.value("ingest_bytes_total", &format!("{{kind=\"{}\"}}", sort.as_str()), bytes);
    }
    page.family("ingest_refused_total", "counter", "Lines and values of apps that were refused.");
    for (reason, count) in stats.refusals() {
        page.value("ingest_refused_total", &format!("{{reason=\"{}\"}}", reason.as_str()), count);
    }
    page.one(
        "ingest_batches_repeated_total",
        "counter",
        "Batches that were there already.",
        stats.repeated.load(Ordering::Relaxed),
    );
    page.one(
        "ingest_over_quota_total",
        "counter",
        "Batches refused because of a tenant's quota.",
        stats.over_quota.load(Ordering::Relaxed),
    );
    page.one(
        "ingest_writable",
        "gauge",
        "1 while logs and usage can be taken.",
        u8::from(portal.ingest.check_writable().is_ok()),
    );
    if let Ok(size) = db.read(db::ingest::retention::size) {
        page.one(
            "ingest_database_bytes",
            "gauge",
            "Size of the database of logs and usage.",
            size.file,
        );
        page.one(
            "ingest_database_free_bytes",
            "gauge",
            "Bytes of it that hold nothing.",
            size.free,
        );
    }
    page.family("database_commit_seconds", "histogram", "How long commits take.");
    for (name, commits) in [("portal", portal.db.commits()), ("ingest", db.commits())] {
        let (count, sum) = commits.total();
        for (bound, count) in commits.buckets() {
            let labels = format!("{{database=\"{name}\",le=\"{bound}\"}}");
            page.value("database_commit_seconds_bucket", &labels, count);
        }
        page.value(
            "database_commit_seconds_bucket",
            &format!("{{database=\"{name}\",le=\"+Inf\"}}"),
            count,
        );
        let labels = format!("{{database=\"{name}\"}}");
        page.value("database_commit_seconds_sum", &labels, sum);
        page.value("database_commit_seconds_count", &labels, count);
    }
}

/// Whether the portal can do its work: its database answers and can be written.
///
/// # Errors
/// What is wrong, as the answer of `/readyz`.
pub fn ready(portal: &Portal) -> Result<(), AppError> {
    if portal.db.fatal().is_some() {
        return Err(db::storage_failed());
    }
    // A write, not a read: a full disk lets reads through.
    portal.db.write(db::meta::touch)
}
