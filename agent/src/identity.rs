//! The agent's three private keys and the poller's knowledge of its portal, as files.
//!
//! The identity key is the poller's and signs HTTP requests. The report key and the seal key are the
//! executor's: the poller cannot forge a report or open a secret. A key file is 0600 and is refused
//! when anybody else could read it.

mod paths;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use freehold_protocol::{
    ids::{AgentId, HostName, PortalId},
    keys::SigningKey,
    seal::SealKey,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use paths::Paths;
use paths::credentials;

/// Largest key or enrollment file that is read.
const MAX_BYTES: u64 = 16 * 1024;

/// Why a file of ours was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It is not there.
    #[error("{path:?} does not exist")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot {verb} {path:?}")]
    Io {
        /// `read`, `write` or `remove`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read it.
    #[error("{path:?} has mode {mode:o}: others can read this private key")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Its content is not what it should be.
    #[error("{path:?} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

impl IdentityError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => "enroll this host: `freehold-agent enroll`".into(),
            Self::Io { .. } => "run as root, and check the folder's permissions and space".into(),
            Self::Exposed { path, .. } => format!(
                "run `chmod 600 {}`; if somebody may have read it, enroll anew with --force",
                path.display()
            ),
            Self::Damaged { .. } => {
                "restore it from a backup, or enroll anew: `freehold-agent enroll --force`".into()
            }
            Self::Random => "look at the kernel's log".into(),
        }
    }
}

/// An account's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
}

/// Finds an account of `/etc/passwd`, where sysusers puts ours.
#[must_use]
pub fn account(name: &str) -> Option<Account> {
    if name.is_empty() {
        return None;
    }
    parse_passwd(&fs::read_to_string("/etc/passwd").ok()?, name)
}

fn parse_passwd(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { uid, gid })
    })
}

/// Where the poller finds its portal; written at enrollment, readable by the poller only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortalFile {
    /// Address.
    pub url: String,
    /// The portal's id.
    pub portal: PortalId,
    /// This agent's id.
    pub agent_id: AgentId,
    /// The host's name there.
    pub host_name: HostName,
}

/// Reads an Ed25519 key file.
///
/// # Errors
/// See [`IdentityError`].
pub fn read_signing_key(path: &Path) -> Result<SigningKey, IdentityError> {
    let text = read_private(path)?;
    SigningKey::from_pem(&text).map_err(|error| damaged(path, error.to_string()))
}

/// Reads the seal key.
///
/// # Errors
/// See [`IdentityError`].
pub fn read_seal_key(path: &Path) -> Result<SealKey, IdentityError> {
    let text = read_private(path)?;
    SealKey::from_text(&text).map_err(|error| damaged(path, error.to_string()))
}

/// Reads where the portal is.
///
/// # Errors
/// See [`IdentityError`].
pub fn read_portal(path: &Path) -> Result<PortalFile, IdentityError> {
    let text = read_private(path)?;
    serde_json::from_slice(text.as_bytes()).map_err(|error| damaged(path, error.to_string()))
}

/// Reads an Ed25519 key file, or draws the key and writes the file.
///
/// # Errors
/// See [`IdentityError`].
pub fn ensure_signing_key(
    path: &Path,
    owner: Option<Account>,
) -> Result<SigningKey, IdentityError> {
    match read_signing_key(path) {
        Err(IdentityError::Missing { .. }) => {
            let key = SigningKey::from_seed(&*random::<32>()?);
            let pem = key.to_pem().map_err(|error| damaged(path, error.to_string()))?;
            write_private(path, pem.as_bytes(), owner)?;
            Ok(key)
        }
        other => other,
    }
}

/// Reads the seal key, or draws it and writes the file.
///
/// # Errors
/// See [`IdentityError`].
pub fn ensure_seal_key(path: &Path) -> Result<SealKey, IdentityError> {
    match read_seal_key(path) {
        Err(IdentityError::Missing { .. }) => {
            let key = SealKey::from_bytes(&*random::<32>()?)
                .map_err(|error| damaged(path, error.to_string()))?;
            write_private(path, key.to_text().as_bytes(), None)?;
            Ok(key)
        }
        other => other,
    }
}

/// Random bytes of the system.
///
/// # Errors
/// [`IdentityError::Random`].
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, IdentityError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| IdentityError::Random)?;
    Ok(bytes)
}

fn damaged(path: &Path, why: String) -> IdentityError {
    IdentityError::Damaged { path: path.to_owned(), why }
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => IdentityError::Missing { path: path.to_owned() },
        _ => IdentityError::Io { verb: "read", path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    // systemd guards its credentials itself, and shows them as 0440 or 0400.
    let guarded = credentials().is_some_and(|folder| path.starts_with(folder));
    if mode & 0o077 != 0 && !guarded {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Writes a 0600 file so that after a power cut either the old or the new one is there.
///
/// # Errors
/// [`IdentityError::Io`].
pub fn write_private(
    path: &Path,
    bytes: &[u8],
    owner: Option<Account>,
) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::Io { verb: "write", path: path.to_owned(), source };
    let folder = path.parent().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    ensure_folder(folder, owner).map_err(failed)?;
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if let Some(owner) = owner.filter(|_| rustix::process::geteuid().is_root()) {
        rustix::fs::fchown(
            &file,
            Some(rustix::fs::Uid::from_raw(owner.uid)),
            Some(rustix::fs::Gid::from_raw(owner.gid)),
        )
        .map_err(|error| failed(error.into()))?;
    }
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Copies a private file of ours, for another owner.
///
/// # Errors
/// When it is missing, exposed, or cannot be written.
pub fn copy_private(from: &Path, to: &Path, owner: Option<Account>) -> Result<(), IdentityError> {
    write_private(to, read_private(from)?.as_bytes(), owner)
}

/// Removes a file of ours; one that is not there is no error.
///
/// # Errors
/// [`IdentityError::Io`].
pub fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(IdentityError::Io { verb: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Puts a file of ours in the place of another in the same folder, durably.
///
/// # Errors
/// When it cannot be moved.
pub fn replace(from: &Path, to: &Path) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::Io { verb: "write", path: to.to_owned(), source };
    fs::rename(from, to).map_err(failed)?;
    let folder = to.parent().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Makes a 0700 folder when it is not there, owned by `owner`. A folder that is there is left alone.
///
/// # Errors
/// When it cannot be made.
pub fn ensure_folder(folder: &Path, owner: Option<Account>) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::create_dir(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    match owner.filter(|_| rustix::process::geteuid().is_root()) {
        Some(owner) => chown(folder, Some(owner.uid), Some(owner.gid)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_drawn_once_and_guarded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys").join("report.pem");
        let first = ensure_signing_key(&path, None).unwrap();
        let again = ensure_signing_key(&path, None).unwrap();
        assert_eq!(first.public(), again.public());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_signing_key(&path), Err(IdentityError::Exposed { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "-----BEGIN").unwrap();
        assert!(matches!(ensure_signing_key(&path, None), Err(IdentityError::Damaged { .. })));

        let seal = dir.path().join("seal.key");
        let first = ensure_seal_key(&seal).unwrap();
        assert_eq!(first.public(), ensure_seal_key(&seal).unwrap().public());
    }

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\nfreehold-agents:x:7:7::/:/\nfreehold-agent:x:997:996:F:/:/n\nbad:x:y:z\n";
        assert_eq!(parse_passwd(passwd, "freehold-agent"), Some(Account { uid: 997, gid: 996 }));
        assert_eq!(parse_passwd(passwd, "freehold"), None);
        assert_eq!(parse_passwd(passwd, "bad"), None);
    }
}
