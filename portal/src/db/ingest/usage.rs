//! Usage, added up per day as it comes.

use freehold_protocol::time::Timestamp;
use rusqlite::params;

use super::{IngestRead, IngestTx, TenantNumber};
use crate::{domain::ingest::MetricKind, error::AppError};

/// A value that comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct NewValue {
    /// Of which metric.
    pub metric: String,
    /// What the metric's values mean.
    pub kind: MetricKind,
    /// The value.
    pub value: f64,
    /// When it was read.
    pub at: Timestamp,
}

/// One metric on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct DayRow {
    /// Days since 1970-01-01.
    pub day: i64,
    /// The metric.
    pub metric: String,
    /// `counter` or `gauge`.
    pub kind: String,
    /// How many values came.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The latest.
    pub last: f64,
    /// When that was read.
    pub last_at: Timestamp,
}

/// Whether a tenant has this metric on a day already.
///
/// # Errors
/// When the database fails.
pub fn has(
    tx: &IngestTx<'_>,
    tenant: TenantNumber,
    day: i64,
    metric: &str,
) -> Result<bool, AppError> {
    Ok(tx
        .sql()
        .prepare_cached(
            "SELECT 1 FROM usage_days WHERE tenant_id = ?1 AND day = ?2 AND metric = ?3",
        )?
        .exists(params![tenant, day, metric])?)
}

/// How many metrics a tenant has on a day.
///
/// # Errors
/// When the database fails.
pub fn count(tx: &IngestTx<'_>, tenant: TenantNumber, day: i64) -> Result<u64, AppError> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT count(*) FROM usage_days WHERE tenant_id = ?1 AND day = ?2")?
        .query_row(params![tenant, day], |row| row.get(0))?)
}

/// Adds a value to its day.
///
/// # Errors
/// When the database fails.
pub fn add(
    tx: &IngestTx<'_>,
    tenant: TenantNumber,
    day: i64,
    new: &NewValue,
) -> Result<(), AppError> {
    let (kind, at) = (new.kind.as_str(), new.at.as_millis());
    tx.sql()
        .prepare_cached(
            "INSERT INTO usage_days (tenant_id, day, metric, kind, count, sum, min, max, last, last_at)
             VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, ?5, ?5, ?6)
             ON CONFLICT (tenant_id, day, metric, kind) DO UPDATE SET
                count = count + 1, sum = sum + excluded.sum,
                min = min(min, excluded.min), max = max(max, excluded.max),
                last = CASE WHEN excluded.last_at >= last_at THEN excluded.last ELSE last END,
                last_at = max(last_at, excluded.last_at)",
        )?
        .execute(params![tenant, day, new.metric, kind, new.value, at])?;
    Ok(())
}

/// Days by day, metric and kind, after a place.
///
/// # Errors
/// When the database fails.
pub fn days(
    read: &IngestRead<'_>,
    tenant: TenantNumber,
    (from, to): (i64, i64),
    metric: Option<&str>,
    after: (i64, &str, &str),
    limit: u32,
) -> Result<Vec<DayRow>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT day, metric, kind, count, sum, min, max, last, last_at FROM usage_days
          WHERE tenant_id = ?1 AND day BETWEEN ?2 AND ?3 AND (?4 IS NULL OR metric = ?4)
            AND (day, metric, kind) > (?5, ?6, ?7)
          ORDER BY day, metric, kind LIMIT ?8",
    )?;
    let (day, name, kind) = after;
    let rows =
        statement.query_map(params![tenant, from, to, metric, day, name, kind, limit], |row| {
            Ok(DayRow {
                day: row.get(0)?,
                metric: row.get(1)?,
                kind: row.get(2)?,
                count: row.get(3)?,
                sum: row.get(4)?,
                min: row.get(5)?,
                max: row.get(6)?,
                last: row.get(7)?,
                last_at: Timestamp::from_millis(row.get(8)?),
            })
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
