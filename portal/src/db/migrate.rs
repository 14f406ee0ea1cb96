//! Brings a database to this version's schema, one migration per transaction.
//!
//! Migrations are numbered without gaps and never change once released. A database that a newer
//! version has written is refused: running on it would be guessing.

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use super::{OpenError, Schema};

/// Reads the version of a database; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> Result<u32, OpenError> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|source| {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                OpenError::Damaged { source }
            }
            _ => OpenError::Sql { what: "reading the schema version", source },
        }
    })
}

/// Which of our databases a file is; one that says nothing is taken for the portal's.
pub(super) fn kind(connection: &Connection) -> Result<&'static Schema, OpenError> {
    version(connection)?;
    let id: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|source| OpenError::Sql { what: "reading the application id", source })?;
    let known = [&super::PORTAL, &super::ingest::INGEST];
    Ok(known.into_iter().find(|schema| schema.application_id == id).unwrap_or(&super::PORTAL))
}

/// Refuses a database that a newer version or another program has written; returns its version.
pub(super) fn check_known(schema: &Schema, connection: &Connection) -> Result<u32, OpenError> {
    let sql = |what| move |source| OpenError::Sql { what, source };
    let found = version(connection)?;
    if found == 0 {
        let tables: Option<String> = connection
            .query_row("SELECT name FROM sqlite_schema LIMIT 1", [], |row| row.get(0))
            .optional()
            .map_err(sql("reading the schema"))?;
        if tables.is_some() {
            return Err(OpenError::Foreign { owner: schema.owner });
        }
        return Ok(0);
    }
    let id: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(sql("reading the application id"))?;
    if id != schema.application_id {
        return Err(OpenError::Foreign { owner: schema.owner });
    }
    if found > schema.version() {
        return Err(OpenError::Newer {
            found,
            known: schema.version(),
            program: env!("CARGO_PKG_VERSION"),
            remedy: schema.remedy,
        });
    }
    Ok(found)
}

/// Runs every migration that is missing.
pub(super) fn migrate(
    schema: &'static Schema,
    connection: &mut Connection,
) -> Result<(), OpenError> {
    let found = check_known(schema, connection)?;
    for (number, (name, script)) in (1u32..).zip(schema.migrations).skip(found as usize) {
        let failed = |source| OpenError::Migration { number, name, source };
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction.execute_batch(script).map_err(failed)?;
        transaction.pragma_update(None, "user_version", number).map_err(failed)?;
        transaction.pragma_update(None, "application_id", schema.application_id).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        tracing::info!(number, name, "migrated the database");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::PORTAL;

    /// From this version on the portal itself keeps what runs.
    const RUNNING_WORK: usize = 9;

    #[test]
    fn a_database_of_every_older_version_is_brought_up_with_what_it_holds() {
        for from in 1..PORTAL.migrations.len() {
            let mut old = Connection::open_in_memory().unwrap();
            old.execute_batch("PRAGMA foreign_keys = ON").unwrap();
            for (number, (_, script)) in (1u32..).zip(&PORTAL.migrations[..from]) {
                old.execute_batch(script).unwrap();
                old.pragma_update(None, "user_version", number).unwrap();
                old.pragma_update(None, "application_id", PORTAL.application_id).unwrap();
            }
            old.execute_batch(
                "INSERT INTO hosts (id, name, state, created_at, updated_at) VALUES ('h', 'vps-1', 'new', 1, 1);
                 INSERT INTO blueprints (name, created_by, created_at) VALUES ('shop', 'x', 1);
                 INSERT INTO tenants (id, slug, name, domain, host_id, blueprint, release_wanted, release_deployed,
                     status, certificate, created_by, created_at, updated_at)
                 VALUES ('t', 'acme', 'Acme', 'acme.example.com', 'h', 'shop', 1, 1, 'active', '{}', 'x', 1, 1);
                 INSERT INTO jobs (id, host_id, tenant_id, kind, work, state, attempt, max_attempts, not_before,
                     expires_at, expiry_secs, timeout_secs, actor, created_at, updated_at, ended_at)
                 VALUES ('a', 'h', 't', 'deploy_tenant', 'first', 'succeeded', 1, 1, 1, 1, 1, 1, 'x', 1, 1, 1),
                        ('b', 'h', 't', 'deploy_tenant', 'second', 'succeeded', 1, 1, 1, 1, 1, 1, 'x', 1, 1, 2),
                        ('c', 'h', 't', 'deploy_tenant', 'third', 'rolled_back', 1, 1, 1, 1, 1, 1, 'x', 1, 1, 3);",
            )
            .unwrap();
            if from >= RUNNING_WORK {
                old.execute("INSERT INTO running_work VALUES ('t', 'second')", []).unwrap();
            }
            migrate(&PORTAL, &mut old).unwrap();
            assert_eq!(version(&old).unwrap(), PORTAL.version());
            let license: Option<String> = old
                .query_row("SELECT license_id FROM tenants WHERE slug = 'acme'", [], |row| {
                    row.get(0)
                })
                .unwrap();
            assert_eq!(license, None, "from {from}");
            let counted: Option<i64> =
                old.query_row("SELECT disk_used_bytes FROM tenants", [], |row| row.get(0)).unwrap();
            assert_eq!(counted, None, "from {from}");
            let running: String =
                old.query_row("SELECT work FROM running_work", [], |row| row.get(0)).unwrap();
            assert_eq!(running, "second", "from {from}");
            let sound: String =
                old.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(sound, "ok");
            assert!(!old.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
            // A second start finds nothing to do.
            migrate(&PORTAL, &mut old).unwrap();
        }
    }
}
