//! The key folder on disk: who may read it, and how its files are written.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::KeyError;

/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Whether the database has been used with keys already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortalAge {
    /// Never: keys may be made.
    New,
    /// It has: keys that are not there are lost.
    Used,
}

/// A folder of key files, and systemd's credential folder before it.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    credentials: Option<PathBuf>,
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io { what, path, source }
}

impl Folder {
    /// Opens the folder; a new portal's is created, 0700, when it is not there.
    pub(super) fn open(
        path: &Path,
        credentials: Option<&Path>,
        age: PortalAge,
    ) -> Result<Self, KeyError> {
        for folder in [path.to_owned(), path.join("trust")] {
            if !folder.exists() {
                // An empty one would be in the way of the backup that is moved here next.
                if age == PortalAge::Used {
                    return Err(KeyError::Missing { path: folder });
                }
                fs::DirBuilder::new()
                    .mode(0o700)
                    .recursive(true)
                    .create(&folder)
                    .map_err(io_error("creating the key folder", &folder))?;
            }
            check_mode(&folder, 0o700)?;
        }
        Ok(Self { path: path.to_owned(), credentials: credentials.map(Path::to_owned) })
    }

    /// Where a file is read from: systemd's credential `freehold.NAME` goes before the folder.
    fn locate(&self, name: &str) -> (PathBuf, bool) {
        if let Some(folder) = &self.credentials {
            let credential = folder.join(format!("freehold.{name}"));
            if credential.exists() {
                return (credential, true);
            }
        }
        (self.path.join(name), false)
    }

    /// The file as it is named in messages.
    pub(super) fn shown(&self, name: &str) -> PathBuf {
        self.locate(name).0
    }

    /// Whether a file is one of systemd's credentials, which we cannot replace.
    pub(super) fn is_credential(&self, name: &str) -> bool {
        self.locate(name).1
    }

    /// Reads a file; `None` when it is not there. Refuses one that others may read.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<String>>, KeyError> {
        let (path, is_credential) = self.locate(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(KeyError::Io { what: "opening a key file", path, source });
            }
        };
        // systemd guards its credential folder itself and shows the files as 0440 or 0400.
        if !is_credential {
            check_mode(&path, 0o600)?;
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(io_error("reading a key file", &path))?;
        Ok(Some(text))
    }

    /// Writes a file so that after a power cut there is either all of it or none: temporary file,
    /// fsync, rename, fsync of the folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), KeyError> {
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        let temporary = path.with_extension("new");
        // One left by a crash is worth nothing: nobody has ever been told of it.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("removing an old temporary file", &temporary)(error));
            }
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(io_error("creating a key file", &temporary))?;
        file.write_all(text.as_bytes()).map_err(io_error("writing a key file", &temporary))?;
        file.sync_all().map_err(io_error("syncing a key file", &temporary))?;
        fs::rename(&temporary, &path).map_err(io_error("renaming a key file", &path))?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io_error("syncing the key folder", folder))
    }

    /// Removes a file that is no longer used. A file that stays is no danger, only untidy.
    pub(super) fn remove(&self, name: &str) {
        let path = self.path.join(name);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "an unused key file was not removed");
        }
    }

    /// Names of the files that start with `prefix` and end with `suffix`.
    pub(super) fn list(&self, prefix: &str, suffix: &str) -> Result<Vec<String>, KeyError> {
        let mut names = Vec::new();
        for entry in
            fs::read_dir(&self.path).map_err(io_error("listing the key folder", &self.path))?
        {
            let entry = entry.map_err(io_error("listing the key folder", &self.path))?;
            if let Some(name) = entry.file_name().to_str()
                && name.starts_with(prefix)
                && name.ends_with(suffix)
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

/// Refuses a file or folder that anybody but its owner may use.
fn check_mode(path: &Path, wanted: u32) -> Result<(), KeyError> {
    let mode = fs::metadata(path).map_err(io_error("looking at the permissions of", path))?.mode();
    if mode & 0o077 != 0 {
        return Err(KeyError::Permissions { path: path.to_owned(), mode: mode & 0o777, wanted });
    }
    Ok(())
}
