//! Backup and check of the database file; `restore.rs` puts a backup back.
//!
//! A backup is taken while the portal serves (SQLite's backup API) and is one file. It holds no key:
//! back the key folder up apart from it, and it may lie with strangers.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use freehold_protocol::time::Timestamp;
use rusqlite::{Connection, OpenFlags, backup::Backup};

use super::{OpenError, PORTAL, Read, Schema, audit, connect, migrate, restore, seen::SeenBook};
use crate::{error::AppError, instance::LockError};

/// Pages that are copied in one step; between steps the portal writes on.
const PAGES_PER_STEP: std::ffi::c_int = 512;
const PAUSE: Duration = Duration::from_millis(2);
/// Findings after which a check stops: the file is broken anyway.
const MAX_FINDINGS: usize = 50;

/// Why a backup, check or restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database is not usable.
    #[error("{} cannot be used as the portal's database", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// A file would be overwritten.
    #[error("{} exists already: name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("{what} {} failed", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("{what} failed")]
    Sql {
        /// What was being done.
        what: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file is not sound.
    #[error("{} is damaged ({}): take another backup", path.display(), findings.join("; "))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        findings: Vec<String>,
    },
    /// A restore was interrupted past its commit point.
    #[error(
        "a restore was interrupted: start the portal, which finishes it (it puts {} in place)",
        pending.display()
    )]
    Interrupted {
        /// The database that will be in place.
        pending: PathBuf,
    },
    /// The portal runs.
    #[error("the database is in use")]
    InUse(#[source] LockError),
    /// A check failed to run.
    #[error("the check could not be finished")]
    Check(#[source] AppError),
}

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { what, path, source }
}

fn sql_error(what: &'static str) -> impl FnOnce(rusqlite::Error) -> BackupError {
    move |source| BackupError::Sql { what, source }
}

pub(super) fn sync_folder_of(path: &Path) -> Result<(), BackupError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("syncing the folder", folder))
}

/// Opens a database of any kind of ours for reading, and says which it is.
pub(super) fn open_read(path: &Path) -> Result<(Connection, &'static Schema), BackupError> {
    if let Some(pending) = restore::pending(path)? {
        return Err(BackupError::Interrupted { pending });
    }
    let failed = |source| BackupError::Open { path: path.to_owned(), source };
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let schema = migrate::kind(&connection).map_err(failed)?;
    migrate::check_known(schema, &connection).map_err(failed)?;
    Ok((connection, schema))
}

/// Which kind of database a file is.
///
/// # Errors
/// See [`BackupError`].
pub fn kind(path: &Path) -> Result<&'static Schema, BackupError> {
    open_read(path).map(|(_, schema)| schema)
}

/// Copies the database to a new file while the portal may run, and checks the copy. The file is 0600
/// and appears under its name only when it is whole.
///
/// # Errors
/// See [`BackupError`]; a file that exists is never overwritten.
pub fn backup(database: &Path, to: &Path) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists { path: to.to_owned() });
    }
    let (source, _) = open_read(database)?;
    let temporary = with_suffix(to, ".part");
    let result = copy(&source, &temporary).and_then(|()| {
        let findings = check(&temporary)?;
        if findings.is_empty() {
            Ok(())
        } else {
            Err(BackupError::Damaged { path: database.to_owned(), findings })
        }
    });
    if let Err(error) = result {
        if let Err(left) = fs::remove_file(&temporary)
            && left.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %temporary.display(), error = %left, "an unfinished backup was not removed");
        }
        return Err(error);
    }
    fs::rename(&temporary, to).map_err(io_error("naming the backup", to))?;
    sync_folder_of(to)
}

pub(super) fn copy(source: &Connection, to: &Path) -> Result<(), BackupError> {
    // Created by us first, so that the file is never readable by others for a moment.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)
        .map_err(io_error("creating", to))?;
    let mut target = Connection::open(to).map_err(sql_error("opening the copy"))?;
    Backup::new(source, &mut target)
        .and_then(|backup| backup.run_to_completion(PAGES_PER_STEP, PAUSE, None))
        .map_err(sql_error("copying the database"))?;
    // One file, without a write-ahead log beside it.
    target
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .map_err(sql_error("closing the copy"))?;
    target.close().map_err(|(_, source)| BackupError::Sql { what: "closing the copy", source })?;
    file.sync_all().map_err(io_error("syncing", to))
}

/// Checks a database: the file's structure, references, the audit log's hashes, and the rules that
/// the tables must agree on. Returns what is wrong, in sentences; nothing when it is sound.
///
/// # Errors
/// When the file cannot be opened or read at all.
pub fn check(database: &Path) -> Result<Vec<String>, BackupError> {
    let (connection, schema) = open_read(database)?;
    let mut findings = integrity(&connection)?;
    if findings.is_empty() {
        if schema.is(&PORTAL) {
            let seen = SeenBook::default();
            let read =
                Read { connection: &connection, now: Timestamp::from_millis(0), seen: &seen };
            findings.extend(audit::verify(&read).map_err(BackupError::Check)?);
        }
        for (rule, query) in schema.rules {
            let broken: u64 = connection
                .query_row(query, [], |row| row.get(0))
                .map_err(sql_error("checking a rule"))?;
            if broken > 0 {
                findings.push(format!("{broken} rows break the rule: {rule}"));
            }
        }
    }
    Ok(findings)
}

fn integrity(connection: &Connection) -> Result<Vec<String>, BackupError> {
    let mut findings: Vec<String> = connection
        .prepare("PRAGMA integrity_check(50)")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(sql_error("checking the file's structure"))?;
    findings.retain(|line| line != "ok");
    let dangling: Vec<String> = connection
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| {
                    let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
                    Ok(format!("a row of {table} names a row of {parent} that is not there"))
                })?
                .take(MAX_FINDINGS)
                .collect()
        })
        .map_err(sql_error("checking references"))?;
    findings.extend(dangling);
    Ok(findings)
}

/// Rules over several rows or tables of the portal's database.
pub(super) const PORTAL_RULES: &[(&str, &str)] = &[
    (
        "a job in an agent's hands has an agent and a place in its chain",
        "SELECT count(*) FROM jobs WHERE state IN ('leased', 'running')
            AND (agent_id IS NULL OR seq IS NULL OR digest IS NULL)",
    ),
    (
        "an agent's head is the last envelope of its chain",
        "SELECT count(*) FROM agents WHERE EXISTS (SELECT 1 FROM envelopes
            WHERE agent_id = agents.id AND epoch = head_epoch AND seq > head_seq)
            OR EXISTS (SELECT 1 FROM envelopes WHERE agent_id = agents.id AND epoch = head_epoch AND seq = head_seq
                AND digest <> head_hash)",
    ),
    (
        "a tenant has one job in hand at most",
        "SELECT count(*) FROM (SELECT tenant_id FROM jobs WHERE state IN ('leased', 'running') AND tenant_id IS NOT NULL
            GROUP BY tenant_id HAVING count(*) > 1)",
    ),
    (
        "a host's agent is its own and not revoked",
        "SELECT count(*) FROM hosts JOIN agents ON agents.id = hosts.agent_id
            WHERE agents.host_id <> hosts.id OR agents.revoked_at IS NOT NULL",
    ),
    (
        "a used enrollment token keeps no secret",
        "SELECT count(*) FROM enrollments WHERE used_at IS NOT NULL AND token_sealed IS NOT NULL",
    ),
];

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
