//! API tokens. The tokens themselves are not here, only their keyed hashes.

use freehold_protocol::{
    ids::{TenantId, TenantSlug, TokenId},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    Read, Tx, expect_one, is_unique_violation,
    row::{column, optional},
};
use crate::{app::role::Role, domain::person::Person, error::AppError};

/// Most tokens of which each has made the next.
const MAX_LINE: usize = 10_000;

/// A token as it is stored.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Its identifier.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one tenant that it is limited to.
    pub tenant: Option<TenantId>,
    /// That tenant's short name, unless the tenant is gone.
    pub tenant_slug: Option<TenantSlug>,
    /// Its keyed hash, lower-case hex.
    pub hash: String,
    /// Its first characters.
    pub prefix: String,
    /// Its last four characters.
    pub last4: String,
    /// Who created it.
    pub created_by: String,
    /// The identifier of that user or token; none when the portal itself made it.
    pub made_by: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// When it stops being valid.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to within an hour.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

const SELECT: &str = "SELECT k.id, k.name, k.role, k.hash, k.prefix, k.last4, k.created_by, k.created_at, k.expires_at,
    k.last_used_at, k.revoked_at, k.tenant_id, t.slug, k.made_by
    FROM api_tokens k LEFT JOIN tenants t ON t.id = k.tenant_id";

fn of_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    Ok(TokenRow {
        id: column(row, 0)?,
        name: row.get(1)?,
        role: column(row, 2)?,
        hash: row.get(3)?,
        prefix: row.get(4)?,
        last4: row.get(5)?,
        created_by: row.get(6)?,
        created_at: Timestamp::from_millis(row.get(7)?),
        expires_at: time(row.get(8)?),
        last_used_at: time(row.get(9)?),
        revoked_at: time(row.get(10)?),
        tenant: optional(row, 11)?,
        tenant_slug: optional(row, 12)?,
        made_by: row.get(13)?,
    })
}

/// Adds a token.
///
/// # Errors
/// The code `name_taken` when a token of this name is valid.
pub fn insert(tx: &Tx<'_>, token: &TokenRow) -> Result<(), AppError> {
    let done = tx.sql().execute(
        "INSERT INTO api_tokens (id, name, role, hash, prefix, last4, created_by, created_at, expires_at, tenant_id, made_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            token.id.to_string(),
            token.name,
            token.role.as_str(),
            token.hash,
            token.prefix,
            token.last4,
            token.created_by,
            token.created_at.as_millis(),
            token.expires_at.map(Timestamp::as_millis),
            token.tenant.map(|id| id.to_string()),
            token.made_by,
        ],
    );
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(AppError::conflict(
            "name_taken",
            format!("there is already a token named {}", token.name),
        )
        .advice("choose another name, or revoke the old token first")),
        Err(error) => Err(error.into()),
    }
}

/// The token with this keyed hash, whether valid or not.
///
/// # Errors
/// When the database fails.
pub fn by_hash(read: &Read<'_>, hash: &str) -> Result<Option<TokenRow>, AppError> {
    let sql = format!("{SELECT} WHERE k.hash = ?1");
    Ok(read.sql().prepare_cached(&sql)?.query_row([hash], of_row).optional()?)
}

/// The token with this identifier.
///
/// # Errors
/// When the database fails.
pub fn by_id(read: &Read<'_>, id: TokenId) -> Result<Option<TokenRow>, AppError> {
    let sql = format!("{SELECT} WHERE k.id = ?1");
    Ok(read.sql().query_row(&sql, [id.to_string()], of_row).optional()?)
}

/// Who stands behind a user or token, by its identifier: of a token also those that have made it.
///
/// # Errors
/// When the database fails, or more tokens than [`MAX_LINE`] have made one another.
pub fn person(read: &Read<'_>, id: &str) -> Result<Person, AppError> {
    let mut statement =
        read.sql().prepare_cached("SELECT made_by FROM api_tokens WHERE id = ?1")?;
    let mut line = Vec::new();
    let mut next = Some(id.to_owned());
    while let Some(id) = next.take() {
        match statement.query_row([&id], |row| row.get(0)).optional()? {
            Some(maker) => next = maker,
            // No token: a user, who need not be there any more.
            None if line.is_empty() => return Ok(Person::user(id)),
            None => return Ok(Person::token(line, Some(id))),
        }
        line.push(id);
        if line.len() > MAX_LINE {
            return Err(AppError::bug("tokens have made one another without end"));
        }
    }
    Ok(Person::token(line, None))
}

/// Up to `limit` tokens after the one with identifier `after`, oldest first.
///
/// # Errors
/// When the database fails.
pub fn list(read: &Read<'_>, after: &str, limit: u32) -> Result<Vec<TokenRow>, AppError> {
    let sql = format!("{SELECT} WHERE k.id > ?1 ORDER BY k.id LIMIT ?2");
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, limit], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether any token was ever created.
///
/// # Errors
/// When the database fails.
pub fn any(read: &Read<'_>) -> Result<bool, AppError> {
    Ok(read.sql().query_row("SELECT EXISTS (SELECT 1 FROM api_tokens)", [], |row| row.get(0))?)
}

/// Valid tokens that are limited to a tenant.
///
/// # Errors
/// When the database fails.
pub fn of_tenant(read: &Read<'_>, tenant: TenantId) -> Result<Vec<TokenRow>, AppError> {
    let sql = format!("{SELECT} WHERE k.tenant_id = ?1 AND k.revoked_at IS NULL ORDER BY k.id");
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([tenant.to_string()], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many valid tokens with the role owner there are, besides one.
///
/// # Errors
/// When the database fails.
pub fn count_owners(read: &Read<'_>, besides: Option<TokenId>) -> Result<u32, AppError> {
    Ok(read.sql().query_row(
        "SELECT count(*) FROM api_tokens WHERE role = 'owner' AND id IS NOT ?1 AND revoked_at IS NULL
            AND (expires_at IS NULL OR expires_at > ?2)",
        params![besides.map(|id| id.to_string()), read.now().as_millis()],
        |row| row.get(0),
    )?)
}

/// Revokes a token that is not revoked.
///
/// # Errors
/// `transition_refused` when it was revoked meanwhile.
pub fn revoke(tx: &Tx<'_>, id: TokenId) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE api_tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
        params![id.to_string(), tx.now().as_millis()],
    )?;
    expect_one(changed, "token")
}

/// Deletes a token that was never shown to anybody.
///
/// # Errors
/// `transition_refused` when it is gone.
pub fn delete(tx: &Tx<'_>, id: TokenId) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "DELETE FROM api_tokens WHERE id = ?1 AND last_used_at IS NULL",
        [id.to_string()],
    )?;
    expect_one(changed, "token")
}

/// Notes that a token was used. Called at most hourly per token.
///
/// # Errors
/// When the database fails.
pub fn touch(tx: &Tx<'_>, id: TokenId) -> Result<(), AppError> {
    tx.sql().execute(
        "UPDATE api_tokens SET last_used_at = ?2 WHERE id = ?1",
        params![id.to_string(), tx.now().as_millis()],
    )?;
    Ok(())
}
