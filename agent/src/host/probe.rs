//! Asking a deployed tenant whether it answers: on its loopback port, and as the public sees it.
//!
//! The public address is pinned to this host, since one behind NAT seldom reaches itself through its
//! own public address, and since the question is whether *this* host serves the domain.

mod tls;

use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::{Domain, Port};
use freehold_protocol::report::EndpointHealth;
use freehold_protocol::time::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, DefaultConnector, NextTimeout, TcpConnector};

use super::names::UrlPath;

/// Most of an answer that is kept.
pub const BODY_LIMIT_BYTES: u64 = 64 * 1024;

/// The certificate authorities that a public site may show.
#[derive(Clone)]
pub struct Roots {
    certificates: Arc<Vec<CertificateDer<'static>>>,
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.certificates.len())
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body, at most [`BODY_LIMIT_BYTES`].
    pub body: String,
    /// Where a redirect leads, or empty.
    pub location: String,
    /// How long it took.
    pub millis: u64,
    /// When the certificate expires that came with it; none without TLS.
    pub expires: Option<Timestamp>,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The certificate authorities cannot be read.
    #[error("the certificate authorities in {path} cannot be read: {why}")]
    Roots {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// There is no connection or no answer.
    #[error("{url} does not answer: {why}")]
    NoAnswer {
        /// What was asked.
        url: String,
        /// Why.
        why: String,
    },
    /// The certificate that the site shows is not to be trusted.
    #[error("{url} shows no valid certificate: {why}")]
    Certificate {
        /// What was asked.
        url: String,
        /// Why.
        why: String,
    },
}

impl From<&ProbeError> for Failure {
    fn from(error: &ProbeError) -> Self {
        let what = error.to_string();
        match error {
            ProbeError::Roots { path, .. } => Self::new(
                FailureClass::Host,
                what,
                format!("install the package ca-certificates, or correct probe.ca_file ({path})"),
            ),
            ProbeError::NoAnswer { url, .. } => Self::new(
                FailureClass::App,
                what,
                format!(
                    "run `curl --include {url}` on the host, and read the containers' logs with `docker logs`"
                ),
            ),
            ProbeError::Certificate { url, .. } => Self::new(
                FailureClass::Host,
                what,
                format!(
                    "run `curl --verbose {url}` on the host; for a private authority set probe.ca_file in /etc/freehold/agent.toml"
                ),
            ),
        }
    }
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        Self::from(&error)
    }
}

impl Roots {
    /// Reads PEM files with authorities; the first is the system's.
    ///
    /// # Errors
    /// When one cannot be read or holds none.
    pub fn read(files: &[&Path]) -> Result<Self, ProbeError> {
        let mut certificates = Vec::new();
        for file in files {
            let refused = |why: String| ProbeError::Roots { path: file.display().to_string(), why };
            let pem = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let found = found.map_err(|error| refused(error.to_string()))?;
            if found.is_empty() {
                return Err(refused("it holds no certificate".to_owned()));
            }
            certificates.extend(found);
        }
        Ok(Self { certificates: Arc::new(certificates) })
    }
}

/// Asks a loopback port, in the name of a domain.
///
/// # Errors
/// When there is no answer. A status such as 500 is an answer.
pub fn loopback(
    port: Port,
    domain: &Domain,
    path: &UrlPath,
    timeout: Duration,
) -> Result<Answer, ProbeError> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let agent = ureq::Agent::new_with_config(config(timeout).build());
    // A health check may answer only to the name that the app serves.
    ask(&url, agent.get(&url).header("host", domain.as_str()))
}

/// Asks the public address, which is looked for at `address`. Nothing is sent before its certificate
/// is found to be valid for the domain at `now`; when it expires comes with the answer.
///
/// # Errors
/// When there is no answer, or the certificate is not valid for the domain.
pub fn public(
    domain: &Domain,
    path: &UrlPath,
    address: SocketAddr,
    roots: &Roots,
    now: Timestamp,
    timeout: Duration,
) -> Result<Answer, ProbeError> {
    crossed((domain, domain), path, address, roots, now, timeout)
}

/// Asks for `host` on a connection that is made for, and shows the certificate of, `domain`; as [`public`],
/// which asks for the same name.
///
/// # Errors
/// When there is no answer, or the certificate is not valid for `domain`.
pub fn crossed(
    (domain, host): (&Domain, &Domain),
    path: &UrlPath,
    address: SocketAddr,
    roots: &Roots,
    now: Timestamp,
    timeout: Duration,
) -> Result<Answer, ProbeError> {
    let port = address.port();
    let url = if port == 443 {
        format!("https://{domain}{path}")
    } else {
        format!("https://{domain}:{port}{path}")
    };
    let judge = tls::Judge::new(domain, roots, now)
        .map_err(|why| ProbeError::Certificate { url: url.clone(), why })?;
    let expires = Arc::new(Mutex::new(None));
    let connector = TcpConnector::default().chain(tls::Tls { judge, expires: expires.clone() });
    let agent = ureq::Agent::with_parts(config(timeout).build(), connector, Pinned(address));
    let mut request = agent.get(&url);
    if host != domain {
        request = request.header("host", host.as_str());
    }
    let mut answer = ask(&url, request)?;
    answer.expires = *expires.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(answer)
}

/// Asks the public address over plain HTTP, for the redirect and the authority's challenges.
///
/// # Errors
/// When there is no answer.
pub fn public_plain(
    domain: &Domain,
    path: &UrlPath,
    address: SocketAddr,
    timeout: Duration,
) -> Result<Answer, ProbeError> {
    let url = format!("http://{domain}:{}{path}", address.port());
    let agent = ureq::Agent::with_parts(
        config(timeout).build(),
        DefaultConnector::default(),
        Pinned(address),
    );
    ask(&url, agent.get(&url))
}

/// When the certificate expires that a site shows, after checking chain, name and validity at `now`
/// like a browser.
///
/// # Errors
/// When there is no connection, or the certificate is not valid for the domain.
pub fn certificate_expiry(
    domain: &Domain,
    address: SocketAddr,
    roots: &Roots,
    now: Timestamp,
    timeout: Duration,
) -> Result<Timestamp, ProbeError> {
    let url = format!("https://{domain}");
    let no_answer =
        |why: &dyn fmt::Display| ProbeError::NoAnswer { url: url.clone(), why: why.to_string() };
    let refused =
        |why: &dyn fmt::Display| ProbeError::Certificate { url: url.clone(), why: why.to_string() };
    let judge = tls::Judge::new(domain, roots, now).map_err(|why| refused(&why))?;
    let mut connection = judge.connection().map_err(|error| refused(&error))?;
    let mut stream =
        TcpStream::connect_timeout(&address, timeout).map_err(|error| no_answer(&error))?;
    let end = Instant::now() + timeout;
    while connection.is_handshaking() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(no_answer(&"no handshake in time"));
        }
        stream
            .set_read_timeout(Some(left))
            .and_then(|()| stream.set_write_timeout(Some(left)))
            .map_err(|error| no_answer(&error))?;
        connection.complete_io(&mut stream).map_err(|error| match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => refused(&error),
            _ => no_answer(&error),
        })?;
    }
    connection.send_close_notify();
    if let Err(error) = connection.write_tls(&mut stream).and_then(|_| stream.flush()) {
        tracing::debug!(%error, "a probed site closed first");
    }
    tls::expiry(&connection).map_err(|why| refused(&why))
}

/// A probe's result as the portal is told; a status below 400 is a good answer.
#[must_use]
pub fn report(url: &str, outcome: &Result<Answer, ProbeError>) -> EndpointHealth {
    let (status, millis, error) = match outcome {
        Ok(answer) if answer.status < 400 => (Some(answer.status), answer.millis, String::new()),
        Ok(answer) => {
            let error = format!("answers with status {}", answer.status);
            (Some(answer.status), answer.millis, error)
        }
        Err(error) => (None, 0, error.to_string()),
    };
    EndpointHealth { url: url.to_owned(), status, millis, error }
}

fn config(timeout: Duration) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        // A proxy of the environment is for the way out, and this does not leave the host.
        .proxy(None)
        .user_agent("freehold-agent")
}

fn ask(
    url: &str,
    request: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
) -> Result<Answer, ProbeError> {
    let begun = Instant::now();
    let no_answer = |why: String| ProbeError::NoAnswer { url: url.to_owned(), why };
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::Rustls(error @ rustls::Error::InvalidCertificate(_)) => {
            ProbeError::Certificate { url: url.to_owned(), why: error.to_string() }
        }
        ureq::Error::Io(error)
            if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            ProbeError::Certificate { url: url.to_owned(), why: error.to_string() }
        }
        error => no_answer(error.to_string()),
    })?;
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let location = location.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    response
        .body_mut()
        .as_reader()
        .take(BODY_LIMIT_BYTES)
        .read_to_end(&mut body)
        .map_err(|error| no_answer(error.to_string()))?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: String::from_utf8_lossy(&body).into_owned(),
        location,
        millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        expires: None,
    })
}

/// A resolver that knows one address.
#[derive(Debug)]
struct Pinned(SocketAddr);

impl Resolver for Pinned {
    fn resolve(
        &self,
        _uri: &ureq::http::Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// The loopback address with a port.
#[must_use]
pub const fn at_loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests;
