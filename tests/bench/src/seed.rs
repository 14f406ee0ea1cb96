//! Fleets and histories that would take too long to make through the API, written with the portal's
//! own library code while no portal runs.

use std::{path::Path, sync::Arc};

use freehold_portal::{
    api::hosts::CreateHost as Wanted,
    app::hosts_admin::CreateHost,
    clock::SystemClock,
    config::Config,
    context::Portal,
    db::{
        Tx,
        agents::{self, AgentRow},
    },
    error::AppError,
};
use freehold_protocol::{
    ids::AgentId,
    job::{ProbeHost, Work},
    seal::SealKey,
    trust::Trust,
    wire::Head,
};
use uuid::Uuid;

use crate::agent::keys_of;

/// Hosts written in one transaction.
const BATCH: usize = 500;
const MANY_LICENSES: &str = include_str!("../../sql/many_licenses.sql");

/// What the first opening of a portal's folders brings.
#[derive(Debug)]
pub struct Seeded {
    /// The owner's token.
    pub token: String,
    /// The trust document.
    pub trust: Trust,
    /// The agents' identifiers, by number.
    pub agents: Vec<AgentId>,
}

/// The name of host number `n`.
pub fn host_name(n: usize) -> String {
    format!("h{n}")
}

/// Makes a portal's database and keys, with `count` hosts that are enrolled.
pub fn fleet(config: &Path, count: usize) -> Seeded {
    let config = Config::load(Some(config), []).expect("a portal's configuration");
    let (portal, token) = Portal::open(config, Arc::new(SystemClock)).expect("a portal's folders");
    let keys = portal.keys.current();
    let trust = keys.trust().clone();
    let mut agents = Vec::with_capacity(count);
    let seal = SealKey::from_bytes(&[9; 32]).expect("a key").public();
    for first in (0..count).step_by(BATCH) {
        let start = Head::start_of(trust.document().epoch);
        let version = trust.document().version;
        let made = portal.db.write(move |tx| {
            (first..count.min(first + BATCH))
                .map(|n| enroll(tx, n, start, version, &seal))
                .collect::<Result<Vec<_>, _>>()
        });
        agents.extend(made.expect("hosts are written"));
    }
    portal.db.close();
    let token = token.expect("a new portal").expose().to_owned();
    Seeded { token, trust, agents }
}

fn enroll(
    tx: &Tx<'_>,
    n: usize,
    head: Head,
    trust_version: u64,
    seal_key: &freehold_protocol::keys::SealPublicKey,
) -> Result<AgentId, AppError> {
    let request = Wanted {
        name: host_name(n),
        labels: std::collections::BTreeMap::new(),
        tenant_limit: None,
    };
    let host = CreateHost { request, actor: "bench".into() }.apply(tx)?;
    let (identity, report) = keys_of(n);
    let id = AgentId::from_uuid(Uuid::now_v7());
    let row = AgentRow {
        id,
        host_id: host.id,
        identity_key: identity.public().into(),
        report_key: report.public().into(),
        seal_key: *seal_key,
        version: "0.1.0".into(),
        head,
        acked: (head.epoch, head.seq),
        trust_version,
        last_seen_at: None,
        expected_at: None,
        clock_skew_ms: 0,
        draining: false,
        conflict_at: None,
        conflict_head: None,
        conflict_proof: None,
        created_at: tx.now(),
        revoked_at: None,
    };
    agents::install(tx, &row)?;
    Ok(id)
}

/// Adds `count` jobs that rest, spread over all hosts: what years of work leave.
pub fn history(database: &Path, count: u64) {
    // In SQL, because a million rows through the portal's own functions would take minutes. They end a
    // second apart, the last one a minute ago; the identifiers are smaller than every new one.
    let connection = fleet_table(database);
    connection
        .execute(
            "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?1)
             INSERT INTO jobs (id, host_id, kind, work, state, attempt, max_attempts, not_before, expires_at, expiry_secs,
                               timeout_secs, actor, agent_id, epoch, seq, created_at, updated_at, started_at, ended_at)
             SELECT printf('01000000-0000-7000-8000-%012x', n), fleet.id, 'probe_host', ?2,
                    CASE WHEN n % 20 = 0 THEN 'failed' ELSE 'succeeded' END, 1, 3, at, at + 3600000, 3600, 300, 'bench',
                    fleet.agent_id, 1, n + 1, at, at, at, at
               FROM (SELECT n, CAST(unixepoch('subsec') * 1000 AS INTEGER) - 60000 - (?1 - n) * 1000 AS at FROM number) AS past
               JOIN fleet ON fleet.place = past.n % ?3",
            rusqlite::params![count, work(), hosts(&connection)],
        )
        .expect("a history is written");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("the log is folded in");
}

/// How many jobs there are in the database of a portal that does not run.
pub fn jobs(database: &Path) -> u64 {
    let connection = rusqlite::Connection::open(database).expect("the portal's database");
    connection
        .query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))
        .expect("the jobs are counted")
}

/// Puts a running job into the hands of every host but the first `spare`, as in a busy fleet.
pub fn busy(database: &Path, spare: u64) {
    let connection = fleet_table(database);
    connection
        .execute(
            "INSERT INTO jobs (id, host_id, kind, work, state, attempt, max_attempts, not_before, expires_at, expiry_secs,
                               timeout_secs, actor, agent_id, epoch, seq, lease_until, progress_at, created_at, updated_at, started_at)
             SELECT printf('02000000-0000-7000-8000-%012x', place), id, 'probe_host', ?1, 'running', 1, 3, 0, now + 3600000, 3600, 300,
                    'bench', agent_id, 1, 1, now + 3600000, now, now, now, now
               FROM fleet, (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)
              WHERE place >= ?2",
            rusqlite::params![work(), spare],
        )
        .expect("running jobs are written");
}

/// Adds `count` licenses and as many API keys that nobody has, to a database with one of each.
pub fn licenses(database: &Path, count: u32) {
    let connection = rusqlite::Connection::open(database).expect("the portal's database");
    connection
        .execute_batch(&MANY_LICENSES.replace("$COUNT", &count.to_string()))
        .expect("licenses and keys are written");
}

fn work() -> String {
    serde_json::to_string(&Work::ProbeHost(ProbeHost {})).expect("work is JSON")
}

/// The database of a portal that does not run, with its hosts numbered in a temporary table.
fn fleet_table(database: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(database).expect("the portal's database");
    connection
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
             CREATE TEMP TABLE fleet (place INTEGER PRIMARY KEY, id TEXT, agent_id TEXT);
             INSERT INTO fleet SELECT CAST(substr(name, 2) AS INTEGER), id, agent_id FROM hosts;",
        )
        .expect("the hosts are numbered");
    connection
}

fn hosts(connection: &rusqlite::Connection) -> u64 {
    connection
        .query_row("SELECT count(*) FROM fleet", [], |row| row.get(0))
        .expect("the hosts are counted")
}
