//! The tables, built up by numbered migrations.

use crate::config::{Config, Fail};
use crate::db;

/// One step of the schema: the release that brought it, and its SQL.
struct Migration {
    since: u32,
    sql: &'static str,
}

/// In order; the place in this list (from 1) is the number in `schema_version`.
const MIGRATIONS: &[Migration] = &[
    Migration {
        since: 1,
        sql: "CREATE TABLE users (email text PRIMARY KEY, name text NOT NULL, \
              salt text NOT NULL, hash text NOT NULL, \
              created_at timestamptz NOT NULL DEFAULT now());",
    },
    Migration {
        since: 1,
        sql: "CREATE TABLE features (name text PRIMARY KEY, enabled boolean NOT NULL, \
              changed_at timestamptz NOT NULL DEFAULT now());",
    },
    Migration {
        since: 1,
        sql: "CREATE TABLE sessions (token_hash text PRIMARY KEY, \
              email text NOT NULL REFERENCES users ON DELETE CASCADE, \
              expires_at timestamptz NOT NULL);",
    },
    // Release 2 adds a column with a default, so that release 1 still runs on the new schema
    // when an update is taken back.
    Migration { since: 2, sql: "ALTER TABLE users ADD COLUMN locale text NOT NULL DEFAULT 'en';" },
];

/// Brings the database to this release. Running it again changes nothing.
pub(crate) fn migrate(config: &Config) -> Result<(), String> {
    db::run(
        "SET client_min_messages = warning; \
         CREATE TABLE IF NOT EXISTS schema_version (version integer PRIMARY KEY, \
         applied_at timestamptz NOT NULL DEFAULT now());",
    )?;
    if config.fail == Some(Fail::Migrate) {
        return Err("SAMPLE_FAIL=migrate: giving up after the first statement".to_owned());
    }
    let before = version()?;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number > before && migration.since <= config.version {
            // The insert comes first: of two that run at once, the second waits here and fails
            // on the key instead of running the same change twice.
            db::run(&format!(
                "INSERT INTO schema_version (version) VALUES ({number}); {}",
                migration.sql
            ))
            .map_err(|error| format!("migration {number}: {error}"))?;
        }
    }
    println!("schema version {before} -> {}", version()?);
    Ok(())
}

/// The number of the last migration that ran; 0 for a database with no table.
pub(crate) fn version() -> Result<u32, String> {
    let there = db::run("SELECT to_regclass('public.schema_version') IS NOT NULL")?;
    if there != "t" {
        return Ok(0);
    }
    let text = db::run("SELECT coalesce(max(version), 0) FROM schema_version")?;
    text.parse().map_err(|_| format!("schema_version: '{text}' is not a number"))
}
