//! Folders and files of ours: atomic, private, and never through a symbolic link.
//!
//! Every name is resolved relative to an open folder with `O_NOFOLLOW`, so a link that a tenant's
//! container or another account planted is an error and not a way out.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use freehold_protocol::failure::{Failure, FailureClass};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Largest file that is read back.
const READ_LIMIT_BYTES: u64 = 4 << 20;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only we (0600).
    Private,
    /// Everybody on the host (0644), as the web server needs it.
    Public,
}

impl Access {
    fn mode(self) -> Mode {
        match self {
            Self::Private => Mode::RUSR | Mode::WUSR,
            Self::Public => Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH,
        }
    }
}

/// Why a file operation did not work.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The operating system refused something.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was refused.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A symbolic link, device or folder stands where a file or folder of ours belongs.
    #[error("{path} is not a plain file or folder of ours")]
    Foreign {
        /// Where.
        path: PathBuf,
    },
    /// A file is larger than anything that we write.
    #[error("{path} is larger than {} bytes", READ_LIMIT_BYTES)]
    TooLarge {
        /// Where.
        path: PathBuf,
    },
}

impl From<&FilesError> for Failure {
    fn from(error: &FilesError) -> Self {
        let what = error.to_string();
        match error {
            FilesError::Io { path, source, .. } => {
                let place = path.display();
                let advice = match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
                        "free space on the disk of {place} (see `df --human-readable {place}` and `docker system df`), and retry the job"
                    ),
                    io::ErrorKind::ReadOnlyFilesystem => format!(
                        "make the file system of {place} writable (see `dmesg` for disk errors), and retry the job"
                    ),
                    io::ErrorKind::PermissionDenied => format!(
                        "let the executor's account own {place}, and name it under ReadWritePaths in freehold-executor.service"
                    ),
                    _ => format!(
                        "see `ls --directory --long {place}` on the host, and retry the job"
                    ),
                };
                Self::new(FailureClass::Host, what, advice).with_detail(source.to_string())
            }
            FilesError::Foreign { path } => Self::new(
                FailureClass::Host,
                what,
                format!(
                    "look at it with `ls --directory --long {}` and move it away",
                    path.display()
                ),
            ),
            FilesError::TooLarge { path } => Self::new(
                FailureClass::Host,
                what,
                format!("look at {}: something else writes to it", path.display()),
            ),
        }
    }
}

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        Self::from(&error)
    }
}

/// An open folder. File names given to its functions are single plain names.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder that must be there.
    ///
    /// # Errors
    /// When it is not, or is a symbolic link.
    pub fn open(path: &Path) -> Result<Self, FilesError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: path.to_owned() }),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(FilesError::Foreign { path: path.to_owned() }),
            Err(error) => Err(failed("open the folder", path)(error)),
        }
    }

    /// Opens a folder, or says that it is not there.
    ///
    /// # Errors
    /// As [`Self::open`], except for absence.
    pub fn open_if_there(path: &Path) -> Result<Option<Self>, FilesError> {
        match Self::open(path) {
            Ok(folder) => Ok(Some(folder)),
            Err(FilesError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that a folder is there and that nobody else can enter it (0700). Its parent must
    /// be there.
    ///
    /// # Errors
    /// When it cannot be made, or something else stands there.
    pub fn ensure_private(path: &Path) -> Result<Self, FilesError> {
        match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) => {
                if let Some(parent) = path.parent() {
                    Self::open(parent)?.sync()?;
                }
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("make the folder", path)(error)),
        }
        let folder = Self::open(path)?;
        let stat = rustix::fs::fstat(&folder.fd).map_err(failed("look at", path))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(FilesError::Foreign { path: path.to_owned() });
        }
        rustix::fs::fchmod(&folder.fd, Mode::RWXU).map_err(failed("protect", path))?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn at(&self, name: &str) -> Result<PathBuf, FilesError> {
        let path = self.path.join(name);
        let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        if plain { Ok(path) } else { Err(FilesError::Foreign { path }) }
    }

    /// The content of a file, or nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be read, is no plain file, or is too large.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FilesError> {
        let path = self.at(name)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(FilesError::Foreign { path }),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(failed("look at", &path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FilesError::Foreign { path });
        }
        let mut bytes = Vec::new();
        File::from(fd)
            .take(READ_LIMIT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| FilesError::Io { doing: "read", path: path.clone(), source })?;
        if bytes.len() as u64 > READ_LIMIT_BYTES {
            return Err(FilesError::TooLarge { path });
        }
        Ok(Some(bytes))
    }

    /// Replaces a file as a whole: after a crash there is the old or the new one, and after the
    /// return the new one survives a power loss.
    ///
    /// # Errors
    /// When the disk is full or read-only, or something else stands there; the old file is as it was.
    pub fn write(&self, name: &str, bytes: &[u8], access: Access) -> Result<(), FilesError> {
        let path = self.at(name)?;
        // Renaming over a link would replace the link, which is safe, but then somebody meddles.
        if let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            && FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        {
            return Err(FilesError::Foreign { path });
        }
        // A leading dot and a foreign ending: no include pattern such as `*.conf` takes it.
        let temporary = format!(".{name}.new");
        self.unlink(&temporary)?;
        let written = self.write_new(&temporary, bytes, access).and_then(|()| {
            rustix::fs::renameat(&self.fd, &temporary, &self.fd, name)
                .map_err(failed("put in place", &path))?;
            self.sync()
        });
        if written.is_err()
            && let Err(error) = self.unlink(&temporary)
        {
            tracing::warn!(%error, "cannot remove a half-written file");
        }
        written
    }

    fn write_new(&self, name: &str, bytes: &[u8], access: Access) -> Result<(), FilesError> {
        let path = self.at(name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, access.mode())
            .map_err(failed("create", &path))?;
        // Whatever the umask is.
        rustix::fs::fchmod(&fd, access.mode()).map_err(failed("protect", &path))?;
        let mut file = File::from(fd);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|source| FilesError::Io {
            doing: "write",
            path,
            source,
        })
    }

    /// Removes a file; that there is none is as good. Returns whether there was one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, FilesError> {
        let was_there = self.unlink(name)?;
        if was_there {
            self.sync()?;
        }
        Ok(was_there)
    }

    fn unlink(&self, name: &str) -> Result<bool, FilesError> {
        let path = self.at(name)?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed("remove", &path)(error)),
        }
    }

    /// Keeps the file as it is now under `NAME.KEEP`, for [`Self::restore`]. A copy that is there
    /// already stays: it is the older one, from before this piece of work began. Returns whether
    /// there is a kept copy.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn keep(&self, name: &str, keep: &str) -> Result<bool, FilesError> {
        let kept = format!("{name}.{keep}");
        let path = self.at(&kept)?;
        // A hard link is enough, since files are only ever replaced and never written into.
        match rustix::fs::linkat(&self.fd, name, &self.fd, &kept, AtFlags::empty()) {
            Ok(()) => self.sync().map(|()| true),
            Err(Errno::EXIST) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failed("keep", &path)(error)),
        }
    }

    /// Puts the kept copy back, or removes the file when none was kept.
    ///
    /// # Errors
    /// When that does not work.
    pub fn restore(&self, name: &str, keep: &str) -> Result<(), FilesError> {
        let kept = format!("{name}.{keep}");
        let path = self.at(&kept)?;
        match rustix::fs::renameat(&self.fd, &kept, &self.fd, name) {
            // Renaming one link of a file over another does nothing and leaves both.
            Ok(()) => self.unlink(&kept).map(|_| ())?,
            Err(Errno::NOENT) => self.unlink(name).map(|_| ())?,
            Err(error) => return Err(failed("put back", &path)(error)),
        }
        self.sync()
    }

    /// Removes the kept copy.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget(&self, name: &str, keep: &str) -> Result<(), FilesError> {
        self.remove(&format!("{name}.{keep}")).map(|_| ())
    }

    /// The names of the plain files in it, sorted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn files(&self) -> Result<Vec<String>, FilesError> {
        let list = failed("list", &self.path);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(&list)? {
            let entry = entry.map_err(&list)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat =
                        rustix::fs::statat(&self.fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                    FileType::from_raw_mode(stat.map_err(&list)?.st_mode)
                }
                kind => kind,
            };
            if kind == FileType::RegularFile {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync(&self) -> Result<(), FilesError> {
        rustix::fs::fsync(&self.fd).map_err(failed("flush", &self.path))
    }
}

/// Removes a folder and everything in it; links in it are removed, not followed. That there is none
/// is as good.
///
/// # Errors
/// When something cannot be removed, or the folder is itself a link.
pub fn remove_folder(path: &Path) -> Result<(), FilesError> {
    if Folder::open_if_there(path)?.is_none() {
        return Ok(());
    }
    std::fs::remove_dir_all(path).map_err(|source| FilesError::Io {
        doing: "remove the folder",
        path: path.to_owned(),
        source,
    })?;
    path.parent().map_or(Ok(()), |parent| Folder::open(parent)?.sync())
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(Errno) -> FilesError {
    let path = path.to_owned();
    move |error| FilesError::Io { doing, path: path.clone(), source: error.into() }
}

#[cfg(test)]
mod tests;
