//! Why a call to the portal gave nothing, and what to do about it.

use std::time::Duration;

use freehold_protocol::problem::Problem;
use rustls::CertificateError as Why;

use super::{session::StoreError, tls::AuthoritiesError};
use crate::{
    cli::error::{CliError, causes_of},
    exit::Exit,
};

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The certificate authorities are not usable.
    #[error("the connection to {url} cannot be set up")]
    Authorities {
        /// The portal.
        url: String,
        /// Why.
        #[source]
        source: AuthoritiesError,
    },
    /// The stored login cannot be used.
    #[error(transparent)]
    Stored(#[from] StoreError),
    /// There was no HTTP answer.
    #[error("the portal {url} cannot be reached")]
    Unreachable {
        /// The portal.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The portal answered with an error.
    #[error("{}", problem_line(problem))]
    Answered {
        /// What it says.
        problem: Box<Problem>,
        /// When to try again, if it says so.
        retry_after: Option<Duration>,
    },
    /// Something else than the portal answered with an error, or it answered with a redirect.
    #[error("{url} answered {status}, and not as a Freehold portal does")]
    Foreign {
        /// The portal.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Where it points to.
        location: Option<String>,
    },
    /// The answer is not the JSON that belongs here.
    #[error("the answer of {url} is malformed")]
    Malformed {
        /// The portal.
        url: String,
        /// In which way.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Whether a name could not be looked up, for which the standard library has words but no kind.
fn is_unknown_name(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound => true,
        ureq::Error::Io(error) => error.to_string().starts_with("failed to lookup address"),
        _ => false,
    }
}

fn problem_line(problem: &Problem) -> &str {
    if problem.detail.is_empty() { &problem.title } else { &problem.detail }
}

impl CallError {
    /// Whether the same request may work later without anybody changing anything: the portal
    /// restarts, is overloaded, or the network is away.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => tls_fault(source).is_none(),
            Self::Answered { problem, .. } => matches!(problem.status, 408 | 425 | 429 | 500..),
            Self::Foreign { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Malformed { .. } | Self::Authorities { .. } | Self::Stored(_) => false,
        }
    }

    /// The portal's code, if it has refused.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Answered { problem, .. } => &problem.code,
            _ => "",
        }
    }

    /// When the portal wants the next try, if it says so.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    const fn exit(&self) -> Exit {
        match self {
            Self::Authorities { .. } | Self::Stored(_) => Exit::Usage,
            Self::Unreachable { .. } | Self::Malformed { .. } | Self::Foreign { .. } => {
                Exit::Portal
            }
            Self::Answered { problem, .. } => match problem.status {
                401 | 403 => Exit::Denied,
                404 | 410 => Exit::NotFound,
                409 | 412 | 428 => Exit::Conflict,
                400..=499 => Exit::Invalid,
                _ => Exit::Portal,
            },
        }
    }

    fn hint(&self) -> String {
        match self {
            // It becomes an error of its own, with its own hint.
            Self::Stored(_) => String::new(),
            Self::Authorities { .. } => {
                "install the package ca-certificates, or name the portal's authority with --ca-file"
                    .into()
            }
            Self::Unreachable { source, .. } => match source.as_ref() {
                error if tls_fault(error).is_some() => match tls_fault(error) {
                    Some(rustls::Error::InvalidCertificate(
                        Why::NotValidForName | Why::NotValidForNameContext { .. },
                    )) => "the certificate is another server's: check the address, and what stands between".into(),
                    _ => "the portal's certificate was not accepted; for a private authority use --ca-file FILE".into(),
                },
                error if is_unknown_name(error) => "check the portal's name and this machine's DNS".into(),
                _ => "check that the portal runs, the address, the network and the proxy".into(),
            },
            Self::Answered { problem, .. } if !problem.advice.is_empty() => problem.advice.clone(),
            Self::Answered { problem, .. } => match problem.status {
                401 => "log in again with `freehold login URL`".into(),
                403 => "ask an owner for a token with a higher role".into(),
                412 | 428 => "somebody else has changed it meanwhile: look again, then repeat".into(),
                _ => String::new(),
            },
            Self::Foreign { location: Some(location), .. } => {
                format!("it points to {location}: use the address of the portal itself")
            }
            Self::Foreign { .. } | Self::Malformed { .. } => {
                "check the address, and what stands between this machine and the portal".into()
            }
        }
    }
}

/// The fault of TLS behind an error: a handshake fails while bytes are read or written, so that it
/// mostly comes wrapped as one of reading or writing.
fn tls_fault(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        let error = match error {
            CallError::Stored(error) => return error.into(),
            other => other,
        };
        let mut shown = Self::new(error.exit(), error.to_string()).hint(error.hint());
        shown.causes = causes_of(&error);
        if let CallError::Answered { problem, .. } = error {
            shown.code = problem.code;
            shown.request_id = problem.request_id;
            shown.fields = problem.errors;
        }
        shown
    }
}
