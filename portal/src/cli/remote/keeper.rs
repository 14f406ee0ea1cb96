//! The tokens of a user's session on this machine. Several commands share them through one file, of which
//! only one at a time gets new ones: a refresh token that came twice would end the session.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use freehold_protocol::{secret::Secret, time::Timestamp};
use rustix::fs::{FlockOperation, flock};

use super::{
    CallError,
    session::{Session, StoreError},
};
use crate::{
    api::users::SessionTokens,
    clock::{Clock, SystemClock},
};

/// How long another command may take to get its tokens.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether it is done.
const LOCK_LOOK: Duration = Duration::from_millis(50);
/// An access token that ends within so many seconds is not sent any more.
const MARGIN_SECS: i64 = 30;

/// The tokens of a session.
#[derive(Debug, Clone)]
pub(crate) struct UserTokens {
    /// Who has logged in.
    pub(crate) login: String,
    /// What is sent with each request.
    pub(crate) access: Secret,
    /// Until when, by the portal's clock.
    pub(crate) access_until: Timestamp,
    /// What gets the next pair, once.
    pub(crate) refresh: Secret,
}

impl From<SessionTokens> for UserTokens {
    fn from(tokens: SessionTokens) -> Self {
        Self {
            login: tokens.user.login.to_string(),
            access: Secret::new(tokens.access_token),
            access_until: tokens.access_expires_at,
            refresh: Secret::new(tokens.refresh_token),
        }
    }
}

/// Held while the stored login is read and written again.
#[derive(Debug)]
pub(crate) struct StoreLock {
    // Only held: closing the file gives the lock back.
    _file: File,
}

impl StoreLock {
    /// Takes the lock that belongs to the file of a stored login.
    ///
    /// # Errors
    /// When it cannot be made, or another command keeps it for long.
    pub(crate) fn take(login: &Path) -> Result<Self, StoreError> {
        let path = login.with_extension("lock");
        let write = |source| StoreError::Write { file: path.clone(), source };
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(write)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(write)?;
        let began = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < LOCK_WAIT => {
                    thread::sleep(LOCK_LOOK);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::Busy(path)),
                Err(error) => return Err(write(error.into())),
            }
        }
    }
}

/// Removes a stored login; says whether there was one.
///
/// # Errors
/// [`StoreError::Write`].
pub(crate) fn forget(file: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StoreError::Write { file: file.into(), source }),
    }
}

/// Gives access tokens, and gets new ones in time.
#[derive(Debug)]
pub(crate) struct Keeper {
    file: PathBuf,
    tokens: Mutex<UserTokens>,
}

impl Keeper {
    /// For the tokens that were read from a file.
    pub(crate) const fn new(file: PathBuf, tokens: UserTokens) -> Self {
        Self { file, tokens: Mutex::new(tokens) }
    }

    fn tokens(&self) -> MutexGuard<'_, UserTokens> {
        // They are replaced as a whole, so that they are whole after a panic, too.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An access token that is good for now, as far as this machine's clock is right.
    ///
    /// # Errors
    /// As [`Keeper::renew`].
    pub(crate) fn access(
        &self,
        refresh: impl FnOnce(&Secret) -> Result<SessionTokens, CallError>,
    ) -> Result<Secret, CallError> {
        let UserTokens { access, access_until, .. } = self.tokens().clone();
        if SystemClock.now() < access_until.plus_secs(-MARGIN_SECS) {
            return Ok(access);
        }
        self.renew(&access, refresh)
    }

    /// An access token in the place of one that is no good any more: another command's, or new ones.
    ///
    /// # Errors
    /// When the stored login is gone or locked, or the portal gives none.
    pub(crate) fn renew(
        &self,
        stale: &Secret,
        refresh: impl FnOnce(&Secret) -> Result<SessionTokens, CallError>,
    ) -> Result<Secret, CallError> {
        let mut tokens = self.tokens();
        if tokens.access != *stale {
            return Ok(tokens.access.clone());
        }
        let _lock = StoreLock::take(&self.file)?;
        let mut stored = Session::load(&self.file)?.ok_or(StoreError::LoggedOut)?;
        // Somebody else may have logged in meanwhile: this command was not meant for them.
        let Some(now) = stored.user.take().filter(|now| now.login == tokens.login) else {
            return Err(StoreError::LoggedOut.into());
        };
        if now.access != *stale {
            *tokens = now;
            return Ok(tokens.access.clone());
        }
        let fresh = UserTokens::from(refresh(&now.refresh)?);
        stored.user = Some(fresh.clone());
        stored.store(&self.file)?;
        *tokens = fresh;
        Ok(tokens.access.clone())
    }
}
