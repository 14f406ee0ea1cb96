//! Certificates on the disk: what they say, and whether they serve a domain.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::{BlueprintName, Domain};
use freehold_protocol::time::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::files::{FilesError, Folder};
use super::nginx::CertificateFiles;

/// The chain's file name, in certbot's folders and in the operator's.
pub const CHAIN_FILE: &str = "fullchain.pem";
/// The key's file name.
pub const KEY_FILE: &str = "privkey.pem";

/// What the first certificate of a chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its DNS names, in lower case.
    pub names: Vec<String>,
    /// From when it counts.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
    /// Who issued it, as text.
    pub issuer: String,
    /// Whether it is its own issuer.
    pub self_signed: bool,
    /// Certificates in the file.
    pub chain_length: usize,
}

impl CertificateFacts {
    /// Whether it is for a domain, by name or by a wildcard for exactly one label.
    #[must_use]
    pub fn covers(&self, domain: &Domain) -> bool {
        let wildcard = domain.as_str().split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names.iter().any(|name| name == domain.as_str() || Some(name) == wildcard.as_ref())
    }

    /// Whether it should be renewed: so many days before its end, and one that lives less than twice
    /// as long in the last third of its life. So a new one is never due.
    #[must_use]
    pub fn is_due(&self, before_days: u32, now: Timestamp) -> bool {
        let life = self.not_after.millis_since(self.not_before);
        let before = i64::from(before_days) * 86_400_000;
        let before = if life < 2 * before { life / 3 } else { before };
        self.not_after.millis_since(now) < before
    }

    /// Whether it counts now and for some time on.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// Why a certificate cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is not there.
    #[error("{path} does not exist")]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("a certificate cannot be read")]
    Files {
        /// Why.
        source: FilesError,
    },
    /// A file is not what it should be.
    #[error("{path} is not a {what}: {why}")]
    Form {
        /// Which.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        why: String,
    },
    /// The certificates do not follow each other.
    #[error("{path} is not a chain: certificate {position} did not issue the one before it")]
    Chain {
        /// Which.
        path: PathBuf,
        /// Position of the certificate, from 1.
        position: usize,
    },
    /// The key belongs to another certificate.
    #[error("the key {path} does not belong to the certificate")]
    Key {
        /// Which.
        path: PathBuf,
    },
    /// The certificate is for other names.
    #[error("the certificate {path} is for {}, not for {domain}", .names.join(", "))]
    Names {
        /// Which.
        path: PathBuf,
        /// Its names.
        names: Vec<String>,
        /// The name that it should have.
        domain: Domain,
    },
    /// The certificate does not count now.
    #[error("the certificate {path} has expired or does not count yet")]
    Expired {
        /// Which.
        path: PathBuf,
    },
}

impl From<&CertificateError> for Failure {
    fn from(error: &CertificateError) -> Self {
        let what = error.to_string();
        let advice = match error {
            CertificateError::Files { source } => return Self::from(source),
            CertificateError::Missing { path } | CertificateError::Form { path, .. } => format!(
                "put the certificate with its chain ({CHAIN_FILE}) and its key ({KEY_FILE}), both as PEM, into {}",
                path.parent().unwrap_or(path).display()
            ),
            CertificateError::Chain { path, .. } => format!(
                "write the certificates into {} in order: the site's own first, then the one that issued it",
                path.display()
            ),
            CertificateError::Key { path } => {
                format!(
                    "put the key that the certificate was requested with into {}",
                    path.display()
                )
            }
            CertificateError::Names { path, domain, .. } => format!(
                "put a certificate for {domain} into {}, or let the tenant use ACME",
                path.display()
            ),
            CertificateError::Expired { path } => {
                format!(
                    "renew the certificate in {}, and check the clock with `timedatectl`",
                    path.display()
                )
            }
        };
        Self::new(FailureClass::Host, what, advice)
    }
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        Self::from(&error)
    }
}

/// Reads a chain in PEM.
///
/// # Errors
/// When it holds no certificate, or the certificates do not follow each other.
pub fn parse_chain(path: &Path, pem: &[u8]) -> Result<CertificateFacts, CertificateError> {
    let chain = pem_chain(path, pem)?;
    let form = |why: String| CertificateError::Form {
        path: path.to_owned(),
        what: "certificate chain",
        why,
    };
    let mut parsed = Vec::new();
    for der in &chain {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| form(error.to_string()))?;
        parsed.push(certificate);
    }
    for (position, pair) in parsed.windows(2).enumerate() {
        if pair[0].issuer().as_raw() != pair[1].subject().as_raw() {
            return Err(CertificateError::Chain { path: path.to_owned(), position: position + 2 });
        }
    }
    let leaf = parsed.first().ok_or_else(|| form("it holds none".to_owned()))?;
    let alternative = leaf.subject_alternative_name().map_err(|error| form(error.to_string()))?;
    let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let seconds = |secs: i64| Timestamp::from_millis(secs.saturating_mul(1000));
    Ok(CertificateFacts {
        names: names
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            })
            .collect(),
        not_before: seconds(leaf.validity().not_before.timestamp()),
        not_after: seconds(leaf.validity().not_after.timestamp()),
        issuer: leaf.issuer().to_string(),
        self_signed: leaf.issuer().as_raw() == leaf.subject().as_raw(),
        chain_length: parsed.len(),
    })
}

fn pem_chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let form = |why: String| CertificateError::Form {
        path: path.to_owned(),
        what: "certificate chain",
        why,
    };
    match chain {
        Ok(chain) if chain.is_empty() => Err(form("it holds no certificate in PEM".to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(form(error.to_string())),
    }
}

/// Reads and checks a folder with a chain and its key: they belong together, are for the domain, and
/// count now.
///
/// # Errors
/// When the certificate cannot serve the domain.
pub fn check_folder(
    folder: &Path,
    domain: &Domain,
    now: Timestamp,
) -> Result<CertificateFacts, CertificateError> {
    let (chain_path, key_path) = (folder.join(CHAIN_FILE), folder.join(KEY_FILE));
    let chain = read(&chain_path)?;
    let facts = parse_chain(&chain_path, &chain)?;
    let key = zeroize::Zeroizing::new(read(&key_path)?);
    check_key(&chain_path, &chain, &key_path, &key)?;
    if !facts.covers(domain) {
        let (path, names) = (chain_path, facts.names);
        return Err(CertificateError::Names { path, names, domain: domain.clone() });
    }
    if !facts.is_valid_at(now) {
        return Err(CertificateError::Expired { path: chain_path });
    }
    Ok(facts)
}

/// What the chain of a folder says, whether it can serve or not.
///
/// # Errors
/// When it is missing or cannot be read.
pub fn read_chain(folder: &Path) -> Result<CertificateFacts, CertificateError> {
    let path = folder.join(CHAIN_FILE);
    parse_chain(&path, &read(&path)?)
}

/// Checks a certificate that the operator installed under `base/name`, and names its files.
///
/// # Errors
/// When it cannot serve the domain.
pub fn installed(
    base: &Path,
    name: &BlueprintName,
    domain: &Domain,
    now: Timestamp,
) -> Result<(CertificateFiles, CertificateFacts), CertificateError> {
    let folder = base.join(name.as_str());
    let facts = check_folder(&folder, domain, now)?;
    Ok((files_in(&folder)?, facts))
}

/// The paths of a certificate's files for nginx.
///
/// # Errors
/// When the folder's path is not one that nginx reads without quoting.
pub fn files_in(folder: &Path) -> Result<CertificateFiles, CertificateError> {
    let plain = |name: &str| {
        let path = folder.join(name);
        path.to_string_lossy().parse().map_err(|error: super::names::BadName| {
            CertificateError::Form { path, what: "path for nginx", why: error.to_string() }
        })
    };
    Ok(CertificateFiles { chain: plain(CHAIN_FILE)?, key: plain(KEY_FILE)? })
}

/// certbot's `live` folder holds links to its `archive`, so links are followed here: both folders
/// are root's.
fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let real = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CertificateError::Missing { path: path.to_owned() });
        }
        Err(source) => {
            let source = FilesError::Io { doing: "find", path: path.to_owned(), source };
            return Err(CertificateError::Files { source });
        }
    };
    let missing = || CertificateError::Missing { path: path.to_owned() };
    let folder = real.parent().ok_or_else(missing)?;
    let name = real.file_name().and_then(|name| name.to_str()).ok_or_else(missing)?;
    Folder::open(folder)
        .and_then(|folder| folder.read(name))
        .map_err(|source| CertificateError::Files { source })?
        .ok_or_else(missing)
}

fn check_key(
    chain_path: &Path,
    chain: &[u8],
    key_path: &Path,
    key: &[u8],
) -> Result<(), CertificateError> {
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| CertificateError::Form {
        path: key_path.to_owned(),
        what: "private key",
        why: error.to_string(),
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    match rustls::sign::CertifiedKey::from_der(pem_chain(chain_path, chain)?, key, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(CertificateError::Key { path: key_path.to_owned() })
        }
        Err(error) => Err(CertificateError::Form {
            path: key_path.to_owned(),
            what: "private key",
            why: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests;
