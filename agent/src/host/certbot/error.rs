//! Why there is no certificate.

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Domain;

use super::call::Refused;
use crate::host::certificate::CertificateError;
use crate::host::files::FilesError;
use crate::runner::CommandError;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertbotError {
    /// certbot ended without one.
    #[error("certbot did not get a certificate for {domain}")]
    NotIssued {
        /// For what.
        domain: Domain,
        /// What it said.
        source: CommandError,
    },
    /// The authority says that there were too many requests.
    #[error("the certificate authority has issued or refused too much for {domain} lately")]
    RateLimited {
        /// For what.
        domain: Domain,
        /// What certbot said.
        source: CommandError,
    },
    /// The authority issues no certificate for such a name, now or later.
    #[error("the certificate authority does not issue certificates for {domain}")]
    Rejected {
        /// For what.
        domain: Domain,
        /// What certbot said.
        source: CommandError,
    },
    /// certbot says yes, and the disk says no.
    #[error("certbot succeeded, but the certificate on the disk cannot serve")]
    OnDisk {
        /// What is wrong with it.
        source: CertificateError,
    },
    /// A certificate cannot be deleted.
    #[error("certbot did not delete the certificate {name}")]
    Delete {
        /// certbot's name for it.
        name: String,
        /// What it said.
        source: CommandError,
    },
    /// A file cannot be read or written.
    #[error("cannot prepare a call of certbot")]
    Files {
        /// Why.
        source: FilesError,
    },
    /// The external account binding has characters that it cannot have.
    #[error("the external account binding is empty or has spaces")]
    Binding,
}

impl CertbotError {
    pub(super) fn from_refused(domain: &Domain, refused: Refused) -> Self {
        let (domain, source) = (domain.clone(), refused.source);
        match refused.code.as_deref() {
            Some("rateLimited") => Self::RateLimited { domain, source },
            Some("rejectedIdentifier" | "unsupportedIdentifier") => {
                Self::Rejected { domain, source }
            }
            _ => Self::NotIssued { domain, source },
        }
    }
}

impl From<&CertbotError> for Failure {
    fn from(error: &CertbotError) -> Self {
        let what = error.to_string();
        match error {
            CertbotError::NotIssued { domain, source } => source.failure(
                FailureClass::Upstream,
                &what,
                &format!(
                    "check that `dig {domain}` gives this host's public address and that port 80 is reachable from the internet; certbot's log is in its logs folder (/var/log/letsencrypt)"
                ),
            ),
            CertbotError::RateLimited { source, .. } => source.failure(
                FailureClass::Upstream,
                &what,
                "wait until the time that the message names, or install a certificate under /etc/freehold/certificates and deploy with it",
            ),
            CertbotError::Rejected { source, .. } => source.failure(
                FailureClass::Request,
                &what,
                "give the tenant another domain, or install a certificate for this one under /etc/freehold/certificates and deploy with it",
            ),
            CertbotError::OnDisk { source } => {
                let cause = Self::from(source);
                Self::new(cause.class, what, cause.advice).with_detail(cause.what)
            }
            CertbotError::Delete { name, source } => source.failure(
                FailureClass::Host,
                &what,
                &format!("run `certbot delete --cert-name {name}` on the host"),
            ),
            CertbotError::Files { source } => Self::from(source),
            CertbotError::Binding => Self::new(
                FailureClass::Host,
                what,
                "correct the file that certbot.eab_file in /etc/freehold/agent.toml names",
            ),
        }
    }
}

impl From<CertbotError> for Failure {
    fn from(error: CertbotError) -> Self {
        Self::from(&error)
    }
}
