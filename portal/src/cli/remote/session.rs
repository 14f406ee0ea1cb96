//! Where the portal is and who asks: flags and environment over what `freehold login` stored.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use freehold_protocol::{secret::Secret, time::Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Address, UserTokens};
use crate::{cli::error::CliError, exit::Exit};

/// Largest stored session, in bytes.
const MAX_SESSION_BYTES: u64 = 64 * 1024;

/// How the portal is reached.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The portal's address, in place of the one that `freehold login` stored
    ///
    /// What is stored is sent to the stored address only: with another address, give a token in
    /// FREEHOLD_TOKEN.
    #[arg(long, global = true, value_name = "URL", env = "FREEHOLD_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    /// A PEM file with the authority of the portal's certificate, besides the system's
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "FREEHOLD_CA_FILE",
        hide_env_values = true
    )]
    pub(crate) ca_file: Option<PathBuf>,
    /// Allow http:// to another machine: the token then travels in the clear
    #[arg(long, global = true)]
    pub(crate) insecure_http: bool,
}

/// A portal and what proves to it who asks.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Where it is.
    pub(crate) address: Address,
    /// An authority besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// An API token.
    pub(crate) token: Option<Secret>,
    /// The session of a user, in place of a token.
    pub(crate) user: Option<UserTokens>,
    /// Whether http:// to another machine was allowed.
    pub(crate) insecure_http: bool,
}

/// The stored form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    url: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    user: Option<StoredUser>,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default)]
    insecure_http: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredUser {
    login: String,
    access_token: String,
    access_until: Timestamp,
    refresh_token: String,
}

/// Why a session cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is no place for it.
    #[error("there is no folder for the login: neither XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    /// It cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// Where it is.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read it.
    #[error("{} can be read by others", .0.display())]
    Exposed(PathBuf),
    /// It is not what this program writes.
    #[error("{} is not a stored login: {what}", file.display())]
    Malformed {
        /// Where it is.
        file: PathBuf,
        /// In which way.
        what: String,
    },
    /// Another command holds it.
    #[error("{} is held by another freehold command", .0.display())]
    Busy(PathBuf),
    /// It was there when the command began.
    #[error("somebody has logged out meanwhile")]
    LoggedOut,
    /// It cannot be written or removed.
    #[error("cannot write {}", file.display())]
    Write {
        /// Where it is.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::NoHome => "set HOME, or use FREEHOLD_URL and FREEHOLD_TOKEN".to_owned(),
            StoreError::Exposed(file) => format!(
                "run `chmod 600 {}`; if others may have read it, run `freehold logout`, or revoke the token with `freehold token revoke`",
                file.display()
            ),
            StoreError::Busy(_) => "see what that command waits for, then try again".to_owned(),
            StoreError::Malformed { .. } | StoreError::LoggedOut => {
                "run `freehold login URL` again".to_owned()
            }
            StoreError::Read { .. } | StoreError::Write { .. } => {
                "check the owner and rights of the file and its folder".to_owned()
            }
        };
        let causes = super::super::error::causes_of(&error);
        let mut shown = Self::new(Exit::Usage, error.to_string()).hint(hint);
        shown.causes = causes;
        shown
    }
}

/// The file that `freehold login` writes.
///
/// # Errors
/// [`StoreError::NoHome`].
pub(crate) fn path() -> Result<PathBuf, StoreError> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .ok_or(StoreError::NoHome)?;
    Ok(base.join("freehold").join("remote.toml"))
}

impl Session {
    /// Reads what was stored; none when nobody has logged in.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn load(file: &Path) -> Result<Option<Self>, StoreError> {
        let read = |source| StoreError::Read { file: file.into(), source };
        let opened = match File::open(file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
        };
        if opened.metadata().map_err(read)?.mode() & 0o077 != 0 {
            return Err(StoreError::Exposed(file.into()));
        }
        let mut text = String::new();
        opened.take(MAX_SESSION_BYTES).read_to_string(&mut text).map_err(read)?;
        let malformed = |what: String| StoreError::Malformed { file: file.into(), what };
        // The parser's message could quote the token's line.
        let stored: Stored = toml::from_str(&text)
            .map_err(|error: toml::de::Error| malformed(error.message().to_owned()))?;
        let address: Address =
            stored.url.parse().map_err(|error| malformed(format!("url: {error}")))?;
        let (token, user) = match (stored.token, stored.user) {
            (Some(token), None) => (Some(Secret::new(token)), None),
            (None, Some(user)) => {
                let user = UserTokens {
                    login: user.login,
                    access: Secret::new(user.access_token),
                    access_until: user.access_until,
                    refresh: Secret::new(user.refresh_token),
                };
                (None, Some(user))
            }
            _ => return Err(malformed("it has neither a token nor a user, or both".to_owned())),
        };
        Ok(Some(Self {
            address,
            ca_file: stored.ca_file,
            token,
            user,
            insecure_http: stored.insecure_http,
        }))
    }

    /// Stores it, readable by its owner alone; the file is whole at every moment.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn store(&self, file: &Path) -> Result<(), StoreError> {
        let write = |source| StoreError::Write { file: file.into(), source };
        let folder = file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(write)?;
        let fresh = folder.join(format!(".remote.toml.{}", std::process::id()));
        let result = self.write_to(&fresh).and_then(|()| fs::rename(&fresh, file));
        if result.is_err() && fs::remove_file(&fresh).is_err() {
            // It was never made, or the folder is gone: there is nothing left to clear away.
        }
        result.map_err(write)
    }

    fn write_to(&self, file: &Path) -> io::Result<()> {
        // Every JSON string is a TOML basic string.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text =
            "# Written by `freehold login`. It holds a token: keep it private.\n".to_owned();
        text.push_str(&format!("url = {}\n", quoted(&self.address.to_string())));
        if let Some(token) = &self.token {
            text.push_str(&format!("token = {}\n", quoted(token.expose())));
        }
        if let Some(ca_file) = &self.ca_file {
            text.push_str(&format!("ca_file = {}\n", quoted(&ca_file.to_string_lossy())));
        }
        if self.insecure_http {
            text.push_str("insecure_http = true\n");
        }
        // A table stands at the end.
        if let Some(user) = &self.user {
            text.push_str("\n[user]\n");
            text.push_str(&format!("login = {}\n", quoted(&user.login)));
            text.push_str(&format!("access_token = {}\n", quoted(user.access.expose())));
            text.push_str(&format!("access_until = {}\n", user.access_until.as_millis()));
            text.push_str(&format!("refresh_token = {}\n", quoted(user.refresh.expose())));
        }
        let text = Zeroizing::new(text);
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    }

    /// Refuses to speak unencrypted to another machine, unless that was allowed.
    ///
    /// # Errors
    /// A usage error.
    pub(crate) fn check_transport(&self) -> Result<(), CliError> {
        if self.address.is_tls() || self.address.is_loopback() || self.insecure_http {
            return Ok(());
        }
        Err(CliError::new(
            Exit::Usage,
            format!("{} is not encrypted, and not on this machine", self.address),
        )
        .hint("use https://; --insecure-http allows it and shows the token to the network"))
    }
}

/// The session of this command: flags and environment, then the stored login.
///
/// # Errors
/// When there is no address, or a part of it is wrong.
pub(crate) fn resolve(args: &ConnectArgs) -> Result<Session, CliError> {
    let token = match std::env::var("FREEHOLD_TOKEN") {
        Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim().to_owned())),
        _ => None,
    };
    // A broken or missing home does not matter to whoever gives everything in the environment.
    let stored = match (path(), &args.url, &token) {
        (Err(_), Some(_), Some(_)) => None,
        (file, ..) => Session::load(&file?)?,
    };
    merge(args, token, stored)
}

fn merge(
    args: &ConnectArgs,
    token: Option<Secret>,
    stored: Option<Session>,
) -> Result<Session, CliError> {
    let mut session = match (&args.url, stored) {
        (Some(url), stored) => {
            let address = parse_url(url)?;
            match stored.filter(|stored| stored.address == address) {
                Some(stored) => stored,
                // A stored token is never sent to another address than it was stored for.
                None => Session {
                    address,
                    ca_file: None,
                    token: None,
                    user: None,
                    insecure_http: false,
                },
            }
        }
        (None, Some(stored)) => stored,
        (None, None) => {
            return Err(CliError::new(Exit::Denied, "nobody is logged in to a portal")
                .hint("run `freehold login URL`, or set FREEHOLD_URL and FREEHOLD_TOKEN"));
        }
    };
    if token.is_some() {
        (session.token, session.user) = (token, None);
    }
    if args.ca_file.is_some() {
        session.ca_file.clone_from(&args.ca_file);
    }
    session.insecure_http |= args.insecure_http;
    session.check_transport()?;
    Ok(session)
}

/// Reads an address.
///
/// # Errors
/// A usage error.
pub(crate) fn parse_url(url: &str) -> Result<Address, CliError> {
    url.parse().map_err(|error| CliError::new(Exit::Usage, format!("{error}")))
}

#[cfg(test)]
mod tests;
