//! `ingest.db`: what tenants' apps send, in a file of its own with a writer of its own, so that a flood
//! of it never delays a job.
//!
//! It is the same kind of database as the portal's, opened and written by the same code; that its
//! functions take [`IngestRead`] and [`IngestTx`] keeps the two apart.

pub mod batches;
pub mod health;
pub mod logs;
pub mod retention;
pub mod usage;

#[cfg(test)]
mod tests;

use std::{fs, io, path::Path, sync::Arc};

use freehold_protocol::{ids::TenantId, time::Timestamp};
use rusqlite::OptionalExtension as _;

use super::{Commits, Db, OpenError, Read, Schema, Tx, backup::with_suffix};
use crate::{clock::Clock, error::AppError};

/// The database of what apps send.
pub static INGEST: Schema = Schema {
    owner: "what tenants' apps send",
    application_id: 0x4648_696e, // FHin
    migrations: &[
        ("initial", include_str!("../../../../migrations/ingest/0001_initial.sql")),
        ("batch bytes", include_str!("../../../../migrations/ingest/0002_batch_bytes.sql")),
    ],
    // Pages of deleted lines go back to the disk in small steps.
    setup: "PRAGMA auto_vacuum = INCREMENTAL;",
    // Larger steps than the portal's: its commits are larger. A log that a flood has made long is cut.
    tuning: "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384;",
    nice: 10,
    remedy: "install the newer freehold again, or move the file away: it is made anew, without the logs \
             and the usage until now",
    rules: &[
        (
            "a number of a line is given out before it is used",
            "SELECT count(*) FROM counters WHERE name = 'next_line'
                AND value <= (SELECT coalesce(max(id), 0) FROM log_lines)",
        ),
        (
            "a line has a tenant",
            "SELECT count(*) FROM log_lines WHERE tenant_id NOT IN (SELECT id FROM tenants)",
        ),
        (
            "it is known how much each tenant's ids of batches take",
            "SELECT count(*) FROM tenants WHERE batch_bytes !=
                (SELECT coalesce(sum(length(answer) + 2 * length(batch) + 120), 0)
                   FROM batches WHERE tenant_id = tenants.id)",
        ),
    ],
};

/// A tenant's small number.
pub type TenantNumber = i64;

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct IngestDb(Db);

/// A view at one moment.
#[derive(Debug)]
pub struct IngestRead<'r>(&'r Read<'r>);

/// A transaction.
#[derive(Debug)]
pub struct IngestTx<'t>(&'t Tx<'t>);

impl IngestDb {
    /// Opens it, and makes it anew when there is none. One that is damaged is moved aside and made
    /// anew: it must not keep the portal from its jobs.
    ///
    /// # Errors
    /// See [`OpenError`]; one that a newer version has written is refused.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        if !path.exists() {
            tracing::info!(path = %path.display(), "there is no database of logs and usage; making one");
        }
        let error = match Db::open_as(&INGEST, path, Arc::clone(&clock)) {
            Ok(db) => return Ok(Self(db)),
            Err(error @ OpenError::Damaged { .. }) => error,
            Err(error) => return Err(error),
        };
        let aside = with_suffix(path, &format!(".damaged-{}", clock.now()));
        for part in ["-wal", "-shm", ""] {
            match fs::rename(with_suffix(path, part), with_suffix(&aside, part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(OpenError::Create { source: error });
                }
                _ => {}
            }
        }
        tracing::error!(%error, aside = %aside.display(),
            "the database of logs and usage was damaged; it was moved aside and made anew");
        Db::open_as(&INGEST, path, clock).map(Self)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Why nothing can be written any more, if so.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        self.0.fatal()
    }

    /// How long commits took.
    #[must_use]
    pub fn commits(&self) -> &Commits {
        self.0.commits()
    }

    /// Finishes the writes that wait and ends the writer.
    pub fn close(&self) {
        self.0.close();
    }

    /// Runs a closure in a transaction and waits until it is on the disk; see [`Db::write`].
    ///
    /// # Errors
    /// As [`Db::write`].
    pub fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&IngestTx<'_>) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        self.0.write(move |tx| write(&IngestTx(tx)))
    }

    /// Runs a closure over one consistent snapshot.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub fn read<T>(
        &self,
        read: impl FnOnce(&IngestRead<'_>) -> Result<T, AppError>,
    ) -> Result<T, AppError> {
        self.0.read(|inner| read(&IngestRead(inner)))
    }
}

impl IngestRead<'_> {
    const fn sql(&self) -> &rusqlite::Connection {
        self.0.sql()
    }

    /// A tenant's number; none when it has never sent anything.
    ///
    /// # Errors
    /// When the database fails.
    pub fn number(&self, tenant: TenantId) -> Result<Option<TenantNumber>, AppError> {
        Ok(self
            .sql()
            .prepare_cached("SELECT id FROM tenants WHERE tenant = ?1")?
            .query_row([tenant.to_string()], |row| row.get(0))
            .optional()?)
    }
}

impl<'t> IngestTx<'t> {
    fn sql(&self) -> &rusqlite::Connection {
        self.0.sql()
    }

    /// The time of this transaction.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Lets the file not grow through this connection: SQLite then says that the disk is full.
    #[cfg(test)]
    pub(crate) fn let_not_grow(&self) -> Result<(), AppError> {
        self.sql().query_row("PRAGMA max_page_count = 1", [], |_| Ok(()))?;
        Ok(())
    }

    /// The same as a view.
    #[must_use]
    pub fn as_read(&self) -> IngestRead<'t> {
        IngestRead(self.0)
    }

    /// A tenant's number, given out now if it has none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn number(&self, tenant: TenantId) -> Result<TenantNumber, AppError> {
        if let Some(number) = self.as_read().number(tenant)? {
            return Ok(number);
        }
        self.sql().execute("INSERT INTO tenants (tenant) VALUES (?1)", [tenant.to_string()])?;
        Ok(self.sql().last_insert_rowid())
    }
}
