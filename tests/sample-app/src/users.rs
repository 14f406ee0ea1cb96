//! The admin user, logins and sessions.

use crate::config::{Config, Fail};
use crate::db::{self, literal};
use crate::password::{hash_sql, random_hex, token_hash_sql};
use serde::Deserialize;
use std::io::Read;

/// What `onboard` reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Admin {
    email: String,
    name: String,
    password: String,
}

/// What a login sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    email: String,
    password: String,
}

/// Creates the admin, or sets the name and password of one who is there already.
pub(crate) fn onboard(config: &Config, input: impl Read) -> Result<(), String> {
    let admin: Admin = serde_json::from_reader(input.take(64 * 1024))
        .map_err(|error| format!("standard input is not the JSON of an admin: {error}"))?;
    if config.fail == Some(Fail::Onboard) {
        return Err("SAMPLE_FAIL=onboard: giving up".to_owned());
    }
    if !admin.email.contains('@') || admin.email.chars().any(char::is_control) {
        return Err("email: not an address".to_owned());
    }
    if admin.password.chars().count() < 8 {
        return Err("password: shorter than 8 characters".to_owned());
    }
    let salt = literal(&random_hex(16)?)?;
    db::run(&format!(
        "INSERT INTO users (email, name, salt, hash) VALUES ({}, {}, {salt}, {}) \
         ON CONFLICT (email) DO UPDATE \
         SET name = excluded.name, salt = excluded.salt, hash = excluded.hash;",
        literal(&admin.email)?,
        literal(&admin.name)?,
        hash_sql(&salt, &admin.password)?,
    ))?;
    println!("admin {} is ready", admin.email);
    Ok(())
}

/// Ends every session.
pub(crate) fn logout_all() -> Result<(), String> {
    let ended =
        db::run("WITH gone AS (DELETE FROM sessions RETURNING 1) SELECT count(*) FROM gone;")?;
    println!("{ended} sessions ended");
    Ok(())
}

/// A new session's token, or nothing when the e-mail and password do not fit.
pub(crate) fn login(credentials: &Credentials) -> Result<Option<String>, String> {
    let token = random_hex(32)?;
    let email = db::run(&format!(
        "INSERT INTO sessions (token_hash, email, expires_at) \
         SELECT {}, email, now() + interval '12 hours' FROM users \
         WHERE email = {} AND hash = {} RETURNING email;",
        token_hash_sql(&token)?,
        literal(&credentials.email)?,
        hash_sql("users.salt", &credentials.password)?,
    ))?;
    Ok((!email.is_empty()).then_some(token))
}

/// The e-mail of the user whose session `token` is.
pub(crate) fn who(token: &str) -> Result<Option<String>, String> {
    let email = db::run(&format!(
        "SELECT email FROM sessions WHERE token_hash = {} AND expires_at > now();",
        token_hash_sql(token)?
    ))?;
    Ok((!email.is_empty()).then_some(email))
}
