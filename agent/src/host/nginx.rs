//! A tenant's site in the host's nginx.
//!
//! One file per tenant in a folder that nginx includes. It is rendered from newtypes only, since
//! `nginx -t` accepts injected blocks; replaced atomically; tested; and the previous file comes back
//! when nginx refuses the new one. Whether the site then answers is the caller's probe.

mod config;
mod error;
mod render;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use freehold_protocol::ids::{Domain, Port, TenantId, TenantSlug};

use super::files::{Access, Folder};
use super::names::{ConfigPath, UrlPath};
use super::turn::{Turn, Turns};
use crate::runner::{Argv, CancelToken, CommandError, Commands, Limits, Program};

pub use config::{NamedServer, parse_dump, tokens};
pub use error::NginxError;
pub use render::{MARK, render_site};

/// How nginx is called, and where tenants' sites go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Further arguments of every nginx call, such as `-c /opt/nginx/nginx.conf`; from the operator's
    /// configuration, never from a job.
    pub args: Vec<String>,
    /// The folder whose `*.conf` nginx includes in its `http` block.
    pub include_dir: PathBuf,
    /// The addresses to listen on; see [`everywhere`].
    pub listen: Vec<IpAddr>,
    /// The plain port.
    pub http_port: u16,
    /// The TLS port.
    pub https_port: u16,
    /// How nginx is told to read its configuration again.
    pub reload: ReloadWith,
    /// The folder from which `/.well-known/acme-challenge/` is served.
    pub webroot: ConfigPath,
}

/// How nginx is told to read its configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadWith {
    /// `systemctl reload nginx`.
    Systemctl,
    /// `nginx -s reload`.
    Nginx,
}

/// All addresses: IPv4, and IPv6 where the host has it (nginx does not start otherwise).
#[must_use]
pub fn everywhere() -> Vec<IpAddr> {
    let mut all = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    if std::path::Path::new("/proc/net/if_inet6").exists() {
        all.push(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }
    all
}

/// A tenant's site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Whose it is; the file is named after it.
    pub tenant: TenantId,
    /// Goes to the app as `X-Organization-Slug`.
    pub slug: TenantSlug,
    /// The only name that it answers to.
    pub domain: Domain,
    /// What it does.
    pub stage: Stage,
    /// Where requests go; the longest path wins.
    pub routes: Vec<Route>,
    /// Largest request body, in MiB.
    pub body_limit_mib: u16,
    /// Longest time that the app may take for an answer, in seconds.
    pub answer_timeout_secs: u16,
}

impl Site {
    /// Largest request body unless a blueprint says otherwise, in MiB.
    pub const BODY_LIMIT_MIB: u16 = 64;
    /// Longest time for an answer unless a blueprint says otherwise, in seconds.
    pub const ANSWER_TIMEOUT_SECS: u16 = 120;
}

/// What a site does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Port 80 only: answers the certificate authority, and tells people to wait.
    Http,
    /// The same, beside the site of the domain that the tenant is about to leave, which goes on.
    Moving(Box<Site>),
    /// The app over HTTPS; port 80 answers the certificate authority and redirects.
    Https(CertificateFiles),
    /// As [`Self::Https`], but with a page that says that the tenant is suspended.
    Suspended(CertificateFiles),
}

/// A certificate with its chain, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// `fullchain.pem`.
    pub chain: ConfigPath,
    /// `privkey.pem`.
    pub key: ConfigPath,
}

/// A path and the loopback port that answers it and everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The path.
    pub path: UrlPath,
    /// The port.
    pub port: Port,
    /// Whether connections may be upgraded to WebSocket.
    pub websocket: bool,
}

/// The one right to change nginx's files. One per executor.
#[derive(Debug, Default)]
pub struct NginxMutex(Turns);

/// Proof that nobody else changes nginx's files now.
#[derive(Debug)]
pub struct NginxLock<'a>(#[expect(dead_code, reason = "held for its drop")] Turn<'a>);

impl NginxMutex {
    /// Waits for its turn; nothing when it was to stop first.
    #[must_use]
    pub fn lock(&self, cancel: &CancelToken) -> Option<NginxLock<'_>> {
        // What a panicking thread left in the files is judged by `nginx -t`.
        self.0.take(cancel).map(NginxLock)
    }
}

/// Longest configuration of nginx, all files together: some 8,000 sites of ours.
pub const MAX_DUMP_BYTES: usize = 32 << 20;

/// The name of a tenant's file in the include folder.
#[must_use]
pub fn file_name(tenant: TenantId) -> String {
    format!("freehold-{tenant}.conf")
}

/// The text of a tenant's site file, or nothing; for the journal, before it is changed.
///
/// # Errors
/// When it cannot be read, or is not ours.
pub fn read_site(settings: &Settings, tenant: TenantId) -> Result<Option<String>, NginxError> {
    let folder = include_dir(settings)?;
    let Some(bytes) =
        folder.read(&file_name(tenant)).map_err(|source| NginxError::Files { source })?
    else {
        return Ok(None);
    };
    let foreign = || NginxError::ForeignFile { path: folder.path().join(file_name(tenant)) };
    let text = String::from_utf8(bytes).map_err(|_| foreign())?;
    if text.starts_with(MARK) { Ok(Some(text)) } else { Err(foreign()) }
}

/// Puts a site in place and lets nginx load it, after one test; on refusal the previous file is back.
///
/// It reloads also when the file is as it should be: a crash may have come before the reload.
///
/// # Errors
/// When another file serves the domain, nginx refuses the site, or nginx was broken before.
pub fn ensure_site(
    commands: &Commands<'_>,
    lock: &NginxLock<'_>,
    settings: &Settings,
    site: &Site,
) -> Result<(), NginxError> {
    let previous = read_site(settings, site.tenant)?;
    place(settings, site.tenant, Some(&render_site(settings, site)))?;
    // nginx tests what it dumps.
    let loaded = look(commands, settings)
        .and_then(|look| refuse_name_clash(&look.config, settings, site.tenant, &site.domain))
        .and_then(|()| reload(commands, lock, settings));
    let Err(error) = loaded else { return Ok(()) };
    put_back(commands, lock, settings, site.tenant, previous.as_deref(), &error)?;
    if matches!(error, NginxError::Refused { .. })
        && let Err(NginxError::Refused { source }) = test(commands, settings)
    {
        return Err(NginxError::BrokenBefore { source });
    }
    Err(error)
}

/// Whether the tenant's file is this site, to the letter.
///
/// # Errors
/// When it cannot be read, or is not ours.
pub fn is_placed(settings: &Settings, site: &Site) -> Result<bool, NginxError> {
    Ok(read_site(settings, site.tenant)?.is_some_and(|text| text == render_site(settings, site)))
}

/// Puts the previous text of a tenant's site back, or removes the site when there was none.
///
/// # Errors
/// When the file is not ours, or nginx does not load its configuration afterwards.
pub fn undo_site(
    commands: &Commands<'_>,
    lock: &NginxLock<'_>,
    settings: &Settings,
    tenant: TenantId,
    previous: Option<&str>,
) -> Result<(), NginxError> {
    let current = read_site(settings, tenant)?;
    if current.is_none() && previous.is_none() {
        return Ok(());
    }
    swap(commands, lock, settings, tenant, previous)
}

/// Removes a tenant's site.
///
/// # Errors
/// As [`undo_site`].
pub fn remove_site(
    commands: &Commands<'_>,
    lock: &NginxLock<'_>,
    settings: &Settings,
    tenant: TenantId,
) -> Result<(), NginxError> {
    undo_site(commands, lock, settings, tenant, None)
}

/// Lets nginx check its whole configuration.
///
/// # Errors
/// When it refuses it.
pub fn test(commands: &Commands<'_>, settings: &Settings) -> Result<(), NginxError> {
    let argv = nginx(settings).words(["-t", "-q"]);
    commands.run(&argv, Limits::CHANGE).map_err(refused)?;
    Ok(())
}

/// Lets nginx load its configuration, without dropping a connection.
///
/// # Errors
/// When nginx does not run, or does not take the order.
pub fn reload(
    commands: &Commands<'_>,
    _lock: &NginxLock<'_>,
    settings: &Settings,
) -> Result<(), NginxError> {
    let argv = match settings.reload {
        ReloadWith::Systemctl => Argv::new(Program::Systemctl).words(["reload", "nginx.service"]),
        ReloadWith::Nginx => nginx(settings).words(["-s", "reload"]),
    };
    commands.run(&argv, Limits::CHANGE).map_err(|source| NginxError::Reload { source })?;
    Ok(())
}

/// The version of nginx, such as `1.22.1`.
///
/// # Errors
/// When nginx is missing.
pub fn version(commands: &Commands<'_>) -> Result<String, NginxError> {
    let output =
        commands.run(&Argv::new(Program::Nginx).word("-v"), Limits::QUERY).map_err(refused)?;
    Ok(parse_version(&format!("{}{}", output.stderr, output.stdout)))
}

fn nginx(settings: &Settings) -> Argv {
    Argv::new(Program::Nginx).passed_on(&settings.args)
}

fn refused(source: CommandError) -> NginxError {
    match source {
        CommandError::NonZero { .. } => NginxError::Refused { source },
        source => NginxError::Command { source },
    }
}

fn include_dir(settings: &Settings) -> Result<Folder, NginxError> {
    Folder::open(&settings.include_dir).map_err(|source| NginxError::Files { source })
}

/// What nginx says of itself and its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its version, such as `1.22.1`.
    pub version: String,
    /// The whole configuration as it sees it.
    pub config: String,
}

/// Lets nginx check its whole configuration and print it: one call for what takes three otherwise.
///
/// # Errors
/// When it refuses it, or when it is too long to look through: a site of the same name as a tenant's
/// may be in the rest, and nginx would serve only one of both.
pub fn look(commands: &Commands<'_>, settings: &Settings) -> Result<Look, NginxError> {
    let argv = nginx(settings).words(["-v", "-T", "-q"]);
    let limits = Limits { output_bytes: MAX_DUMP_BYTES, ..Limits::QUERY };
    let output = commands.run(&argv, limits).map_err(refused)?;
    let version = parse_version(&output.stderr.to_string());
    let config = output.stdout.whole().ok_or(NginxError::TooLong)?.to_owned();
    Ok(Look { version, config })
}

fn parse_version(text: &str) -> String {
    let line = text.lines().find(|line| line.contains("nginx version")).unwrap_or_default();
    line.rsplit_once('/').map_or(line, |(_, version)| version).trim().to_owned()
}

/// Refuses a domain that another file serves on one of our ports.
///
/// # Errors
/// [`NginxError::NameTaken`], with the file.
pub fn refuse_name_clash(
    config: &str,
    settings: &Settings,
    tenant: TenantId,
    domain: &Domain,
) -> Result<(), NginxError> {
    let own = settings.include_dir.join(file_name(tenant));
    for server in parse_dump(config) {
        let on_our_ports = server.ports.is_empty()
            || server.ports.contains(&settings.http_port)
            || server.ports.contains(&settings.https_port);
        if server.name == domain.as_str() && on_our_ports && server.file != own.to_string_lossy() {
            let file = server.file.into();
            return Err(NginxError::NameTaken { domain: domain.clone(), file });
        }
    }
    Ok(())
}

/// Replaces or removes the file, tests and reloads. On an error the file is as it was asked for; the
/// caller decides what comes back.
fn swap(
    commands: &Commands<'_>,
    lock: &NginxLock<'_>,
    settings: &Settings,
    tenant: TenantId,
    text: Option<&str>,
) -> Result<(), NginxError> {
    place(settings, tenant, text)?;
    test(commands, settings)?;
    reload(commands, lock, settings)
}

fn place(settings: &Settings, tenant: TenantId, text: Option<&str>) -> Result<(), NginxError> {
    let folder = include_dir(settings)?;
    let name = file_name(tenant);
    match text {
        Some(text) => folder.write(&name, text.as_bytes(), Access::Public),
        None => folder.remove(&name).map(|_| ()),
    }
    .map_err(|source| NginxError::Files { source })
}

/// After a refusal: the previous file, and a reload if it had come to that.
fn put_back(
    commands: &Commands<'_>,
    lock: &NginxLock<'_>,
    settings: &Settings,
    tenant: TenantId,
    previous: Option<&str>,
    error: &NginxError,
) -> Result<(), NginxError> {
    place(settings, tenant, previous)
        .map_err(|source| NginxError::NotPutBack { source: Box::new(source) })?;
    if matches!(error, NginxError::Reload { .. })
        && let Err(again) = reload(commands, lock, settings)
    {
        // The first error says the same; nginx goes on with what it had loaded.
        tracing::warn!(error = %again, "nginx does not reload the previous configuration either");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
