//! Certificates from an ACME server, through certbot.
//!
//! certbot answers challenges through a folder that every site of ours serves, so it never edits
//! nginx's files. Whether it succeeded is read from the disk, never from its prose.

mod call;
mod error;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use freehold_protocol::ids::{Domain, Email, Sha256Digest, TenantId};
use freehold_protocol::secret::Secret;
use freehold_protocol::time::Timestamp;

use super::certificate::{self, CertificateError, CertificateFacts};
use super::files::{Access, FilesError, Folder};
use super::nginx::CertificateFiles;
use super::turn::{Turn, Turns};
use crate::runner::{Argv, CancelToken, CommandError, Commands, Limits, Program};

pub use error::CertbotError;

/// How certbot is called.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory address of the ACME server; none: Let's Encrypt.
    pub server: Option<String>,
    /// Account address; none: the account has none.
    pub email: Option<Email>,
    /// The external account binding that some authorities ask for.
    pub eab: Option<AccountBinding>,
    /// certbot's `--config-dir`.
    pub config_dir: PathBuf,
    /// certbot's `--work-dir`.
    pub work_dir: PathBuf,
    /// certbot's `--logs-dir`.
    pub logs_dir: PathBuf,
    /// PEM file with the authority that the ACME server's own certificate comes from.
    pub ca_file: Option<PathBuf>,
    /// The folder from which `/.well-known/acme-challenge/` is served.
    pub webroot: PathBuf,
}

/// The external account binding.
#[derive(Debug, Clone)]
pub struct AccountBinding {
    /// The key's name.
    pub kid: String,
    /// The key.
    pub hmac_key: Secret,
}

/// What asking for a certificate led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Where it is.
    pub files: CertificateFiles,
    /// What it says.
    pub facts: CertificateFacts,
    /// Whether it was there before; then an undo must leave it.
    pub was_there: bool,
}

/// The one right to call certbot, which locks itself and fails when called twice.
#[derive(Debug, Default)]
pub struct CertbotMutex(Turns);

/// Proof that certbot does not run now.
#[derive(Debug)]
pub struct CertbotLock<'a> {
    #[expect(dead_code, reason = "held for its drop")]
    turn: Turn<'a>,
    /// When it was asked for: others may have had it for minutes.
    asked: Instant,
}

impl CertbotMutex {
    /// Waits for its turn; nothing when it was to stop first.
    #[must_use]
    pub fn lock(&self, cancel: &CancelToken) -> Option<CertbotLock<'_>> {
        let asked = Instant::now();
        self.0.take(cancel).map(|turn| CertbotLock { turn, asked })
    }
}

/// The server that certbot asks when it is told of none.
const DEFAULT_SERVER: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// certbot's own limit: with fewer days left it renews.
const DUE_DAYS: u32 = 30;
/// The file that carries the account binding, so that it is in no argument list.
const BINDING_FILE: &str = "freehold-eab.ini";

/// certbot's name for the certificate of a tenant for a domain. One that moves has two until it has
/// moved: going back must not depend on the authority. A domain itself can be too long for a file.
#[must_use]
pub fn cert_name(tenant: TenantId, domain: &Domain) -> String {
    let digest = Sha256Digest::of(domain.as_str().as_bytes()).to_string();
    format!("{tenant}-{}", &digest[..16])
}

/// Whose certificate it is, by certbot's name for it.
fn owner(cert_name: &str) -> Option<TenantId> {
    const TENANT_BYTES: usize = 36;
    let (tenant, rest) = cert_name.split_at_checked(TENANT_BYTES)?;
    if rest.is_empty() || rest.starts_with('-') { tenant.parse().ok() } else { None }
}

/// certbot's folder for a tenant's certificate for a domain.
#[must_use]
pub fn folder(settings: &Settings, tenant: TenantId, domain: &Domain) -> PathBuf {
    folder_in(&settings.config_dir, tenant, domain)
}

/// The same below certbot's `--config-dir`.
#[must_use]
pub fn folder_in(config_dir: &Path, tenant: TenantId, domain: &Domain) -> PathBuf {
    config_dir.join("live").join(cert_name(tenant, domain))
}

/// What a tenant's certificate says, when there is one.
///
/// # Errors
/// When there is one that cannot be read.
pub fn find(
    settings: &Settings,
    tenant: TenantId,
    domain: &Domain,
    now: Timestamp,
) -> Result<Option<CertificateFacts>, CertificateError> {
    match certificate::check_folder(&folder(settings, tenant, domain), domain, now) {
        Ok(facts) => Ok(Some(facts)),
        Err(CertificateError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A tenant's certificate, when there is one from the configured server that serves the domain and
/// is not about to expire. Then certbot, which takes seconds, need not be asked.
#[must_use]
pub fn good(
    settings: &Settings,
    request: &Request<'_>,
) -> Option<(CertificateFiles, CertificateFacts)> {
    let Request { tenant, domain, now } = *request;
    let facts = find(settings, tenant, domain, now).ok()??;
    if facts.is_due(DUE_DAYS, now) || !is_from_server(settings, tenant, domain) {
        return None;
    }
    let files = certificate::files_in(&folder(settings, tenant, domain)).ok()?;
    Some((files, facts))
}

/// Whether certbot's own notes do not name another server.
fn is_from_server(settings: &Settings, tenant: TenantId, domain: &Domain) -> bool {
    let notes = format!("{}.conf", cert_name(tenant, domain));
    let notes = settings.config_dir.join("renewal").join(notes);
    let Ok(text) = std::fs::read_to_string(notes) else { return true };
    let wanted = settings.server.as_deref().unwrap_or(DEFAULT_SERVER);
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("server")?.trim().strip_prefix('='))
        .all(|server| server.trim() == wanted)
}

/// What a certificate is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whose it is.
    pub tenant: TenantId,
    /// The name that it is for.
    pub domain: &'a Domain,
    /// When it must count.
    pub now: Timestamp,
}

/// Makes sure that a tenant has a certificate for its domain that is not about to expire.
///
/// # Errors
/// When the authority does not give one, or what is on the disk afterwards cannot serve the domain.
pub fn ensure(
    commands: &Commands<'_>,
    lock: &CertbotLock<'_>,
    settings: &Settings,
    request: &Request<'_>,
) -> Result<Issued, CertbotError> {
    issue(commands, lock, settings, request, "--keep-until-expiring")
}

/// Gets a tenant a new certificate for its domain, whatever there is: whether it is due is the
/// caller's to judge, and certbot would judge by the time that it was once configured with. nginx
/// must reload afterwards.
///
/// # Errors
/// As [`ensure`]; the previous certificate is then as it was.
pub fn renew(
    commands: &Commands<'_>,
    lock: &CertbotLock<'_>,
    settings: &Settings,
    request: &Request<'_>,
) -> Result<Issued, CertbotError> {
    issue(commands, lock, settings, request, "--force-renewal")
}

fn issue(
    commands: &Commands<'_>,
    lock: &CertbotLock<'_>,
    settings: &Settings,
    request: &Request<'_>,
    when: &'static str,
) -> Result<Issued, CertbotError> {
    let Request { tenant, domain, now } = *request;
    let home = folder(settings, tenant, domain);
    let was_there = home.exists();
    ensure_webroot(&settings.webroot)?;
    let binding = write_binding(settings)?;
    let argv = issue_argv(settings, tenant, domain, binding.as_deref()).word(when);
    let outcome = call::with_retries(commands, &argv, &settings.logs_dir);
    remove_binding(settings, binding.is_some());
    outcome.map_err(|refused| CertbotError::from_refused(domain, refused))?;
    let facts = certificate::check_folder(&home, domain, later(now, lock))
        .map_err(|source| CertbotError::OnDisk { source })?;
    let files = certificate::files_in(&home).map_err(|source| CertbotError::OnDisk { source })?;
    Ok(Issued { files, facts, was_there })
}

/// Which of a tenant's certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one for this domain.
    For(&'a Domain),
    /// Every one but that for this domain.
    AllBut(&'a Domain),
    /// Every one.
    All,
}

/// Deletes certificates of a tenant with their keys. That there is none is as good.
///
/// # Errors
/// When one of them is still there.
pub fn delete(
    commands: &Commands<'_>,
    _lock: &CertbotLock<'_>,
    settings: &Settings,
    tenant: TenantId,
    which: Which<'_>,
) -> Result<(), CertbotError> {
    for name in names(settings, tenant, which)? {
        let argv = certbot(settings, "delete").flag("--cert-name", &name);
        commands
            .run(&argv, Limits::CHANGE)
            .map_err(|source| CertbotError::Delete { name, source })?;
    }
    Ok(())
}

/// certbot's names for certificates of a tenant, also for one that is half there.
///
/// # Errors
/// When certbot's folders cannot be read.
pub fn names(
    settings: &Settings,
    tenant: TenantId,
    which: Which<'_>,
) -> Result<BTreeSet<String>, CertbotError> {
    let mut names = names_of(settings, tenant).map_err(|source| CertbotError::Files { source })?;
    names.retain(|name| match which {
        Which::For(domain) => *name == cert_name(tenant, domain),
        Which::AllBut(domain) => *name != cert_name(tenant, domain),
        Which::All => true,
    });
    Ok(names)
}

fn names_of(settings: &Settings, tenant: TenantId) -> Result<BTreeSet<String>, FilesError> {
    let mut names = BTreeSet::new();
    for (part, ending) in [("live", ""), ("renewal", ".conf")] {
        let path = settings.config_dir.join(part);
        let failed =
            |source| FilesError::Io { doing: "list the folder", path: path.clone(), source };
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(ending));
            names.extend(name.filter(|name| owner(name) == Some(tenant)).map(str::to_owned));
        }
    }
    Ok(names)
}

/// A tenant and what its certificate says, or why it cannot be read.
pub type Listed = (TenantId, Result<CertificateFacts, CertificateError>);

/// The certificates that certbot holds for tenants, with what they say. What is not a tenant's is
/// left out; one that cannot be read is an error in its place.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(settings: &Settings) -> std::io::Result<Vec<Listed>> {
    let entries = match std::fs::read_dir(settings.config_dir.join("live")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(tenant) = entry.file_name().to_str().and_then(owner) else { continue };
        let chain = entry.path().join(certificate::CHAIN_FILE);
        let facts = std::fs::read(&chain)
            .map_err(|_| CertificateError::Missing { path: chain.clone() })
            .and_then(|pem| certificate::parse_chain(&chain, &pem));
        found.push((tenant, facts));
    }
    found.sort_by_key(|(tenant, _)| *tenant);
    Ok(found)
}

/// The version of certbot, such as `2.1.0`.
///
/// # Errors
/// When it is missing.
pub fn version(commands: &Commands<'_>) -> Result<String, CommandError> {
    let output = commands.run(&Argv::new(Program::Certbot).word("--version"), Limits::QUERY)?;
    let text = format!("{}{}", output.stdout, output.stderr);
    Ok(text.split_whitespace().last().unwrap_or_default().to_owned())
}

/// The caller's `now`, moved on by what waiting and work took: a fresh certificate counts from its
/// issue, which is after the call.
fn later(now: Timestamp, lock: &CertbotLock<'_>) -> Timestamp {
    now.plus_millis(i64::try_from(lock.asked.elapsed().as_millis()).unwrap_or(i64::MAX))
}

fn certbot(settings: &Settings, verb: &'static str) -> Argv {
    let mut argv = Argv::new(Program::Certbot)
        .word(verb)
        .word("--non-interactive")
        .flag_path("--config-dir", &settings.config_dir)
        .flag_path("--work-dir", &settings.work_dir)
        .flag_path("--logs-dir", &settings.logs_dir);
    if let Some(file) = &settings.ca_file {
        argv = argv.env("REQUESTS_CA_BUNDLE", file);
    }
    argv
}

fn issue_argv(
    settings: &Settings,
    tenant: TenantId,
    domain: &Domain,
    binding: Option<&Path>,
) -> Argv {
    let mut argv = certbot(settings, "certonly")
        .words(["--webroot", "--agree-tos", "--key-type=ecdsa"])
        .flag_path("--webroot-path", &settings.webroot)
        .flag("--domain", domain)
        .flag("--cert-name", cert_name(tenant, domain));
    argv = match &settings.email {
        Some(email) => argv.flag("--email", email),
        None => argv.word("--register-unsafely-without-email"),
    };
    if let Some(server) = &settings.server {
        argv = argv.flag("--server", server);
    }
    if let Some(file) = binding {
        argv = argv.flag_path("--config", file);
    }
    argv
}

/// Makes the folder of challenges, readable by the web server whatever our umask is. One that is
/// there is the operator's and stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn ensure_webroot(path: &Path) -> Result<(), CertbotError> {
    let failed = |source| CertbotError::Files {
        source: FilesError::Io { doing: "make the folder", path: path.to_owned(), source },
    };
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    std::fs::create_dir_all(path).map_err(failed)?;
    for folder in missing {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder, mode).map_err(failed)?;
    }
    Ok(())
}

fn write_binding(settings: &Settings) -> Result<Option<PathBuf>, CertbotError> {
    let Some(binding) = &settings.eab else { return Ok(None) };
    let key = binding.hmac_key.expose();
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !plain(&binding.kid) || !plain(key) {
        return Err(CertbotError::Binding);
    }
    let text =
        zeroize::Zeroizing::new(format!("eab-kid = {}\neab-hmac-key = {key}\n", binding.kid));
    let files = |source| CertbotError::Files { source };
    std::fs::create_dir_all(&settings.work_dir).map_err(|source| {
        files(FilesError::Io { doing: "make the folder", path: settings.work_dir.clone(), source })
    })?;
    let folder = Folder::open(&settings.work_dir).map_err(files)?;
    folder.write(BINDING_FILE, text.as_bytes(), Access::Private).map_err(files)?;
    Ok(Some(settings.work_dir.join(BINDING_FILE)))
}

fn remove_binding(settings: &Settings, was_written: bool) {
    if was_written
        && let Err(error) =
            Folder::open(&settings.work_dir).and_then(|folder| folder.remove(BINDING_FILE))
    {
        tracing::warn!(%error, "cannot remove the file with the account binding");
    }
}

#[cfg(test)]
mod tests;
