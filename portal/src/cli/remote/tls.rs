//! The certificate authorities that a portal is checked against.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use ureq::tls::{Certificate, PemItem};

/// Where Debian's `ca-certificates` puts the system's authorities.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Largest file of authorities, in bytes.
const MAX_CA_BYTES: u64 = 4 * 1024 * 1024;

/// Why there are no authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthoritiesError {
    /// A file cannot be read.
    #[error("cannot read the certificate authorities in {}", file.display())]
    Read {
        /// Which one.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds none.
    #[error("{} holds no PEM certificate", .0.display())]
    Empty(PathBuf),
    /// There is neither a system's file nor another one.
    #[error("no certificate authority is known")]
    None,
}

/// Reads the system's authorities, where there are any, and those of `extra`.
///
/// # Errors
/// See [`AuthoritiesError`].
pub(crate) fn authorities(
    extra: Option<&Path>,
) -> Result<Vec<Certificate<'static>>, AuthoritiesError> {
    let mut found = Vec::new();
    let system = Path::new(SYSTEM_CA_FILE);
    // A machine without the package can still talk to a portal with a private authority.
    let system = system.exists().then_some(system);
    for file in system.into_iter().chain(extra) {
        let before = found.len();
        let pem =
            read(file).map_err(|source| AuthoritiesError::Read { file: file.into(), source })?;
        for item in ureq::tls::parse_pem(&pem) {
            if let Ok(PemItem::Certificate(certificate)) = item {
                found.push(certificate);
            }
        }
        if found.len() == before {
            return Err(AuthoritiesError::Empty(file.into()));
        }
    }
    if found.is_empty() { Err(AuthoritiesError::None) } else { Ok(found) }
}

fn read(file: &Path) -> Result<Vec<u8>, std::io::Error> {
    let mut pem = Vec::new();
    File::open(file)?.take(MAX_CA_BYTES).read_to_end(&mut pem)?;
    Ok(pem)
}
