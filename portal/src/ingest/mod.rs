//! What tenants' apps send: logs, usage, health. docs/tenant-apps.md is the contract.
//!
//! A batch is unpacked and read by one of a few threads that step back for all others ([`pool`]), so
//! that license validation and jobs go on while a flood comes; then it goes, in one transaction, to a
//! database of its own ([`crate::db::ingest`]). What one tenant may send is bounded ([`quota`]), what all
//! batches in hand may hold of memory is bounded, and nothing is taken when the disk runs full.

pub mod batch;
pub mod health;
pub mod inflate;
pub mod logs;
mod pool;
pub mod quota;
pub mod stats;
pub mod usage;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use freehold_protocol::{ids::TenantId, time::Timestamp};

use self::{pool::Pool, quota::Quotas, stats::Stats};
use crate::{
    clock::Clock,
    config::Config,
    db::{self, OpenError, ingest::IngestDb},
    domain::ingest::day,
    error::{AppError, Kind, chain},
};

/// Bytes, unpacked, that all batches in hand may have together; more get 503 with `Retry-After`.
const MAX_IN_HAND: usize = 96 << 20;
/// Free bytes of the disk below which nothing is taken: jobs need the rest.
const MIN_FREE_BYTES: u64 = 256 << 20;

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Days of lines.
    pub log_days: u32,
    /// Bytes of the database beyond which the oldest lines go.
    pub max_bytes: u64,
    /// Days of usage.
    pub usage_days: u32,
}

/// Where tenants' apps send to.
#[derive(Debug)]
pub struct Ingest {
    db: RwLock<IngestDb>,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    pool: Pool,
    in_hand: Arc<AtomicUsize>,
    disk_is_low: AtomicBool,
    /// What each tenant may send.
    pub quotas: Quotas,
    /// Counts for `/metrics`.
    pub stats: Stats,
    /// How long things are kept.
    pub keep: Keep,
}

/// A part of [`MAX_IN_HAND`], given back when it is dropped.
#[derive(Debug)]
pub struct InHand {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Ingest {
    /// Opens the database and starts the threads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = config.ingest_database();
        let db = IngestDb::open(&path, Arc::clone(&clock))?;
        let pool = Pool::start().map_err(|source| OpenError::Thread { source })?;
        Ok(Self {
            db: RwLock::new(db),
            path,
            clock,
            pool,
            in_hand: Arc::default(),
            disk_is_low: AtomicBool::new(false),
            quotas: Quotas::new(
                config.ingest_lines_per_minute,
                u64::from(config.ingest_mb_per_day) << 20,
            ),
            stats: Stats::default(),
            keep: Keep {
                log_days: config.keep_logs_days,
                max_bytes: u64::from(config.keep_logs_mb) << 20,
                usage_days: config.keep_usage_days,
            },
        })
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> IngestDb {
        self.db.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does work on one of the threads that step back for others.
    ///
    /// # Errors
    /// 503 when too much waits already; the work's own error.
    pub fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        self.pool.run(work)
    }

    /// Takes a part of the memory for batches in hand.
    ///
    /// # Errors
    /// 503 when none is left.
    pub fn hold(&self, bytes: usize) -> Result<InHand, AppError> {
        let before = self.in_hand.fetch_add(bytes, Ordering::Relaxed);
        let held = InHand { of: Arc::clone(&self.in_hand), bytes };
        if before.saturating_add(bytes) > MAX_IN_HAND {
            return Err(pool::busy());
        }
        Ok(held)
    }

    /// Refuses everything while the disk is nearly full or the database cannot be written.
    ///
    /// # Errors
    /// 503.
    pub fn check_writable(&self) -> Result<(), AppError> {
        if self.disk_is_low.load(Ordering::Relaxed) {
            return Err(AppError::new(
                Kind::Unavailable { retry_after_secs: 60 },
                "disk_low",
                "the portal's disk is nearly full: it takes no logs now",
            )
            .advice("keep the batch and send it again later, with the same batch id"));
        }
        if self.db().fatal().is_some() {
            return Err(db::storage_failed());
        }
        Ok(())
    }

    /// Makes sure that what a tenant has sent today is known, also after a restart.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn know(&self, tenant: TenantId, now: Timestamp) -> Result<(), AppError> {
        if self.quotas.knows(tenant, now) {
            return Ok(());
        }
        let sent = self.db().read(|read| {
            let Some(number) = read.number(tenant)? else { return Ok(0) };
            db::ingest::batches::bytes_of_day(read, number, day(now))
        })?;
        self.quotas.learn(tenant, sent, now);
        Ok(())
    }

    /// Looks after disk and database, now and then. A database that failed is opened anew, so that a
    /// disk that is well again needs nobody.
    pub fn look_after(&self) {
        let low = self.path.parent().is_some_and(|folder| match rustix::fs::statvfs(folder) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize) < MIN_FREE_BYTES,
            Err(error) => {
                tracing::debug!(%error, "the free space of the disk is unknown");
                false
            }
        });
        if self.disk_is_low.swap(low, Ordering::Relaxed) != low {
            if low {
                tracing::error!(
                    "the disk is nearly full: logs of tenants' apps are refused until it is not"
                );
            } else {
                tracing::info!("the disk has room again: logs of tenants' apps are taken");
            }
        }
        let old = self.db();
        if old.fatal().is_none() || low {
            return;
        }
        old.close();
        match IngestDb::open(&self.path, Arc::clone(&self.clock)) {
            Ok(fresh) => {
                *self.db.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                tracing::warn!("the database of logs and usage had failed and was opened anew");
            }
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "the database of logs and usage is not opened yet"
                );
            }
        }
    }

    /// Finishes what waits and ends the writer.
    pub fn close(&self) {
        self.db().close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_database_that_failed_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
        let ingest = Ingest::open(&config, Arc::new(clock)).unwrap();
        let put = |ingest: &Ingest, message: String| {
            let line = db::ingest::logs::NewLine {
                at: ingest.db().now(),
                level: crate::domain::ingest::Level::Info,
                message,
                context: None,
                user_id: None,
                ip: None,
            };
            ingest.db().write(move |tx| {
                let number = tx.number(TenantId::from_uuid(uuid::Uuid::from_u128(1)))?;
                db::ingest::logs::insert(tx, number, &[line])
            })
        };
        put(&ingest, "before".to_owned()).unwrap();
        ingest.check_writable().unwrap();
        // What a disk without room answers: the file may not grow.
        ingest.db().write(|tx| tx.let_not_grow()).unwrap();
        let error = put(&ingest, "x".repeat(1 << 20)).unwrap_err();
        assert_eq!(error.code, "storage_failed");
        assert_eq!(ingest.check_writable().unwrap_err().code, "storage_failed");
        assert!(put(&ingest, "refused".to_owned()).is_err());

        ingest.look_after();
        ingest.check_writable().unwrap();
        put(&ingest, "y".repeat(1 << 20)).unwrap();
        ingest.close();
    }
}
