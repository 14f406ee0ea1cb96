//! The agent's memory on disk: one SQLite file, written before anything on the host changes.
//!
//! WAL with `synchronous=FULL`: what was committed survives a power loss. The file is never deleted
//! or made anew by the agent: a host that forgot what it was told would run old jobs again. A
//! damaged file, or one of a newer agent, stops the agent with a message that says what to do.

pub mod chain;
pub mod disk;
pub mod outbox;
pub mod ports;
pub mod sagas;
pub mod tenants;
pub mod trust;

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

/// Every change of the schema, oldest first. Released ones never change.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/agent/0001_journal.sql"),
    include_str!("../../../migrations/agent/0002_chain.sql"),
];

/// `fhag`: tells our files from other SQLite files.
const APPLICATION_ID: i32 = 0x6668_6167;

/// How long a statement waits for another process (a `status` command, say) to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What to do when there is no journal yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make one: the host is being enrolled.
    Create,
    /// Refuse: an enrolled host has one, so its absence is a loss.
    Refuse,
}

/// The journal. Clones share one connection.
#[derive(Clone)]
pub struct Journal {
    connection: Arc<Mutex<Connection>>,
    path: Arc<Path>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is none.
    #[error("there is no journal at {}", .path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file could not be made.
    #[error("the journal {} could not be created", .path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program's file.
    #[error("{} is not a Freehold journal", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer agent has written it.
    #[error("the journal {} has version {found}, and this agent knows up to {known}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that this agent can read.
        known: usize,
    },
    /// SQLite's own check found damage.
    #[error("the journal {} is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A statement did not work.
    #[error("the journal could not {doing}")]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
    /// A row does not say what it should.
    #[error("the journal's record of {what} cannot be read: {why}")]
    Unreadable {
        /// Which row.
        what: String,
        /// Why.
        why: String,
    },
}

impl JournalError {
    pub(crate) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sql { doing, source }
    }

    /// The error as a failure, with advice.
    #[must_use]
    pub fn to_failure(&self) -> Failure {
        let advice = match self {
            Self::Missing { path } => format!(
                "restore {} from a backup; if it is lost, ask an admin for a new token and run `freehold-agent enroll --force`",
                path.display()
            ),
            Self::Create { path, .. } => {
                format!("check that the folder of {} exists and belongs to root", path.display())
            }
            Self::Foreign { path } => {
                format!("move {} away, or set another state folder in the configuration", path.display())
            }
            Self::Newer { .. } => {
                "install the newer freehold-agent package again; an older agent cannot read its journal"
                    .to_owned()
            }
            Self::Damaged { path, .. } => format!(
                "stop the agent, keep a copy of {0} and {0}-wal, restore the file from a backup, and check the disk with `dmesg`",
                path.display()
            ),
            Self::Unreadable { .. } => {
                "stop the agent, keep a copy of the journal, and report this with the agent's version"
                    .to_owned()
            }
            Self::Sql { .. } => {
                "check free space with `df -h` and the disk with `dmesg`; then restart freehold-agent"
                    .to_owned()
            }
        };
        let failure = Failure::new(FailureClass::Host, self.to_string(), advice);
        match std::error::Error::source(self) {
            Some(source) => failure.with_detail(source.to_string()),
            None => failure,
        }
    }
}

impl Journal {
    /// Opens the journal and brings its schema up to date.
    ///
    /// # Errors
    /// When it is missing (and `missing` says so), foreign, newer or damaged, or cannot be read.
    pub fn open(path: &Path, missing: Missing) -> Result<Self, JournalError> {
        if !path.exists() {
            if missing == Missing::Refuse {
                return Err(JournalError::Missing { path: path.to_owned() });
            }
            // Made by us first, so that it is 0600 from its first byte; SQLite gives its WAL the
            // same mode.
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(|source| JournalError::Create { path: path.to_owned(), source })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(path, flags).map_err(JournalError::sql("be opened"))?;
        prepare(&mut connection, path)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: path.into() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the journal in one transaction, durable when this returns. Nothing is kept when
    /// `work` fails. `doing` completes "the journal could not …".
    ///
    /// # Errors
    /// Those of `work`, and when the transaction cannot begin or commit.
    pub fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(JournalError::sql(doing))?;
        let value = work(&transaction)?;
        transaction.commit().map_err(JournalError::sql(doing))?;
        Ok(value)
    }

    /// Reads from the journal, all from one state of it.
    ///
    /// # Errors
    /// Those of `work`, and when the transaction cannot begin.
    pub fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction().map_err(JournalError::sql(doing))?;
        work(&transaction)
    }
}

/// Checks the file and brings its schema up to date.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let damaged = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            JournalError::Damaged { path: path.to_owned(), what: source.to_string() }
        }
        _ => JournalError::Sql { doing: "be read", source },
    };
    connection.busy_timeout(BUSY_TIMEOUT).map_err(damaged)?;
    let ask = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let application = ask("PRAGMA application_id").map_err(damaged)?;
    let version = ask("PRAGMA user_version").map_err(damaged)?;
    let tables = ask("SELECT count(*) FROM sqlite_schema").map_err(damaged)?;
    if application != i64::from(APPLICATION_ID) && (application != 0 || tables != 0) {
        return Err(JournalError::Foreign { path: path.to_owned() });
    }
    let known = MIGRATIONS.len();
    let done = usize::try_from(version).ok().filter(|done| *done <= known);
    let Some(done) = done else {
        return Err(JournalError::Newer { path: path.to_owned(), found: version, known });
    };
    let check: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(damaged)?;
    if check != "ok" {
        return Err(JournalError::Damaged { path: path.to_owned(), what: check });
    }
    let setting = JournalError::sql("be set up");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;",
        )
        .map_err(setting)?;
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let migrate = || -> Result<(), rusqlite::Error> {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", index as i64 + 1)?;
            transaction.commit()
        };
        migrate().map_err(JournalError::sql("be brought up to date"))?;
    }
    Ok(())
}

/// A value as JSON for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T, what: &str) -> Result<String, JournalError> {
    serde_json::to_string(value)
        .map_err(|why| JournalError::Unreadable { what: what.to_owned(), why: why.to_string() })
}

/// A value from the JSON of a column.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    text: &str,
    what: &str,
) -> Result<T, JournalError> {
    // From bytes, as the socket's frames and the portal's answers are: each way to read a type is code of
    // its own.
    serde_json::from_slice(text.as_bytes())
        .map_err(|why| JournalError::Unreadable { what: what.to_owned(), why: why.to_string() })
}

/// A value from the text of a column, through its own parser.
pub(crate) fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, JournalError>
where
    T::Err: fmt::Display,
{
    text.parse().map_err(|why: T::Err| JournalError::Unreadable {
        what: what.to_owned(),
        why: why.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn opens_again_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = folder();
        let path = dir.path().join("journal.db");
        drop(Journal::open(&path, Missing::Create).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let journal = Journal::open(&path, Missing::Refuse).unwrap();
        let full: i64 = journal
            .read("ask", |tx| {
                tx.query_row("PRAGMA synchronous", [], |row| row.get(0))
                    .map_err(JournalError::sql("ask"))
            })
            .unwrap();
        assert_eq!(full, 2);
    }

    #[test]
    fn is_not_made_where_one_should_be() {
        let dir = folder();
        let error = Journal::open(&dir.path().join("x"), Missing::Refuse).unwrap_err();
        assert!(matches!(error, JournalError::Missing { .. }));
        assert!(!dir.path().join("x").exists());
    }

    #[test]
    fn refuses_newer_foreign_and_damaged_files() {
        let dir = folder();
        let path = dir.path().join("journal.db");
        let journal = Journal::open(&path, Missing::Create).unwrap();
        let set = |pragma: &'static str| {
            journal
                .write("set", |tx| tx.execute_batch(pragma).map_err(JournalError::sql("set")))
                .unwrap();
        };
        set("PRAGMA user_version = 99");
        let error = Journal::open(&path, Missing::Refuse).unwrap_err();
        assert!(matches!(error, JournalError::Newer { found: 99, .. }), "{error}");
        assert!(error.to_failure().advice.contains("newer"));
        set("PRAGMA user_version = 2");

        let other = dir.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let error = Journal::open(&other, Missing::Refuse).unwrap_err();
        assert!(matches!(error, JournalError::Foreign { .. }), "{error}");

        let rubbish = dir.path().join("rubbish.db");
        std::fs::write(&rubbish, vec![7; 8192]).unwrap();
        let error = Journal::open(&rubbish, Missing::Create).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        assert_eq!(std::fs::read(&rubbish).unwrap().len(), 8192);
    }
}
