//! Facts about the database itself: which portal and which keys it was used with.

use rusqlite::{OptionalExtension, params};

use super::{Read, Tx};
use crate::{error::AppError, keys::KnownKeys};

const PORTAL: &str = "portal_id";
const MASTER: &str = "master_key_id";
const TRUST_VERSION: &str = "trust_version";
const LEASE: &str = "lease_key_id";

fn get(read: &Read<'_>, name: &str) -> Result<Option<String>, AppError> {
    Ok(read
        .sql()
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

fn put(tx: &Tx<'_>, name: &str, value: &str) -> Result<(), AppError> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![name, value])?;
    Ok(())
}

/// The keys that the database was last used with; nothing for a new database.
///
/// # Errors
/// When the database cannot be read, or a value is not what this version writes.
pub fn known_keys(read: &Read<'_>) -> Result<KnownKeys, AppError> {
    let wrong = |what: &str| AppError::bug(format!("the database's {what} is unreadable"));
    let portal =
        get(read, PORTAL)?.map(|text| text.parse().map_err(|_| wrong("portal id"))).transpose()?;
    let trust_version = get(read, TRUST_VERSION)?
        .map_or(Ok(0), |text| text.parse().map_err(|_| wrong("trust version")))?;
    let (master, lease) = (get(read, MASTER)?, get(read, LEASE)?);
    Ok(KnownKeys { portal, master, trust_version, lease })
}

/// Notes the keys that the database is used with from now on.
///
/// # Errors
/// When the database cannot be written.
pub fn note_keys(tx: &Tx<'_>, keys: &KnownKeys) -> Result<(), AppError> {
    if let Some(portal) = keys.portal {
        put(tx, PORTAL, &portal.to_string())?;
    }
    if let Some(master) = &keys.master {
        put(tx, MASTER, master)?;
    }
    if let Some(lease) = &keys.lease {
        put(tx, LEASE, lease)?;
    }
    put(tx, TRUST_VERSION, &keys.trust_version.to_string())
}

/// Writes the time of the last readiness check: proof that the disk takes a commit.
///
/// # Errors
/// When the database cannot be written.
pub fn touch(tx: &Tx<'_>) -> Result<(), AppError> {
    put(tx, "ready_checked_at", &tx.now().to_string())
}
