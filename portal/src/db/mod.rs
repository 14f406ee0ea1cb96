//! The portal's database: SQLite behind one writer thread and a few readers.
//!
//! All SQL of the portal is in this folder, one module per aggregate. Functions that read take
//! [`Read`]; functions that write take [`Tx`], which derefs to [`Read`]. They hold no rules: those are
//! in `domain`, and what belongs together is put together in `app`.
//!
//! A write is acknowledged only after `COMMIT` with `synchronous=FULL`. On an I/O error or a full disk
//! the database turns *fatal*: nothing is acknowledged any more, [`Db::fatal`] says why, and
//! `freehold serve` ends for a clean restart.

pub mod agents;
pub mod audit;
pub mod backup;
pub mod blueprints;
pub mod chain;
pub mod checkpoints;
pub(crate) mod codec;
mod commits;
pub mod customers;
pub mod delivered_keys;
pub mod deployments;
pub mod enrollments;
pub mod events;
pub mod hosts;
pub mod idempotency;
pub mod ingest;
pub mod inventory;
pub mod job_views;
pub mod jobs;
pub mod licenses;
pub mod licensing;
pub mod meta;
mod migrate;
mod open;
pub mod orphans;
mod outcome;
pub mod plans;
pub mod requests;
pub mod restore;
pub mod retention;
mod row;
pub mod running_work;
pub mod seen;
pub mod sessions;
pub mod tenant_disk;
pub mod tenant_keys;
pub mod tenants;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod users;
mod writer;

use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use freehold_protocol::{ids::AgentId, time::Timestamp};
use rusqlite::{Connection, OpenFlags};

pub use commits::Commits;
pub(crate) use open::connect;
pub use open::{OpenError, Schema};
use outcome::STORAGE_FAILED;
pub use outcome::{expect_one, is_storage_failure, is_unique_violation, storage_failed};
use seen::{Seen, SeenBook};

use crate::{
    clock::Clock,
    error::{AppError, chain as causes},
};

/// The portal's own database. Its migrations never change once released.
pub static PORTAL: Schema = Schema {
    owner: "the portal",
    application_id: 0x4648_7074, // FHpt
    migrations: &[
        ("initial", include_str!("../../../migrations/portal/0001_initial.sql")),
        ("licensing", include_str!("../../../migrations/portal/0002_licensing.sql")),
        (
            "revoked hosts, lost jobs, orphan reports",
            include_str!("../../../migrations/portal/0003_revoked_lost_orphans.sql"),
        ),
        ("report asked for", include_str!("../../../migrations/portal/0004_report_asked.sql")),
        ("users", include_str!("../../../migrations/portal/0005_users.sql")),
        ("provision requests", include_str!("../../../migrations/portal/0006_requests.sql")),
        ("delivered keys", include_str!("../../../migrations/portal/0007_delivered_keys.sql")),
        ("report digest", include_str!("../../../migrations/portal/0008_report_digest.sql")),
        ("running work", include_str!("../../../migrations/portal/0009_running_work.sql")),
        ("tenant disk", include_str!("../../../migrations/portal/0010_tenant_disk.sql")),
    ],
    setup: "",
    tuning: "PRAGMA wal_autocheckpoint = 1000;",
    nice: 0,
    remedy: "install the newer freehold again, or restore a backup from before the upgrade with \
             `freehold db restore FILE`",
    rules: backup::PORTAL_RULES,
};

/// Connections for reading.
const READERS: usize = 4;

/// Set once, when the storage can no longer be trusted.
#[derive(Default)]
pub(crate) struct Fatal(OnceLock<String>);

impl Fatal {
    fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
    fn set(&self, reason: String) {
        tracing::error!(reason, "the database can no longer be written; refusing further work");
        // Only the first reason counts: the rest follow from it.
        drop(self.0.set(reason));
    }
}

type LicensingHook = OnceLock<Box<dyn Fn(&Db) + Send + Sync>>;
pub(crate) type WakeHook = Arc<OnceLock<Box<dyn Fn(AgentId) + Send + Sync>>>;

/// The database. Clones share it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
    /// The request that is served by it, if any.
    request: Option<Arc<str>>,
}

struct Inner {
    path: PathBuf,
    writer: SyncSender<writer::Task>,
    readers: Mutex<Vec<Connection>>,
    returned: Condvar,
    clock: Arc<dyn Clock>,
    fatal: Arc<Fatal>,
    commits: Arc<Commits>,
    wake: WakeHook,
    licensing: LicensingHook,
    seen: Arc<SeenBook>,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({})", self.inner.path.display())
    }
}

impl Db {
    /// Opens the portal's database, creates it when there is none, and brings it to this version's
    /// schema. The caller holds the data folder's lock.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_as(&PORTAL, path, clock)
    }

    /// The same for any of our databases.
    fn open_as(
        schema: &'static Schema,
        path: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        if let Some(kept) = restore::finish(path)
            .map_err(|source| OpenError::Restore { source: Box::new(source) })?
        {
            tracing::warn!(kept = %kept.display(), "finished a restore that had been interrupted");
        }
        let connection = open::connect_writer(schema, path)?;
        let readers = (0..READERS)
            .map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY))
            .collect::<Result<Vec<_>, _>>()?;
        let fatal = Arc::new(Fatal::default());
        let wake = WakeHook::default();
        let (seen, commits) = (Arc::new(SeenBook::default()), Arc::new(Commits::default()));
        let desk = writer::Desk {
            clock: Arc::clone(&clock),
            fatal: Arc::clone(&fatal),
            commits: Arc::clone(&commits),
            wake: Arc::clone(&wake),
            seen: Arc::clone(&seen),
        };
        let writer = writer::start(connection, desk, schema.nice)
            .map_err(|source| OpenError::Thread { source })?;
        let inner = Inner {
            path: path.to_owned(),
            writer,
            readers: Mutex::new(readers),
            returned: Condvar::new(),
            clock,
            fatal,
            commits,
            wake,
            licensing: LicensingHook::new(),
            seen,
        };
        Ok(Self { inner: Arc::new(inner), request: None })
    }

    /// The same database for what a request asks: whatever is written through it is the request's, and its
    /// entries of the audit log name it. What the portal does by itself has no request.
    #[must_use]
    pub fn for_request(&self, id: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), request: Some(id.into()) }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The time now, by the clock that transactions use.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Says who is told about [`Tx::wake`] after a commit. Only the first call counts.
    pub fn on_wake(&self, hook: impl Fn(AgentId) + Send + Sync + 'static) {
        drop(self.inner.wake.set(Box::new(hook)));
    }

    /// Says who is told, on the writer's caller's thread and before that caller gets its answer,
    /// when a transaction has changed what license validation depends on. Only the first call counts.
    pub fn on_licensing(&self, hook: impl Fn(&Self) + Send + Sync + 'static) {
        drop(self.inner.licensing.set(Box::new(hook)));
    }

    /// How long commits took.
    #[must_use]
    pub fn commits(&self) -> &Commits {
        &self.inner.commits
    }

    /// Why nothing can be written any more, if so.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        self.inner.fatal.get().map(str::to_owned)
    }

    /// Refuses what would be acknowledged without a write while nothing can be written.
    ///
    /// # Errors
    /// [`crate::error::Kind::Unavailable`].
    pub fn check_writable(&self) -> Result<(), AppError> {
        if self.inner.fatal.get().is_some() { Err(storage_failed()) } else { Ok(()) }
    }

    /// Runs a closure in a transaction and waits until it is on the disk.
    ///
    /// The closure shares its transaction with others (a savepoint each), so it must not wait for
    /// anything: no network, no other [`Db::write`].
    ///
    /// # Errors
    /// The closure's own error, in which case nothing of it is kept; or [`crate::error::Kind::Unavailable`].
    pub fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Tx<'_>) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        self.check_writable()?;
        let request = self.request.clone();
        let (task, answer) = writer::task(move |tx| {
            if let Some(request) = request {
                tx.request.get_or_init(|| request);
            }
            write(tx).map(|value| (value, tx.licensing.get()))
        });
        self.inner.writer.send(task).map_err(|_| storage_failed())?;
        let (value, licensing) = answer.recv().unwrap_or_else(|_| Err(storage_failed()))?;
        if licensing && let Some(hook) = self.inner.licensing.get() {
            hook(self);
        }
        Ok(value)
    }

    /// Runs a closure over one consistent snapshot.
    ///
    /// # Errors
    /// The closure's own error, or [`crate::error::Kind::Unavailable`].
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Read<'_>) -> Result<T, AppError>,
    ) -> Result<T, AppError> {
        let lease = self.borrow_reader();
        let transaction = lease.connection().unchecked_transaction()?;
        let now = self.inner.clock.now();
        let result = read(&Read { connection: &transaction, now, seen: &self.inner.seen });
        transaction.finish()?;
        result
    }

    fn borrow_reader(&self) -> ReaderLease<'_> {
        let mut readers = lock(&self.inner.readers);
        loop {
            if let Some(connection) = readers.pop() {
                return ReaderLease { inner: &self.inner, connection: Some(connection) };
            }
            readers = self.inner.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Finishes the writes that wait, writes down when agents were last seen, folds the write-ahead log
    /// into the file and ends the writer. Later writes are refused.
    pub fn close(&self) {
        if self.inner.fatal.get().is_none()
            && let Err(error) = self.save_seen()
        {
            tracing::warn!(
                error = causes(&error),
                "when agents were last seen was not written down"
            );
        }
        let (done, wait) = sync_channel(1);
        if self.inner.writer.send(writer::Task::Stop(done)).is_ok()
            && wait.recv_timeout(Duration::from_secs(30)).is_err()
        {
            tracing::warn!("the database thread did not end in time");
        }
    }
}

struct ReaderLease<'a> {
    inner: &'a Inner,
    connection: Option<Connection>,
}

impl ReaderLease<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("taken only on drop")
    }
}

impl Drop for ReaderLease<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            lock(&self.inner.readers).push(connection);
            self.inner.returned.notify_one();
        }
    }
}

/// Locks a mutex; a panic of another holder does not stop us, since what our mutexes guard is
/// consistent after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A view of the database at one moment.
pub struct Read<'c> {
    connection: &'c Connection,
    now: Timestamp,
    seen: &'c SeenBook,
}

impl fmt::Debug for Read<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Read(at {})", self.now)
    }
}

impl Read<'_> {
    /// The connection, for the SQL of this folder.
    pub(crate) const fn sql(&self) -> &Connection {
        self.connection
    }
    /// The time of this view: one value for everything that is done with it.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }
    /// Notes that an agent was there. No statement: whoever reads the agent from now on sees it, and it is
    /// written a moment later ([`seen`]).
    pub fn note_seen(&self, agent: AgentId, seen: Seen) {
        self.seen.note(agent, seen);
    }
}

/// A transaction. It has one `now`, so that every row it writes agrees.
pub struct Tx<'c> {
    read: Read<'c>,
    wakes: RefCell<Vec<AgentId>>,
    licensing: Cell<bool>,
    request: OnceCell<Arc<str>>,
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tx(at {})", self.read.now)
    }
}

impl<'c> std::ops::Deref for Tx<'c> {
    type Target = Read<'c>;
    fn deref(&self) -> &Read<'c> {
        &self.read
    }
}

impl<'c> Tx<'c> {
    fn new(connection: &'c Connection, now: Timestamp, seen: &'c SeenBook) -> Self {
        Self {
            read: Read { connection, now, seen },
            wakes: RefCell::new(Vec::new()),
            licensing: Cell::new(false),
            request: OnceCell::new(),
        }
    }

    /// The request that asked for it; none for what the portal does by itself.
    fn request(&self) -> Option<&str> {
        self.request.get().map(AsRef::as_ref)
    }

    /// Wakes an agent's parked poll once this transaction is on the disk.
    pub fn wake(&self, agent: AgentId) {
        self.wakes.borrow_mut().push(agent);
    }

    /// Notes that license validation must see this transaction; `licensing::touch` counts it too.
    fn note_licensing(&self) {
        self.licensing.set(true);
    }

    fn take_wakes(&self) -> Vec<AgentId> {
        self.wakes.take()
    }
}
