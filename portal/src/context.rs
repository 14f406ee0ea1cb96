//! What every request and background thread of the portal shares.

use std::{env, path::PathBuf, sync::Arc};

use freehold_protocol::secret::Secret;

use crate::{
    app::{self, password_hash::PasswordHasher},
    clock::Clock,
    config::Config,
    db::{self, Db},
    error::AppError,
    ingest::Ingest,
    instance::{InstanceLock, LockError},
    keys::{KeyError, KeyRing},
    licensing::Desk,
    nonces::NonceCache,
    waiting_room::WaitingRoom,
};

/// A portal that has been opened. Clones of the [`Arc`] around it go to every thread.
#[derive(Debug)]
pub struct Portal {
    /// Its configuration.
    pub config: Config,
    /// Its database.
    pub db: Db,
    /// Its keys.
    pub keys: KeyRing,
    /// Where tenants' apps ask about licenses.
    pub licensing: Arc<Desk>,
    /// Where tenants' apps send logs, usage and health.
    pub ingest: Arc<Ingest>,
    /// Where polls wait.
    pub waiting_room: Arc<WaitingRoom>,
    /// Hashes passwords, a few at a time.
    pub hasher: PasswordHasher,
    /// Nonces of signed requests.
    pub nonces: NonceCache,
    _lock: InstanceLock,
}

/// Why the portal does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder is in use or unusable.
    #[error("the data folder cannot be used")]
    Lock(#[source] LockError),
    /// The database cannot be used.
    #[error("the database {} cannot be used", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: db::OpenError,
    },
    /// The keys cannot be used.
    #[error("the keys cannot be used")]
    Keys(#[source] KeyError),
    /// The database was opened but did not answer.
    #[error("the database could not be prepared")]
    Prepare(#[source] AppError),
}

impl Portal {
    /// Locks the data folder, opens database and keys, and creates both at the very first start.
    /// While no token was ever made it also returns a new owner token, to be printed once.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing that was there is replaced.
    pub fn open(
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<Secret>), OpenError> {
        let lock = InstanceLock::take(&config.data_dir).map_err(OpenError::Lock)?;
        let path = config.database();
        let db = Db::open(&path, Arc::clone(&clock))
            .map_err(|source| OpenError::Database { path, source })?;
        let path = config.ingest_database();
        let ingest = Ingest::open(&config, clock)
            .map(Arc::new)
            .map_err(|source| OpenError::Database { path, source })?;
        let known = db.read(db::meta::known_keys).map_err(OpenError::Prepare)?;
        // systemd hands credentials over in a folder of their own (`LoadCredential=`).
        let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let keys = KeyRing::open(&config.keys_dir(), credentials.as_deref(), &known, db.now())
            .map_err(OpenError::Keys)?;
        let current = keys.current();
        let noted = current.known();
        let licensing = Arc::new(Desk::open(&db, current.master()).map_err(OpenError::Prepare)?);
        let desk = Arc::clone(&licensing);
        db.on_licensing(move |db| desk.look(db));
        let owner = db
            .write(move |tx| {
                app::rotate_key::note_at_start(tx, &noted)?;
                app::tokens::create_first_owner(tx, current.master())
            })
            .map_err(OpenError::Prepare)?;
        let waiting_room = Arc::new(WaitingRoom::default());
        let room = Arc::clone(&waiting_room);
        db.on_wake(move |agent| room.wake(agent));
        let nonces = NonceCache::default();
        let hasher = PasswordHasher::new().map_err(OpenError::Prepare)?;
        Ok((
            Self { config, db, keys, licensing, ingest, waiting_room, hasher, nonces, _lock: lock },
            owner,
        ))
    }
}
