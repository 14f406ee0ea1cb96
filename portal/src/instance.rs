//! One portal per data folder: a lock that also keeps `db restore` away from a running portal.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// Held for as long as the data folder is in use. The kernel frees it however the process ends.
#[derive(Debug)]
pub struct InstanceLock {
    // Only held: closing the file gives the lock back.
    _file: File,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process uses it.
    #[error(
        "the data folder {} is in use by another freehold process: stop it first (`systemctl stop freehold`)",
        path.display()
    )]
    InUse {
        /// The folder.
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
}

impl InstanceLock {
    /// Takes the lock of a data folder, and makes the folder (0700) if it is missing.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn take(data_dir: &Path) -> Result<Self, LockError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { what, path, source }
        };
        if !data_dir.exists() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(data_dir)
                .map_err(failed("making the data folder", data_dir))?;
        }
        let path = data_dir.join("portal.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed("opening the lock file", &path))?;
        give_to_owner_of_folder(&path).map_err(failed("giving away", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(LockError::InUse { path: data_dir.to_owned() })
            }
            Err(error) => Err(failed("locking", &path)(error.into())),
        }
    }
}

/// Gives a new file of the data folder to the folder's owner: administrators run commands as root, and
/// the portal, which is not root, must be able to open what they have made. Changes nothing otherwise.
///
/// # Errors
/// When the folder cannot be looked at, or the owner not be changed.
pub fn give_to_owner_of_folder(file: &Path) -> io::Result<()> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let (folder, found) = (fs::metadata(folder)?, fs::metadata(file)?);
    if found.uid() != 0 || folder.uid() == 0 {
        return Ok(());
    }
    std::os::unix::fs::chown(file, Some(folder.uid()), Some(folder.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_and_free_again_after() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let held = InstanceLock::take(&data).unwrap();
        assert!(matches!(InstanceLock::take(&data), Err(LockError::InUse { .. })));
        drop(held);
        assert!(InstanceLock::take(&data).is_ok());
    }
}
