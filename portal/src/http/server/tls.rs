//! The server's certificate: read from PEM files, and read again when they change.
//!
//! A renewal must not need a restart (ten thousand agents would reconnect), and a bad renewal must not
//! take the portal down: the old certificate serves on, and the reason is logged.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::config::TlsFiles;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("{} cannot be read as PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// The chain file is PEM and holds no certificate.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The key is of an unknown kind or does not belong to the certificate.
    #[error("the key {} does not fit the certificate {}", key.display(), chain.display())]
    Mismatch {
        /// The chain file.
        chain: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls says.
        #[source]
        source: rustls::Error,
    },
    /// The TLS library refuses to start.
    #[error("TLS cannot be set up")]
    Setup {
        /// What rustls says.
        #[source]
        source: rustls::Error,
    },
}

/// Outcome of looking at the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files are those already in use.
    Unchanged,
    /// A new certificate is in use.
    Renewed,
    /// The new files are no good; the old certificate serves on.
    KeptOld,
}

/// A certificate that can be replaced while the server runs.
pub struct ReloadableCert {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Seen>,
}

/// Which versions of the files were looked at.
struct Seen {
    in_use: Fingerprint,
    /// The last bad version, so that its fault is logged once and not at every look.
    bad: Option<Fingerprint>,
}

/// Tells one version of the two files from the next: modification time, size and inode of both.
type Fingerprint = [(i64, i64, u64, u64); 2];

impl ReloadableCert {
    /// Reads certificate and key.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let in_use = fingerprint(&files);
        let current = RwLock::new(Arc::new(read(&files, &provider)?));
        warn_if_readable_by_all(&files.key);
        let seen = Mutex::new(Seen { in_use, bad: None });
        Ok(Arc::new(Self { files, provider, current, seen }))
    }

    /// Reads the files again if they changed since the last look, and logs what came of it.
    pub fn reload_if_changed(&self) -> Reload {
        let now = fingerprint(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.in_use == now {
            return Reload::Unchanged;
        }
        match read(&self.files, &self.provider) {
            Ok(key) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                *seen = Seen { in_use: now, bad: None };
                tracing::info!(chain = %self.files.chain.display(), "TLS certificate renewed");
                Reload::Renewed
            }
            Err(error) => {
                // certbot writes the two files one after the other: the next look may find them whole.
                if seen.bad.replace(now) != Some(now) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, ?cause, "new TLS certificate refused, the old one serves on");
                }
                Reload::KeptOld
            }
        }
    }

    /// Returns the configuration of a server with this certificate: TLS 1.2 and 1.3, ring, HTTP/1.1.
    pub(super) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let setup = |source| TlsError::Setup { source };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Stateless tickets: thousands of agents that reconnect at once skip the signature.
        config.ticketer = ring::Ticketer::new().map_err(setup)?;
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }

    pub(super) fn check_every(&self) -> std::time::Duration {
        self.files.check_every
    }
}

impl ResolvesServerCert for ReloadableCert {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for ReloadableCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadableCert").field("files", &self.files).finish_non_exhaustive()
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let pem_error = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect)
        .map_err(pem_error(&files.chain))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: files.chain.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem_error(&files.key))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Mismatch {
        chain: files.chain.clone(),
        key: files.key.clone(),
        source,
    })
}

/// A file that cannot be looked at counts as changed: reading it then gives the reason.
fn fingerprint(files: &TlsFiles) -> Fingerprint {
    [&files.chain, &files.key].map(|path| match fs::metadata(path) {
        Ok(meta) => (meta.mtime(), meta.mtime_nsec(), meta.size(), meta.ino()),
        Err(_) => (0, 0, 0, 0),
    })
}

fn warn_if_readable_by_all(key: &Path) {
    if fs::metadata(key).is_ok_and(|meta| meta.mode() & 0o007 != 0) {
        let path = key.display();
        tracing::warn!(%path, "every user of this machine can use the TLS key: chmod o-rwx it");
    }
}
