//! Sessions of users, and the keyed hashes of their tokens.

use freehold_protocol::time::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Read, Tx, expect_one,
    row::column,
    users::{self, UserRow},
};
use crate::{
    domain::{
        ids::{SessionId, UserId},
        session::{Ending, TokenKind},
    },
    error::AppError,
};

/// A session as it is stored.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Its identifier.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The network that it was opened from.
    pub network: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last refreshed, or opened.
    pub refreshed_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

/// A token of a session, with the session and its user.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session.
    pub session: SessionRow,
    /// Its user.
    pub user: UserRow,
    /// The stored hash.
    pub hash: String,
    /// Until when the token is good.
    pub expires_at: Timestamp,
    /// When it was used up.
    pub spent_at: Option<Timestamp>,
}

/// Columns of [`users::COLUMNS`], before those of this file.
const OF_USER: usize = 16;

/// Columns of a session.
const COLUMNS: &str =
    "s.id, s.user_id, s.network, s.created_at, s.refreshed_at, s.expires_at, s.ended_at";
/// How many these are.
const OF_SESSION: usize = 7;

fn maybe(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp::from_millis))
}

/// The session whose columns begin at `first`.
fn session(row: &Row<'_>, first: usize) -> rusqlite::Result<SessionRow> {
    let at = |index: usize| row.get(first + index).map(Timestamp::from_millis);
    Ok(SessionRow {
        id: column(row, first)?,
        user: column(row, first + 1)?,
        network: row.get(first + 2)?,
        created_at: at(3)?,
        refreshed_at: at(4)?,
        expires_at: at(5)?,
        ended_at: maybe(row, first + 6)?,
    })
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Found> {
    const OF_TOKEN: usize = OF_USER + OF_SESSION;
    Ok(Found {
        session: session(row, OF_USER)?,
        user: users::of_row(row)?,
        hash: row.get(OF_TOKEN)?,
        expires_at: row.get(OF_TOKEN + 1).map(Timestamp::from_millis)?,
        spent_at: maybe(row, OF_TOKEN + 2)?,
    })
}

/// The token with this keyed hash, whether good or not.
///
/// # Errors
/// When the database fails.
pub fn by_token(read: &Read<'_>, kind: TokenKind, hash: &str) -> Result<Option<Found>, AppError> {
    let sql = format!(
        "SELECT {}, {COLUMNS}, k.hash, k.expires_at, k.spent_at
         FROM session_tokens k JOIN sessions s ON s.id = k.session_id JOIN users u ON u.id = s.user_id
            LEFT JOIN tenants t ON t.id = u.tenant_id
         WHERE k.hash = ?1 AND k.kind = ?2",
        users::COLUMNS
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([hash, kind.as_str()], of_row).optional()?)
}

/// The sessions of a user that were not ended, the one that was used last first: at most
/// [`MAX_SESSIONS`](crate::domain::session::MAX_SESSIONS). Some may be over by age.
///
/// # Errors
/// When the database fails.
pub fn not_ended(read: &Read<'_>, user: UserId) -> Result<Vec<SessionRow>, AppError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions s WHERE s.user_id = ?1 AND s.ended_at IS NULL
         ORDER BY s.refreshed_at DESC, s.id DESC"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([user.to_string()], |row| session(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A session of a user, ended or not.
///
/// # Errors
/// When the database fails.
pub fn of_user(
    read: &Read<'_>,
    user: UserId,
    id: SessionId,
) -> Result<Option<SessionRow>, AppError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions s WHERE s.id = ?1 AND s.user_id = ?2");
    let mut statement = read.sql().prepare_cached(&sql)?;
    let found = statement.query_row([id.to_string(), user.to_string()], |row| session(row, 0));
    Ok(found.optional()?)
}

/// Adds a session.
///
/// # Errors
/// When the database fails.
pub fn insert(tx: &Tx<'_>, session: &SessionRow) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO sessions (id, user_id, network, created_at, refreshed_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            session.id.to_string(),
            session.user.to_string(),
            session.network,
            session.created_at.as_millis(),
            session.refreshed_at.as_millis(),
            session.expires_at.as_millis(),
        ],
    )?;
    Ok(())
}

/// Adds a token of a session.
///
/// # Errors
/// When the database fails.
pub fn insert_token(
    tx: &Tx<'_>,
    session: SessionId,
    kind: TokenKind,
    hash: &str,
    expires_at: Timestamp,
) -> Result<(), AppError> {
    tx.sql().execute(
        "INSERT INTO session_tokens (hash, session_id, kind, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            hash,
            session.to_string(),
            kind.as_str(),
            tx.now().as_millis(),
            expires_at.as_millis(),
        ],
    )?;
    Ok(())
}

/// Uses a refresh token up and notes that its session goes on.
///
/// # Errors
/// `transition_refused` when it was used up meanwhile.
pub fn spend(tx: &Tx<'_>, session: SessionId, hash: &str) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE session_tokens SET spent_at = ?2 WHERE hash = ?1 AND kind = 'refresh' AND spent_at IS NULL",
        params![hash, tx.now().as_millis()],
    )?;
    expect_one(changed, "refresh token")?;
    tx.sql().execute(
        "UPDATE sessions SET refreshed_at = ?2 WHERE id = ?1",
        params![session.to_string(), tx.now().as_millis()],
    )?;
    Ok(())
}

/// Forgets all but the newest `keep` tokens of a kind.
///
/// # Errors
/// When the database fails.
pub fn keep_tokens(
    tx: &Tx<'_>,
    session: SessionId,
    kind: TokenKind,
    keep: u32,
) -> Result<(), AppError> {
    tx.sql().execute(
        "DELETE FROM session_tokens WHERE hash IN
            (SELECT hash FROM session_tokens WHERE session_id = ?1 AND kind = ?2
              ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?3)",
        params![session.to_string(), kind.as_str(), keep],
    )?;
    Ok(())
}

/// Ends a session; says whether it was open.
///
/// # Errors
/// When the database fails.
pub fn end(tx: &Tx<'_>, id: SessionId, why: Ending) -> Result<bool, AppError> {
    let changed = tx.sql().execute(
        "UPDATE sessions SET ended_at = ?2, ended_why = ?3 WHERE id = ?1 AND ended_at IS NULL",
        params![id.to_string(), tx.now().as_millis(), why.as_str()],
    )?;
    Ok(changed > 0)
}

/// Ends the open sessions of a user but one; says how many.
///
/// # Errors
/// When the database fails.
pub fn end_of_user(
    tx: &Tx<'_>,
    user: UserId,
    but: Option<SessionId>,
    why: Ending,
) -> Result<usize, AppError> {
    Ok(
        tx.sql().execute(
            "UPDATE sessions SET ended_at = ?3, ended_why = ?4
         WHERE user_id = ?1 AND id IS NOT ?2 AND ended_at IS NULL",
            params![
                user.to_string(),
                but.map(|id| id.to_string()),
                tx.now().as_millis(),
                why.as_str(),
            ],
        )?,
    )
}

/// Ends the open sessions of a user beyond the newest `keep`.
///
/// # Errors
/// When the database fails.
pub fn end_beyond(tx: &Tx<'_>, user: UserId, keep: u32) -> Result<(), AppError> {
    tx.sql().execute(
        "UPDATE sessions SET ended_at = ?3, ended_why = ?4 WHERE id IN
            (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NULL
              ORDER BY refreshed_at DESC, id DESC LIMIT -1 OFFSET ?2)",
        params![user.to_string(), keep, tx.now().as_millis(), Ending::TooMany.as_str()],
    )?;
    Ok(())
}

/// Forgets the sessions of a user that were ended, beyond the newest `keep` of them.
///
/// # Errors
/// When the database fails.
pub fn keep_ended(tx: &Tx<'_>, user: UserId, keep: u32) -> Result<(), AppError> {
    tx.sql().execute(
        "DELETE FROM sessions WHERE id IN
            (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NOT NULL
              ORDER BY refreshed_at DESC, id DESC LIMIT -1 OFFSET ?2)",
        params![user.to_string(), keep],
    )?;
    Ok(())
}

/// Whether a user has logged in from a network and that session is still remembered.
///
/// # Errors
/// When the database fails.
pub fn knows_network(read: &Read<'_>, user: UserId, network: &str) -> Result<bool, AppError> {
    Ok(read
        .sql()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = ?1 AND network = ?2)",
        )?
        .query_row([user.to_string().as_str(), network], |row| row.get(0))?)
}

/// Deletes at most `limit` sessions that nobody has refreshed since `until`.
///
/// # Errors
/// When the database fails.
pub fn purge(tx: &Tx<'_>, until: Timestamp, limit: u32) -> Result<usize, AppError> {
    Ok(tx.sql().execute(
        "DELETE FROM sessions WHERE id IN
            (SELECT id FROM sessions WHERE refreshed_at < ?1 ORDER BY refreshed_at LIMIT ?2)",
        params![until.as_millis(), limit],
    )?)
}
