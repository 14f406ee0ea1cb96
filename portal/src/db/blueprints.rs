//! Blueprints and their releases. A release never changes and is never deleted.

use freehold_protocol::{
    blueprint::Blueprint,
    ids::{BlueprintName, ReleaseId, Sha256Digest},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, Tx, row::column};
use crate::error::AppError;

/// A release without source and model.
#[derive(Debug, Clone)]
pub struct ReleaseRow {
    /// Its identifier.
    pub id: ReleaseId,
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// Its number, from 1.
    pub number: u32,
    /// Digest of the canonical model.
    pub digest: Sha256Digest,
    /// What is new in it.
    pub notes: String,
    /// Who published it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

const COLUMNS: &str = "id, blueprint, number, digest, notes, created_by, created_at";

fn of_row(row: &Row<'_>) -> rusqlite::Result<ReleaseRow> {
    Ok(ReleaseRow {
        id: column(row, 0)?,
        blueprint: column(row, 1)?,
        number: row.get(2)?,
        digest: column(row, 3)?,
        notes: row.get(4)?,
        created_by: row.get(5)?,
        created_at: Timestamp::from_millis(row.get(6)?),
    })
}

/// Adds a blueprint unless there is one of this name.
///
/// # Errors
/// When the database fails.
pub fn ensure(tx: &Tx<'_>, name: &BlueprintName, created_by: &str) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO blueprints (name, created_by, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
        params![name.as_str(), created_by, tx.now().as_millis()],
    )?;
    Ok(())
}

/// Adds a release.
///
/// # Errors
/// When the database fails.
pub fn insert_release(
    tx: &Tx<'_>,
    release: &ReleaseRow,
    source: &str,
    model_json: &str,
) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO releases (id, blueprint, number, digest, source, model, notes, created_by, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            release.id.to_string(),
            release.blueprint.as_str(),
            release.number,
            release.digest.to_string(),
            source,
            model_json,
            release.notes,
            release.created_by,
            release.created_at.as_millis(),
        ],
    )?;
    Ok(())
}

/// When a blueprint was created, if there is one of this name.
///
/// # Errors
/// When the database fails.
pub fn created_at(read: &Read<'_>, name: &BlueprintName) -> Result<Option<Timestamp>, AppError> {
    Ok(read
        .sql()
        .query_row("SELECT created_at FROM blueprints WHERE name = ?1", [name.as_str()], |row| {
            Ok(Timestamp::from_millis(row.get(0)?))
        })
        .optional()?)
}

/// Up to `limit` blueprints after the one named `after`, by name, with the time of creation.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    after: &str,
    limit: u32,
) -> Result<Vec<(BlueprintName, Timestamp)>, AppError> {
    let mut statement = read.sql().prepare_cached(
        "SELECT name, created_at FROM blueprints WHERE name > ?1 ORDER BY name LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, limit], |row| {
        Ok((column(row, 0)?, Timestamp::from_millis(row.get(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest release of a blueprint.
///
/// # Errors
/// When the database fails.
pub fn latest(read: &Read<'_>, name: &BlueprintName) -> Result<Option<ReleaseRow>, AppError> {
    let sql =
        format!("SELECT {COLUMNS} FROM releases WHERE blueprint = ?1 ORDER BY number DESC LIMIT 1");
    Ok(read.sql().query_row(&sql, [name.as_str()], of_row).optional()?)
}

/// All releases of a blueprint (at most `limit`), newest first.
///
/// # Errors
/// When the database fails.
pub fn releases(
    read: &Read<'_>,
    name: &BlueprintName,
    limit: u32,
) -> Result<Vec<ReleaseRow>, AppError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM releases WHERE blueprint = ?1 ORDER BY number DESC LIMIT ?2"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![name.as_str(), limit], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One release.
///
/// # Errors
/// When the database fails.
pub fn release(
    read: &Read<'_>,
    name: &BlueprintName,
    number: u32,
) -> Result<Option<ReleaseRow>, AppError> {
    let sql = format!("SELECT {COLUMNS} FROM releases WHERE blueprint = ?1 AND number = ?2");
    Ok(read.sql().query_row(&sql, params![name.as_str(), number], of_row).optional()?)
}

/// Source and model of one release.
///
/// # Errors
/// When there is none, or its model is not what this version writes.
pub fn content(
    read: &Read<'_>,
    name: &BlueprintName,
    number: u32,
) -> Result<(String, Blueprint), AppError> {
    let found: Option<(String, String)> = read
        .sql()
        .query_row(
            "SELECT source, model FROM releases WHERE blueprint = ?1 AND number = ?2",
            params![name.as_str(), number],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (source, model) =
        found.ok_or_else(|| AppError::not_found("release", format!("{name}:{number}")))?;
    Ok((source, serde_json::from_str(&model)?))
}

/// How many tenants that are not removed use a blueprint.
///
/// # Errors
/// When the database fails.
pub fn tenants_using(read: &Read<'_>, name: &BlueprintName) -> Result<u32, AppError> {
    Ok(read.sql().query_row(
        "SELECT count(*) FROM tenants WHERE blueprint = ?1 AND status <> 'removed'",
        [name.as_str()],
        |row| row.get(0),
    )?)
}
