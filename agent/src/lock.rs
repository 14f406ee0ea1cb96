//! One executor per state folder, and no change of the enrollment under a living one.
//!
//! The lock is a `flock` on a file in the state folder: the kernel lets go of it when its process
//! ends, however that happens, so that it never has to be taken over.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::identity;

/// The lock's name in the state folder.
const FILE: &str = "executor.lock";
/// As much of a holder's number as is read.
const MAX_PID_BYTES: u64 = 32;

/// Held from the start of an executor to its end, or while the enrollment is replaced.
#[derive(Debug)]
pub struct StateLock {
    /// Closing it lets go.
    _file: File,
}

/// Why the state folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the state folder {folder:?} is in use by {}", holder(*pid))]
    Held {
        /// The state folder.
        folder: PathBuf,
        /// Who has it, if the file says so.
        pid: Option<u32>,
    },
    /// The file cannot be used.
    #[error("cannot lock {path:?}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another executor".into(), |pid| format!("another executor, process {pid}"))
}

impl StateLock {
    /// Takes the lock, or says who has it. Makes the state folder when it is not there.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn take(state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join(FILE);
        let failed = |source| LockError::Io { path: path.clone(), source };
        identity::ensure_folder(state_dir, None).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for people: a holder that has not written its number yet is one too.
                let read = Read::by_ref(&mut file).take(MAX_PID_BYTES).read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held { folder: state_dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn one_at_a_time_and_the_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        // What a killed holder has left behind locks nobody out.
        identity::ensure_folder(&state, None).unwrap();
        std::fs::write(state.join(FILE), "4242424242424242\n").unwrap();
        let held = StateLock::take(&state).unwrap();
        let error = StateLock::take(&state).unwrap_err();
        assert!(
            matches!(error, LockError::Held { pid: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(held);
        StateLock::take(&state).unwrap();
    }

    #[test]
    fn nobody_else_can_hold_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        drop(StateLock::take(&state).unwrap());
        // Whoever could open the file could hold the lock, and the executor would not start.
        assert_eq!(std::fs::metadata(state.join(FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
    }
}
