//! Which certificate authorities vouch for the portal, and what to do when none does.

use std::{fs, io, path::PathBuf};

use rustls::CertificateError;
use ureq::tls::{Certificate, PemItem};

use super::portal::PortalError;
use crate::config::PortalConfig;

/// The certificate authorities of the system and of `portal.ca_file`.
pub(super) fn authorities(config: &PortalConfig) -> Result<Vec<Certificate<'static>>, PortalError> {
    let mut found = Vec::new();
    let mut files: Vec<(&str, &PathBuf)> = Vec::new();
    // A host without the ca-certificates package can still have a private authority.
    if config.system_ca_file.exists() {
        files.push(("portal.system_ca_file", &config.system_ca_file));
    }
    if !config.ca_file.as_os_str().is_empty() {
        files.push(("portal.ca_file", &config.ca_file));
    }
    for (key, file) in files {
        let pem = fs::read(file).map_err(|error: io::Error| {
            PortalError::Setup(format!("{key}: cannot read {}: {error}", file.display()))
        })?;
        let before = found.len();
        for item in ureq::tls::parse_pem(&pem) {
            if let Ok(PemItem::Certificate(certificate)) = item {
                found.push(certificate);
            }
        }
        if found.len() == before {
            return Err(PortalError::Setup(format!(
                "{key}: {} holds no PEM certificate",
                file.display()
            )));
        }
    }
    if found.is_empty() {
        return Err(PortalError::Setup(
            "no certificate authority is known; install the package ca-certificates or set portal.ca_file"
                .into(),
        ));
    }
    Ok(found)
}

/// The fault of TLS behind an error: a handshake fails while bytes are read or written, so that it
/// mostly comes wrapped as one of reading or writing.
pub(super) fn fault(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// What the operator can do about a [`fault`].
pub(super) fn hint(error: &ureq::Error) -> &'static str {
    use CertificateError as Why;
    match fault(error) {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            Why::UnknownIssuer => {
                "the portal's certificate is of an unknown authority: for a private one set portal.ca_file"
            }
            Why::NotValidForName | Why::NotValidForNameContext { .. } => {
                "the certificate is another server's: check the portal's address, and what stands between"
            }
            Why::Expired | Why::ExpiredContext { .. } => {
                "the portal's certificate has expired: have an admin renew it, and check this host's clock"
            }
            Why::NotValidYet | Why::NotValidYetContext { .. } => {
                "the portal's certificate is not valid yet: set this host's clock, `timedatectl set-ntp true`"
            }
            _ => "the portal's certificate was not accepted: have an admin look at it",
        },
        _ => "TLS failed: check that the portal's address is right, and what stands between",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_certificate_has_its_own_remedy() {
        let wrapped = |why| {
            let fault = rustls::Error::InvalidCertificate(why);
            ureq::Error::Io(io::Error::new(io::ErrorKind::InvalidData, fault))
        };
        for (why, remedy) in [
            (CertificateError::UnknownIssuer, "portal.ca_file"),
            (CertificateError::NotValidForName, "address"),
            (CertificateError::Expired, "renew"),
            (CertificateError::NotValidYet, "timedatectl"),
            (CertificateError::Revoked, "look at it"),
        ] {
            let shown = hint(&wrapped(why.clone()));
            assert!(shown.contains(remedy), "{why:?}: {shown}");
        }
        let plain = ureq::Error::Rustls(rustls::Error::HandshakeNotComplete);
        assert!(hint(&plain).contains("TLS"));
        let network = ureq::Error::Io(io::ErrorKind::ConnectionRefused.into());
        assert!(fault(&network).is_none());
    }
}
