//! One-time enrollment tokens.

use freehold_protocol::{
    ids::{AgentId, HostId, Sha256Digest, TokenId},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{Read, Tx, codec, expect_one};
use crate::error::AppError;

/// An enrollment token. Its secret is sealed, and only there while it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentRow {
    /// Public name.
    pub id: TokenId,
    /// The host that it enrolls.
    pub host_id: HostId,
    /// The secret under the master key.
    pub token_sealed: Option<Vec<u8>>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Not to be used after.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// When an admin took it back.
    pub revoked_at: Option<Timestamp>,
    /// Digest of the keys that used it.
    pub used_by_keys: Option<Sha256Digest>,
    /// The agent that it made.
    pub agent_id: Option<AgentId>,
}

impl EnrollmentRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: codec::text(row, "id")?,
            host_id: codec::text(row, "host_id")?,
            token_sealed: row.get("token_sealed")?,
            created_by: row.get("created_by")?,
            created_at: codec::time(row, "created_at")?,
            expires_at: codec::time(row, "expires_at")?,
            used_at: codec::time_opt(row, "used_at")?,
            revoked_at: codec::time_opt(row, "revoked_at")?,
            used_by_keys: codec::text_opt(row, "used_by_keys")?,
            agent_id: codec::text_opt(row, "agent_id")?,
        })
    }
}

/// Adds a token; earlier ones of the host that were not used are taken back.
///
/// # Errors
/// When the database fails.
pub fn insert(
    tx: &Tx<'_>,
    id: TokenId,
    host: HostId,
    sealed: &[u8],
    by: &str,
    expires_at: Timestamp,
) -> Result<(), AppError> {
    take_back(tx, host)?;
    let now = tx.now().as_millis();
    tx.sql().execute(
        "INSERT INTO enrollments (id, host_id, token_sealed, created_by, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id.to_string(), host.to_string(), sealed, by, now, expires_at.as_millis()],
    )?;
    Ok(())
}

/// Takes back what was not used of a host's tokens.
///
/// # Errors
/// When the database fails.
pub fn take_back(tx: &Tx<'_>, host: HostId) -> Result<(), AppError> {
    tx.sql().execute(
        "UPDATE enrollments SET revoked_at = ?2, token_sealed = NULL
          WHERE host_id = ?1 AND used_at IS NULL AND revoked_at IS NULL",
        params![host.to_string(), tx.now().as_millis()],
    )?;
    Ok(())
}

/// The token with this name.
///
/// # Errors
/// When the database fails.
pub fn find(read: &Read<'_>, id: TokenId) -> Result<Option<EnrollmentRow>, AppError> {
    Ok(read
        .sql()
        .query_row(
            "SELECT * FROM enrollments WHERE id = ?1",
            [id.to_string()],
            EnrollmentRow::from_row,
        )
        .optional()?)
}

/// Uses a token up: exactly one caller gets through.
///
/// # Errors
/// `transition_refused` when it was used, taken back or has expired meanwhile.
pub fn use_up(
    tx: &Tx<'_>,
    id: TokenId,
    keys: Sha256Digest,
    agent: AgentId,
) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE enrollments SET used_at = ?2, used_by_keys = ?3, agent_id = ?4, token_sealed = NULL
          WHERE id = ?1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at >= ?2",
        params![id.to_string(), tx.now().as_millis(), keys.to_string(), agent.to_string()],
    )?;
    expect_one(changed, "enrollment token")
}

/// Erases the secrets of expired tokens; says how many.
///
/// # Errors
/// When the database fails.
pub fn erase_expired(tx: &Tx<'_>) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "UPDATE enrollments SET token_sealed = NULL WHERE token_sealed IS NOT NULL AND expires_at < ?1",
        [tx.now().as_millis()],
    )?)
}

/// Whether [`erase_expired`] has anything to erase.
///
/// # Errors
/// When the database fails.
pub fn has_expired(read: &Read<'_>) -> Result<bool, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT 1 FROM enrollments WHERE token_sealed IS NOT NULL AND expires_at < ?1",
        )?
        .exists([read.now().as_millis()])?)
}
