//! Sagas on disk: the plan first, then every record, each durable before the next act.

use freehold_protocol::ids::{JobId, TenantId};
use freehold_protocol::job::JobKind;
use freehold_protocol::time::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Journal, JournalError, from_json, parse, to_json};
use crate::plan::Plan;
use crate::saga::state::{Record, Status};

/// Most records that one saga may have: a loop that never ends is stopped here.
const MAX_RECORDS: i64 = 10_000;

/// The number of a saga on this host; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SagaId(i64);

impl SagaId {
    /// Stands where a step looks without belonging to a saga; no saga has this number.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn get(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for SagaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A saga's row without its plan and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaRow {
    /// Its number.
    pub id: SagaId,
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: u32,
    /// The job's kind.
    pub kind: JobKind,
    /// The tenant that it changes, if it changes one.
    pub tenant: Option<TenantId>,
    /// The spelling of its status: `running`, `unwinding`, `done`, `rolled_back`, `stuck`.
    pub status: String,
    /// Digest of the plan.
    pub plan_digest: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it came to rest.
    pub ended_at: Option<Timestamp>,
}

/// A saga with everything that was written about it.
#[derive(Debug, Clone)]
pub struct StoredSaga {
    /// The row.
    pub row: SagaRow,
    /// The plan.
    pub plan: Plan,
    /// The records, each with its time, in order.
    pub records: Vec<(Timestamp, Record)>,
}

/// What came of an attempt to begin a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is new.
    New(SagaId),
    /// This attempt of this job has begun before.
    Known(SagaId),
    /// Another job of the tenant is open; it must end first.
    Busy(SagaRow),
}

const COLUMNS: &str = "seq, job, attempt, kind, tenant, status, plan_digest, started_at, ended_at";

type RawRow = (i64, String, u32, String, Option<String>, String, String, i64, Option<i64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<RawRow> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
        row.get(8)?,
    ))
}

fn saga_row(raw: RawRow) -> Result<SagaRow, JournalError> {
    let (id, job, attempt, kind, tenant, status, plan_digest, started_at, ended_at) = raw;
    let what = format!("saga {id}");
    Ok(SagaRow {
        id: SagaId(id),
        job: parse(&job, &what)?,
        attempt,
        kind: parse(&kind, &what)?,
        tenant: tenant.map(|tenant| parse(&tenant, &what)).transpose()?,
        status,
        plan_digest,
        started_at: Timestamp::from_millis(started_at),
        ended_at: ended_at.map(Timestamp::from_millis),
    })
}

const fn spelling(status: &Status) -> &'static str {
    match status {
        Status::Running { .. } => "running",
        Status::Unwinding { .. } => "unwinding",
        Status::Done => "done",
        Status::RolledBack { .. } => "rolled_back",
        Status::Stuck { .. } => "stuck",
    }
}

impl Journal {
    /// Begins a saga: from here on it will be brought to rest whatever happens.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn begin_saga(&self, plan: &Plan, now: Timestamp) -> Result<Begun, JournalError> {
        let doing = "record a plan";
        let text = to_json(plan, "a plan")?;
        let digest = plan.digest().to_string();
        let tenant = plan.changed_tenant().map(|tenant| tenant.to_string());
        self.write(doing, |tx| {
            let sql = JournalError::sql;
            if let Some(row) = find(tx, plan.order.job, plan.order.attempt)? {
                return Ok(Begun::Known(row.id));
            }
            if let Some(tenant) = plan.changed_tenant()
                && let Some(row) = open_of(tx, tenant)?
            {
                return Ok(Begun::Busy(row));
            }
            tx.execute(
                "INSERT INTO sagas (job, attempt, kind, tenant, status, plan, plan_digest, started_at)
                 VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6, ?7)",
                params![
                    plan.order.job.to_string(),
                    plan.order.attempt,
                    plan.order.work.kind().as_str(),
                    tenant,
                    text,
                    digest,
                    now.as_millis()
                ],
            )
            .map_err(sql(doing))?;
            Ok(Begun::New(SagaId(tx.last_insert_rowid())))
        })
    }

    /// Appends a record. `also` joins the same transaction.
    ///
    /// # Errors
    /// When the journal cannot be written, or the number is not the next one.
    pub fn append(
        &self,
        saga: SagaId,
        n: usize,
        record: &Record,
        status: &Status,
        now: Timestamp,
        also: impl FnOnce(&Transaction<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let doing = "record a step";
        let text = to_json(record, "a step")?;
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        if n > MAX_RECORDS {
            return Err(JournalError::Unreadable {
                what: format!("saga {saga}"),
                why: format!("it has more than {MAX_RECORDS} records"),
            });
        }
        self.write(doing, |tx| {
            tx.execute(
                "INSERT INTO saga_records (saga, n, at, record) VALUES (?1, ?2, ?3, ?4)",
                params![saga.0, n, now.as_millis(), text],
            )
            .map_err(JournalError::sql(doing))?;
            let ended = status.is_at_rest().then_some(now.as_millis());
            tx.execute(
                "UPDATE sagas SET status = ?2, ended_at = ?3 WHERE seq = ?1",
                params![saga.0, spelling(status), ended],
            )
            .map_err(JournalError::sql(doing))?;
            also(tx)
        })
    }

    /// A saga with its plan and records.
    ///
    /// # Errors
    /// When there is none of this number, or it cannot be read.
    pub fn saga(&self, saga: SagaId) -> Result<StoredSaga, JournalError> {
        let doing = "read a saga";
        self.read(doing, |tx| {
            let sql = JournalError::sql;
            let (row, plan) = tx
                .query_row(
                    &format!("SELECT {COLUMNS}, plan FROM sagas WHERE seq = ?1"),
                    [saga.0],
                    |row| Ok((raw(row)?, row.get::<_, String>(9)?)),
                )
                .map_err(sql(doing))?;
            let row = saga_row(row)?;
            let plan = from_json(&plan, &format!("the plan of job {}", row.job))?;
            let mut statement = tx
                .prepare("SELECT at, record FROM saga_records WHERE saga = ?1 ORDER BY n")
                .map_err(sql(doing))?;
            let texts = statement
                .query_map([saga.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(sql(doing))?;
            let records = texts
                .iter()
                .map(|(at, text)| {
                    let record = from_json(text, &format!("job {}", row.job))?;
                    Ok((Timestamp::from_millis(*at), record))
                })
                .collect::<Result<_, JournalError>>()?;
            Ok(StoredSaga { row, plan, records })
        })
    }

    /// The saga of an attempt of a job.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn find_saga(&self, job: JobId, attempt: u32) -> Result<Option<SagaRow>, JournalError> {
        self.read("find a saga", |tx| find(tx, job, attempt))
    }

    /// The sagas that are not at rest, in the order in which they began.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn unfinished_sagas(&self) -> Result<Vec<SagaRow>, JournalError> {
        self.read("list sagas", |tx| {
            list(tx, "status IN ('running', 'unwinding') ORDER BY seq", [])
        })
    }

    /// The sagas that wait for a person.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn stuck_sagas(&self) -> Result<Vec<SagaRow>, JournalError> {
        self.read("list sagas", |tx| list(tx, "status = 'stuck' ORDER BY seq", []))
    }

    /// The latest sagas, latest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn latest_sagas(&self, limit: u32) -> Result<Vec<SagaRow>, JournalError> {
        self.read("list sagas", |tx| list(tx, "TRUE ORDER BY seq DESC LIMIT ?1", [limit]))
    }

    /// The plans of the sagas that are open and began before this one; of all open ones without
    /// one. What they will take of the host is spoken for.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn open_plans(&self, before: Option<SagaId>) -> Result<Vec<Plan>, JournalError> {
        let doing = "list plans";
        self.read(doing, |tx| {
            let mut statement = tx
                .prepare(
                    "SELECT plan FROM sagas WHERE status IN ('running', 'unwinding', 'stuck')
                     AND seq < ?1 ORDER BY seq",
                )
                .map_err(JournalError::sql(doing))?;
            let texts = statement
                .query_map([before.map_or(i64::MAX, SagaId::get)], |row| row.get::<_, String>(0))
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(JournalError::sql(doing))?;
            texts.iter().map(|text| from_json(text, "a plan")).collect()
        })
    }
}

fn list(
    tx: &Transaction<'_>,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<SagaRow>, JournalError> {
    let doing = "list sagas";
    let mut statement = tx
        .prepare(&format!("SELECT {COLUMNS} FROM sagas WHERE {condition}"))
        .map_err(JournalError::sql(doing))?;
    let rows = statement
        .query_map(parameters, raw)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(JournalError::sql(doing))?;
    rows.into_iter().map(saga_row).collect()
}

fn find(tx: &Transaction<'_>, job: JobId, attempt: u32) -> Result<Option<SagaRow>, JournalError> {
    tx.query_row(
        &format!("SELECT {COLUMNS} FROM sagas WHERE job = ?1 AND attempt = ?2"),
        params![job.to_string(), attempt],
        raw,
    )
    .optional()
    .map_err(JournalError::sql("find a saga"))?
    .map(saga_row)
    .transpose()
}

fn open_of(tx: &Transaction<'_>, tenant: TenantId) -> Result<Option<SagaRow>, JournalError> {
    tx.query_row(
        &format!(
            "SELECT {COLUMNS} FROM sagas
             WHERE tenant = ?1 AND status IN ('running', 'unwinding', 'stuck')"
        ),
        [tenant.to_string()],
        raw,
    )
    .optional()
    .map_err(JournalError::sql("find a saga"))?
    .map(saga_row)
    .transpose()
}
