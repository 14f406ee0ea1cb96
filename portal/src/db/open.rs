//! Opening a database file: the settings of our connections, and why a file is refused.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{backup::BackupError, migrate};

/// How long a statement waits for another process's lock (`db backup`, the `sqlite3` shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What one kind of database file is.
#[derive(Debug)]
pub struct Schema {
    /// Whose it is, for messages.
    pub owner: &'static str,
    /// SQLite's `application_id`, so that another program's file is not taken for one.
    pub application_id: i32,
    /// Every migration, oldest first: name and SQL. The number is the position, from 1.
    pub migrations: &'static [(&'static str, &'static str)],
    /// What must be said before the first page of a new file is written.
    pub setup: &'static str,
    /// Settings of the connection that writes, beside those that all have.
    pub tuning: &'static str,
    /// How much the thread that writes steps back for others (`nice`).
    pub nice: i32,
    /// What to do about a file that a newer version has written.
    pub remedy: &'static str,
    /// Rules over several rows or tables, each with a query that counts what breaks it.
    pub rules: &'static [(&'static str, &'static str)],
}

impl Schema {
    /// Whether both are the same kind.
    #[must_use]
    pub const fn is(&self, other: &Self) -> bool {
        self.application_id == other.application_id
    }

    /// The version that this program writes.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.migrations.len() as u32
    }
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer version has written it.
    #[error(
        "the database has schema version {found}, but this program ({program}) knows versions up to {known}: {remedy}"
    )]
    Newer {
        /// Version of the file.
        found: u32,
        /// Newest version that this program knows.
        known: u32,
        /// This program's version.
        program: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// It is an SQLite file of another program.
    #[error(
        "the file is an SQLite database, but not that of {owner}: name another folder in `data_dir`"
    )]
    Foreign {
        /// Whose it should be.
        owner: &'static str,
    },
    /// It cannot be read as a database.
    #[error(
        "the file is damaged or no database: stop everything that uses it, then restore a backup with \
         `freehold db restore FILE`, which keeps this file beside it"
    )]
    Damaged {
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file was not created.
    #[error("the file was not created")]
    Create {
        /// What the system says.
        source: std::io::Error,
    },
    /// A migration failed; the database is as it was before it.
    #[error("migration {number} ({name}) failed; the database is as it was before it")]
    Migration {
        /// Its number.
        number: u32,
        /// Its name.
        name: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A statement failed.
    #[error("{what} failed")]
    Sql {
        /// What was being done.
        what: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A restore that was interrupted cannot be finished.
    #[error("an interrupted restore could not be finished: see to the files and start again")]
    Restore {
        /// Why.
        source: Box<BackupError>,
    },
    /// The writer thread was not started.
    #[error("the database thread did not start")]
    Thread {
        /// What the system says.
        source: std::io::Error,
    },
}

/// Opens a connection with the settings that every connection of ours has.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, OpenError> {
    let sql = |what| move |source| OpenError::Sql { what, source };
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(sql("opening the database file"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql("setting the busy timeout"))?;
    connection
        .execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")
        .map_err(sql("setting up the connection"))?;
    // Otherwise SQLite plans a cached statement anew whenever another value is bound to its LIMIT or to
    // an indexed column, which costs more than running it. Its plans must not depend on values anyway.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(sql("setting up the connection"))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Opens the connection that writes: makes the file when there is none, and brings it to this version.
pub(super) fn connect_writer(
    schema: &'static Schema,
    path: &Path,
) -> Result<Connection, OpenError> {
    let sql = |what| move |source| OpenError::Sql { what, source };
    // Created by us, so that it is never readable by others; SQLite gives its log the same mode.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| OpenError::Create { source })?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Looked at first: nothing is changed in a newer or foreign file, not even its journal mode.
    if migrate::check_known(schema, &connection)? == 0 {
        connection.execute_batch(schema.setup).map_err(sql("preparing the new file"))?;
    }
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(sql("switching to the write-ahead log"))?;
    if mode != "wal" {
        tracing::warn!(mode, "the file system does not allow a write-ahead log");
    }
    // FULL: with NORMAL, acknowledged commits were lost in power-loss tests.
    // In memory: what a savepoint would need to roll back never goes through a file of its own.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")
        .and_then(|()| connection.execute_batch(schema.tuning))
        .map_err(sql("setting up the connection"))?;
    migrate::migrate(schema, &mut connection)?;
    Ok(connection)
}
