//! Users. Their passwords are here as Argon2id hashes alone.

use freehold_protocol::{
    ids::{Email, TenantId, TenantSlug},
    time::Timestamp,
};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value};

use super::{
    Read, Tx, expect_one, is_unique_violation,
    row::{column, json, optional},
};
use crate::{app::role::Role, domain::ids::UserId, error::AppError};

/// A user as it is stored.
#[derive(Clone)]
pub struct UserRow {
    /// Its identifier.
    pub id: UserId,
    /// What is typed to log in; an address in lower case.
    pub login: Email,
    /// Its name as people write it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one tenant that it is limited to.
    pub tenant: Option<TenantId>,
    /// That tenant's short name, unless the tenant is gone.
    pub tenant_slug: Option<TenantSlug>,
    /// The password's hash, a PHC string.
    pub password: String,
    /// When the password was set.
    pub password_at: Timestamp,
    /// Whether it must be changed before anything else is done.
    pub password_due: bool,
    /// Since when the user may not log in.
    pub disabled_at: Option<Timestamp>,
    /// What pages and programs keep for it.
    pub settings: Map<String, Value>,
    /// When it last logged in.
    pub last_login_at: Option<Timestamp>,
    /// Version of the row.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserRow({} {})", self.id, self.login)
    }
}

pub(super) const COLUMNS: &str = "u.id, u.login, u.name, u.role, u.tenant_id, t.slug, u.password, u.password_at,
    u.password_due, u.disabled_at, u.settings, u.last_login_at, u.generation, u.created_by, u.created_at, u.updated_at";

fn select() -> String {
    format!("SELECT {COLUMNS} FROM users u LEFT JOIN tenants t ON t.id = u.tenant_id")
}

pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    Ok(UserRow {
        id: column(row, 0)?,
        login: column(row, 1)?,
        name: row.get(2)?,
        role: column(row, 3)?,
        tenant: optional(row, 4)?,
        tenant_slug: optional(row, 5)?,
        password: row.get(6)?,
        password_at: Timestamp::from_millis(row.get(7)?),
        password_due: row.get(8)?,
        disabled_at: time(row.get(9)?),
        settings: json(row, 10)?,
        last_login_at: time(row.get(11)?),
        generation: row.get::<_, i64>(12)?.unsigned_abs(),
        created_by: row.get(13)?,
        created_at: Timestamp::from_millis(row.get(14)?),
        updated_at: Timestamp::from_millis(row.get(15)?),
    })
}

fn taken(login: &Email) -> impl FnOnce(rusqlite::Error) -> AppError {
    let login = login.clone();
    move |error| {
        if !is_unique_violation(&error) {
            return error.into();
        }
        AppError::conflict("login_taken", format!("there is already a user {login}"))
            .advice("choose another login, or change that user")
    }
}

/// Adds a user.
///
/// # Errors
/// `login_taken`.
pub fn insert(tx: &Tx<'_>, user: &UserRow) -> Result<(), AppError> {
    tx.sql()
        .execute(
            "INSERT INTO users (id, login, name, role, tenant_id, password, password_at, password_due, created_by,
                created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?7, ?7)",
            params![
                user.id.to_string(),
                user.login.as_str(),
                user.name,
                user.role.as_str(),
                user.tenant.map(|id| id.to_string()),
                user.password,
                tx.now().as_millis(),
                user.password_due,
                user.created_by,
            ],
        )
        .map_err(taken(&user.login))?;
    Ok(())
}

/// Writes all of a user but password and logins, if the row still has the generation that `user` was
/// read with.
///
/// # Errors
/// `transition_refused`, `login_taken`.
pub fn update(tx: &Tx<'_>, user: &UserRow) -> Result<(), AppError> {
    let changed = tx
        .sql()
        .execute(
            "UPDATE users SET login = ?3, name = ?4, role = ?5, tenant_id = ?6, disabled_at = ?7, settings = ?8,
                generation = generation + 1, updated_at = ?9
             WHERE id = ?1 AND generation = ?2",
            params![
                user.id.to_string(),
                user.generation.cast_signed(),
                user.login.as_str(),
                user.name,
                user.role.as_str(),
                user.tenant.map(|id| id.to_string()),
                user.disabled_at.map(Timestamp::as_millis),
                serde_json::to_string(&user.settings)?,
                tx.now().as_millis(),
            ],
        )
        .map_err(taken(&user.login))?;
    expect_one(changed, "user")
}

/// Sets a password in the place of the one with the hash `old`.
///
/// # Errors
/// `transition_refused` when it was changed meanwhile.
pub fn set_password(
    tx: &Tx<'_>,
    id: UserId,
    old: &str,
    new: &str,
    due: bool,
) -> Result<(), AppError> {
    let changed = tx.sql().execute(
        "UPDATE users SET password = ?3, password_at = ?4, password_due = ?5, generation = generation + 1,
            updated_at = ?4
         WHERE id = ?1 AND password = ?2",
        params![id.to_string(), old, new, tx.now().as_millis(), due],
    )?;
    expect_one(changed, "user")
}

/// Notes a login. It is no change of the user.
///
/// # Errors
/// When the database fails.
pub fn note_login(tx: &Tx<'_>, id: UserId) -> Result<(), AppError> {
    tx.sql().execute(
        "UPDATE users SET last_login_at = ?2 WHERE id = ?1",
        params![id.to_string(), tx.now().as_millis()],
    )?;
    Ok(())
}

/// The user with an identifier.
///
/// # Errors
/// When the database fails.
pub fn by_id(read: &Read<'_>, id: UserId) -> Result<Option<UserRow>, AppError> {
    let sql = format!("{} WHERE u.id = ?1", select());
    Ok(read.sql().prepare_cached(&sql)?.query_row([id.to_string()], of_row).optional()?)
}

/// The user with a login.
///
/// # Errors
/// When the database fails.
pub fn by_login(read: &Read<'_>, login: &Email) -> Result<Option<UserRow>, AppError> {
    let sql = format!("{} WHERE u.login = ?1", select());
    Ok(read.sql().prepare_cached(&sql)?.query_row([login.as_str()], of_row).optional()?)
}

/// Up to `limit` users after the one with identifier `after`, oldest first.
///
/// # Errors
/// When the database fails.
pub fn list(
    read: &Read<'_>,
    login: Option<&Email>,
    after: &str,
    limit: u32,
) -> Result<Vec<UserRow>, AppError> {
    let sql = format!(
        "{} WHERE u.id > ?1 AND (?2 IS NULL OR u.login = ?2) ORDER BY u.id LIMIT ?3",
        select()
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![after, login.map(Email::as_str), limit], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Enabled users that are limited to a tenant.
///
/// # Errors
/// When the database fails.
pub fn of_tenant(read: &Read<'_>, tenant: TenantId) -> Result<Vec<UserRow>, AppError> {
    let sql =
        format!("{} WHERE u.tenant_id = ?1 AND u.disabled_at IS NULL ORDER BY u.id", select());
    let mut statement = read.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([tenant.to_string()], of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many users there are.
///
/// # Errors
/// When the database fails.
pub fn count(read: &Read<'_>) -> Result<u32, AppError> {
    Ok(read.sql().query_row("SELECT count(*) FROM users", [], |row| row.get(0))?)
}

/// How many enabled users with the role owner there are, besides one.
///
/// # Errors
/// When the database fails.
pub fn count_owners(read: &Read<'_>, besides: Option<UserId>) -> Result<u32, AppError> {
    Ok(read.sql().query_row(
        "SELECT count(*) FROM users WHERE role = 'owner' AND disabled_at IS NULL AND id IS NOT ?1",
        [besides.map(|id| id.to_string())],
        |row| row.get(0),
    )?)
}

/// Deletes a user with its sessions.
///
/// # Errors
/// `transition_refused` when it is gone.
pub fn delete(tx: &Tx<'_>, id: UserId) -> Result<(), AppError> {
    let changed = tx.sql().execute("DELETE FROM users WHERE id = ?1", [id.to_string()])?;
    expect_one(changed, "user")
}
