//! The audit log: append-only, each row hashed together with the hash before it.

use freehold_protocol::{ids::Sha256Digest, job::AuditHead, time::Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use super::{Read, Tx, codec};
use crate::{
    domain::audit::{Hashed, REQUEST, Walk},
    error::AppError,
};

/// What happened to what.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Who did it: `token:NAME`, `agent:HOST`, `system`, `cli`.
    pub actor: &'a str,
    /// What was done, as `noun.verb` (`job.cancel`).
    pub action: &'a str,
    /// Kind of thing it was done to (`job`).
    pub object_kind: &'a str,
    /// Its identifier.
    pub object_id: &'a str,
    /// The rest, as a JSON object. Never a secret. [`append`] adds the request ([`REQUEST`]).
    pub detail: Value,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Number, from 1 without gaps.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// See [`Entry::actor`].
    pub actor: String,
    /// See [`Entry::action`].
    pub action: String,
    /// See [`Entry::object_kind`].
    pub object_kind: String,
    /// See [`Entry::object_id`].
    pub object_id: String,
    /// See [`Entry::detail`]; the exact text that was hashed.
    pub detail: String,
    /// Hash of the row before; zeros before the first.
    pub prev_hash: Sha256Digest,
    /// Hash of this row.
    pub hash: Sha256Digest,
}

impl AuditRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            n: row.get("n")?,
            at: codec::time(row, "at")?,
            actor: row.get("actor")?,
            action: row.get("action")?,
            object_kind: row.get("object_kind")?,
            object_id: row.get("object_id")?,
            detail: row.get("detail")?,
            prev_hash: codec::text(row, "prev_hash")?,
            hash: codec::text(row, "hash")?,
        })
    }

    /// What its hash covers.
    #[must_use]
    pub fn hashed(&self) -> Hashed<'_> {
        Hashed {
            n: self.n,
            at: self.at,
            actor: &self.actor,
            action: &self.action,
            object_kind: &self.object_kind,
            object_id: &self.object_id,
            detail: &self.detail,
            prev_hash: self.prev_hash,
        }
    }
}

/// Appends a row.
///
/// # Errors
/// When the database fails.
pub fn append(tx: &Tx<'_>, entry: &Entry<'_>) -> Result<(), AppError> {
    let Value::Object(mut detail) = entry.detail.clone() else {
        return Err(AppError::bug("the particulars of an audit entry are no object"));
    };
    if let Some(request) = tx.request() {
        detail.insert(REQUEST.to_owned(), request.into());
    }
    let last = head(tx)?;
    let mut row = AuditRow {
        n: last.n + 1,
        at: tx.now(),
        actor: entry.actor.to_owned(),
        action: entry.action.to_owned(),
        object_kind: entry.object_kind.to_owned(),
        object_id: entry.object_id.to_owned(),
        detail: codec::to_json(&detail)?,
        prev_hash: last.hash,
        hash: Sha256Digest::ZERO,
    };
    row.hash = row.hashed().hash();
    tx.sql()
        .prepare_cached(
            "INSERT INTO audit (n, at, actor, action, object_kind, object_id, detail, prev_hash, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            row.n,
            row.at.as_millis(),
            row.actor,
            row.action,
            row.object_kind,
            row.object_id,
            row.detail,
            row.prev_hash.to_string(),
            row.hash.to_string(),
        ])?;
    Ok(())
}

/// The last entry.
///
/// # Errors
/// When the database fails.
pub fn head(read: &Read<'_>) -> Result<AuditHead, AppError> {
    let last = read
        .sql()
        .prepare_cached("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1")?
        .query_row([], |row| Ok(AuditHead { n: row.get("n")?, hash: codec::text(row, "hash")? }))
        .optional()?;
    Ok(last.unwrap_or(AuditHead { n: 0, hash: Sha256Digest::ZERO }))
}

/// Rows with numbers above `after`, oldest first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub fn after(read: &Read<'_>, after: u64, limit: u32) -> Result<Vec<AuditRow>, AppError> {
    let rows = read
        .sql()
        .prepare_cached("SELECT * FROM audit WHERE n > ?1 ORDER BY n LIMIT ?2")?
        .query_map(params![after.min(i64::MAX as u64), limit], AuditRow::from_row)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

/// Checks the whole chain; says what is wrong with the first bad row, if any.
///
/// # Errors
/// When the database fails.
pub fn verify(read: &Read<'_>) -> Result<Option<String>, AppError> {
    let mut statement = read.sql().prepare("SELECT * FROM audit ORDER BY n")?;
    let mut walk = Walk::from_the_start();
    for row in statement.query_map([], AuditRow::from_row)? {
        let row = row?;
        if let Err(broken) = walk.take(&row.hashed(), row.hash) {
            return Ok(Some(broken.to_string()));
        }
    }
    Ok(None)
}
