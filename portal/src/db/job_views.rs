//! Jobs as admins see them, with the names of their host and tenant. The rest of the jobs' SQL is in
//! `jobs.rs`.

use freehold_protocol::{
    ids::{AgentId, HostName, JobId, Sha256Digest, TenantId, TenantSlug},
    job::JobKind,
    report::EventKind,
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, codec, jobs::JobHead, row::column};
use crate::{domain::job::JobState, error::AppError};

/// A job with the names of its host and tenant.
#[derive(Debug, Clone)]
pub struct NamedJob {
    /// The job.
    pub job: JobHead,
    /// Its host's name.
    pub host: HostName,
    /// Its tenant's short name.
    pub tenant: Option<TenantSlug>,
}

impl NamedJob {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            job: JobHead::from_row(row)?,
            host: codec::text(row, "host")?,
            tenant: codec::text_opt(row, "tenant")?,
        })
    }

    /// The statement up to its conditions.
    fn select() -> String {
        format!(
            "SELECT j.*, h.name AS host, t.slug AS tenant FROM (SELECT {} FROM jobs) j
               JOIN hosts h ON h.id = j.host_id LEFT JOIN tenants t ON t.id = j.tenant_id",
            JobHead::COLUMNS
        )
    }
}

/// Which jobs a list holds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this host.
    pub host: Option<HostName>,
    /// Only those of the tenants with this slug.
    pub tenant: Option<TenantSlug>,
    /// Only those of this kind.
    pub kind: Option<JobKind>,
    /// Only those of this very tenant.
    pub of: Option<TenantId>,
}

/// One job.
///
/// # Errors
/// When there is none.
pub fn get(read: &Read<'_>, id: JobId) -> Result<NamedJob, AppError> {
    let sql = format!("{} WHERE j.id = ?1", NamedJob::select());
    read.sql()
        .prepare_cached(&sql)?
        .query_row([id.to_string()], NamedJob::from_row)
        .optional()?
        .ok_or_else(|| AppError::not_found("job", id))
}

/// The tenant of a job; none without such a job, or when it has to do with no tenant.
///
/// # Errors
/// When the database fails.
pub fn tenant_of(read: &Read<'_>, id: JobId) -> Result<Option<TenantId>, AppError> {
    let found: Option<Option<String>> = read
        .sql()
        .prepare_cached("SELECT tenant_id FROM jobs WHERE id = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()?;
    found
        .flatten()
        .map(|text| text.parse())
        .transpose()
        .map_err(|error| AppError::bug("a job's tenant is malformed").because(error))
}

/// Up to `limit` jobs older than the one with identifier `before` (empty: from the newest), newest
/// first.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    filter: &Filter,
    before: &str,
    limit: u32,
) -> Result<Vec<NamedJob>, AppError> {
    let sql = format!(
        "{} WHERE (?1 = '' OR j.id < ?1) AND (?2 IS NULL OR j.state = ?2) AND (?3 IS NULL OR h.name = ?3)
            AND (?4 IS NULL OR t.slug = ?4) AND (?5 IS NULL OR j.kind = ?5) AND (?7 IS NULL OR j.tenant_id = ?7)
         ORDER BY j.id DESC LIMIT ?6",
        NamedJob::select()
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![
            before,
            filter.state.map(JobState::as_str),
            filter.host.as_ref().map(HostName::as_str),
            filter.tenant.as_ref().map(TenantSlug::as_str),
            filter.kind.map(JobKind::as_str),
            limit,
            filter.of.map(|id| id.to_string()),
        ],
        NamedJob::from_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// The attempt.
    pub attempt: u32,
    /// Its number within the attempt.
    pub n: u64,
    /// When, as the agent says.
    pub at: Timestamp,
    /// The step.
    pub step: String,
    /// What happened.
    pub what: EventKind,
    /// One line for people.
    pub message: String,
}

/// Up to `limit` events of a job after number `n` of `attempt`, in order.
///
/// # Errors
/// When the database fails.
pub fn events_after(
    read: &Read<'_>,
    job: JobId,
    (attempt, n): (u32, u64),
    limit: u32,
) -> Result<Vec<EventRow>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT attempt, n, at, step, what, message FROM events
         WHERE job_id = ?1 AND (attempt > ?2 OR attempt = ?2 AND n > ?3) ORDER BY attempt, n LIMIT ?4",
    )?;
    let rows =
        statement.query_map(params![job.to_string(), attempt, n.cast_signed(), limit], |row| {
            let what: String = row.get(4)?;
            // Stored bare (`step_done`); a kind of a newer agent reads as progress.
            let what = serde_json::from_value(serde_json::Value::String(what))
                .unwrap_or(EventKind::Progress);
            Ok(EventRow {
                attempt: row.get(0)?,
                n: row.get::<_, i64>(1)?.unsigned_abs(),
                at: Timestamp::from_millis(row.get(2)?),
                step: row.get(3)?,
                what,
                message: row.get(5)?,
            })
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A dispatched attempt.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "api::jobs::AttemptView describes each")]
pub struct AttemptRow {
    pub attempt: u32,
    pub agent_id: AgentId,
    pub epoch: u64,
    pub seq: u64,
    pub digest: Sha256Digest,
    pub signed_at: Timestamp,
    pub outcome: Option<String>,
    pub reported_at: Option<Timestamp>,
}

/// The attempts of a job that were signed, oldest first, each with its last report.
///
/// # Errors
/// When the database fails.
pub fn attempts(read: &Read<'_>, job: JobId) -> Result<Vec<AttemptRow>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT e.attempt, e.agent_id, e.epoch, e.seq, e.digest, e.created_at,
            (SELECT r.outcome FROM reports r WHERE r.job_id = e.job_id AND r.attempt = e.attempt
                ORDER BY r.received_at DESC LIMIT 1),
            (SELECT max(r.received_at) FROM reports r WHERE r.job_id = e.job_id AND r.attempt = e.attempt)
         FROM envelopes e WHERE e.job_id = ?1 ORDER BY e.attempt, e.epoch, e.seq",
    )?;
    let rows = statement.query_map([job.to_string()], |row| {
        Ok(AttemptRow {
            attempt: row.get(0)?,
            agent_id: column(row, 1)?,
            epoch: row.get::<_, i64>(2)?.unsigned_abs(),
            seq: row.get::<_, i64>(3)?.unsigned_abs(),
            digest: column(row, 4)?,
            signed_at: Timestamp::from_millis(row.get(5)?),
            outcome: row.get(6)?,
            reported_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_millis),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a newer job than this one has changed, or may yet change, the same tenant: one that has succeeded, is
/// stuck, is not at rest, or of which the report never came. One that was undone has left the tenant as it was.
///
/// # Errors
/// When the database fails.
pub fn is_overtaken(read: &Read<'_>, job: JobId, tenant: TenantId) -> Result<bool, AppError> {
    Ok(read.sql().query_row(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE tenant_id = ?1 AND id > ?2 AND kind <> 'check_tenant'
            AND (state IN ('queued', 'leased', 'running', 'rollback_failed', 'succeeded') OR lost_at IS NOT NULL))",
        params![tenant.to_string(), job.to_string()],
        |row| row.get(0),
    )?)
}
