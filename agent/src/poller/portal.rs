//! The portal over HTTP: blocking, signed, every wait bounded.

use std::{sync::Arc, time::Duration};

use freehold_protocol::{
    PROTOCOL_VERSION,
    httpsig::{SignedParts, sign},
    ids::{AgentId, Nonce},
    keys::SigningKey,
    problem::Problem,
    shape,
    time::Timestamp,
    wire::MAX_AGENT_BODY_BYTES,
};
use serde::{Serialize, de::DeserializeOwned};
use ureq::tls::{RootCerts, TlsConfig};

use super::{address::Address, tls};
use crate::{
    config::PortalConfig,
    socket::{MAX_FRAME_BYTES, PollFault},
};

/// Largest answer that is read; it must fit a frame of the socket with the frame's own words.
const MAX_ANSWER_BYTES: u64 = MAX_FRAME_BYTES as u64 - 1024;

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// The certificate authorities or the proxy are not usable.
    #[error("the connection settings are not usable: {0}")]
    Setup(String),
    /// There was no HTTP answer.
    #[error("the portal {url} cannot be reached")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The portal, or a proxy before it, answered with an error.
    #[error("the portal answered {status}: {}", problem_line(problem))]
    Answered {
        /// The HTTP status.
        status: u16,
        /// What it says; codes are empty when it was no problem document.
        problem: Box<Problem>,
        /// When to try again, if it says so.
        retry_after: Option<Duration>,
        /// Portal time of the answer, as its `Date` or signed body says.
        portal_time: Option<Timestamp>,
    },
    /// The request is larger than the portal takes.
    #[error("the request of {bytes} bytes is larger than the portal takes")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The answer is not the JSON that belongs here.
    #[error("the portal's answer is malformed: {0}")]
    Malformed(String),
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

impl PortalError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Setup(_) => "see [portal] in /etc/freehold/agent.toml".into(),
            Self::Unreachable { source, .. } => match source.as_ref() {
                error if tls::fault(error).is_some() => tls::hint(error).into(),
                ureq::Error::Tls(_) => tls::hint(source).into(),
                error if is_unknown_name(error) => {
                    "check the host's DNS and the portal's name, or set the proxy that knows it ([portal] proxy)".into()
                }
                ureq::Error::ConnectProxyFailed(_) => {
                    "the proxy does not lead to the portal: have it allow CONNECT to it, or see [portal] proxy, HTTPS_PROXY and NO_PROXY".into()
                }
                _ => "check the network, the firewall's outgoing rules and the proxy ([portal] proxy)"
                    .into(),
            },
            Self::Answered { status: 401 | 403, problem, .. } if problem.code == "clock_skew" => {
                "set the host's clock: `timedatectl set-ntp true`".into()
            }
            Self::Answered { status: 401, problem, .. } if problem.code == "signature_invalid" => {
                "either the portal's `public_url` is not the address that this agent calls, and signs; or keys and agent id here are not those of one enrollment: ask an admin for a new token and run `freehold-agent enroll --force`".into()
            }
            Self::Answered { status: 401, problem, .. }
                if problem.code == "enrollment_refused" && !problem.advice.is_empty() =>
            {
                problem.advice.clone()
            }
            Self::Answered { status: 401 | 403, problem, .. } if !problem.code.is_empty() => {
                "this agent may have been revoked; ask an admin for a new token and run `freehold-agent enroll --force`".into()
            }
            Self::Answered { problem, .. } if !problem.advice.is_empty() => problem.advice.clone(),
            Self::TooLarge { .. } => "please report this".into(),
            Self::Answered { .. } | Self::Malformed(_) => {
                "look at the portal's log, and at what stands between".into()
            }
        }
    }

    /// What it means for a poll.
    #[must_use]
    pub const fn fault(&self) -> PollFault {
        match self {
            // Without a code it is the word of something in between.
            Self::Answered { status: 401 | 403, problem, .. } if !problem.code.is_empty() => {
                PollFault::Refused
            }
            Self::Unreachable { .. } => PollFault::Unreachable,
            Self::Answered { .. } | Self::Setup(_) | Self::TooLarge { .. } | Self::Malformed(_) => {
                PollFault::Failed
            }
        }
    }

    /// What it means for an item of the outbox.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::TooLarge { .. } => Verdict::Refused(413),
            // About us, the moment, or what stands between.
            Self::Answered { status: 401 | 403 | 407 | 408 | 421 | 425 | 429, .. } => {
                Verdict::Again
            }
            Self::Answered { status: status @ 400..=499, .. } => Verdict::Refused(*status),
            Self::Answered { status: 502..=504, .. } => Verdict::Again,
            Self::Answered { status: 500..=599, .. } | Self::Malformed(_) => Verdict::Later,
            Self::Answered { .. } | Self::Setup(_) | Self::Unreachable { .. } => Verdict::Again,
        }
    }
}

/// What an error means for the item that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It says nothing about the item: send it again.
    Again,
    /// It may be the item's own: send others first.
    Later,
    /// Repeating the same request can never help.
    Refused(u16),
}

/// Connections that are kept: one for polls, one for telling.
const KEPT_CONNECTIONS: usize = 2;
/// Room for a piece of a request or an answer; longer ones go through it in parts.
const BUFFER_BYTES: usize = 32 * 1024;

/// A signed or plain client of one portal. Clones share its connections.
#[derive(Clone)]
pub struct Portal {
    agent: ureq::Agent,
    address: Address,
    request_timeout: Duration,
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Portal({})", self.address)
    }
}

/// Who signs.
#[derive(Debug)]
pub struct Signer {
    /// The identity key.
    pub key: SigningKey,
    /// The agent.
    pub agent_id: AgentId,
}

impl Portal {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`PortalError::Setup`].
    pub fn new(config: &PortalConfig, address: Address) -> Result<Self, PortalError> {
        let setup = |what: String| PortalError::Setup(what);
        let proxy = if !config.proxy.is_empty() {
            let proxy = ureq::Proxy::new(&config.proxy)
                .map_err(|error| setup(format!("portal.proxy: {error}")))?;
            Some(proxy)
        } else if address.is_loopback() {
            // A proxy that the environment names for everything cannot know what this machine's
            // own address leads to.
            None
        } else {
            ureq::Proxy::try_from_env()
        };
        let mut builder = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .user_agent(concat!("freehold-agent/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(KEPT_CONNECTIONS)
            .max_idle_connections_per_host(KEPT_CONNECTIONS)
            .input_buffer_size(BUFFER_BYTES)
            .output_buffer_size(BUFFER_BYTES)
            .max_response_header_size(16 * 1024)
            .timeout_resolve(Some(Duration::from_secs(config.connect_timeout_secs.into())))
            .timeout_connect(Some(Duration::from_secs(config.connect_timeout_secs.into())))
            .timeout_send_request(Some(Duration::from_secs(config.request_timeout_secs.into())))
            .timeout_send_body(Some(Duration::from_secs(config.request_timeout_secs.into())))
            .timeout_recv_body(Some(Duration::from_secs(config.request_timeout_secs.into())));
        if address.is_tls() {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            builder = builder.https_only(true).tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::new_with_certs(&tls::authorities(config)?))
                    .unversioned_rustls_crypto_provider(provider)
                    .build(),
            );
        }
        Ok(Self {
            agent: builder.build().new_agent(),
            address,
            request_timeout: Duration::from_secs(config.request_timeout_secs.into()),
        })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// A plain GET.
    ///
    /// # Errors
    /// See [`PortalError`].
    pub fn get<T: Serialize + DeserializeOwned>(&self, path: &str) -> Result<T, PortalError> {
        let url = self.address.url(path);
        let sent = self
            .agent
            .get(&url)
            .config()
            .timeout_global(Some(self.request_timeout))
            .build()
            .header("accept", "application/json")
            .call();
        self.read(sent)
    }

    /// A POST, signed when a signer is given. `wait` is how long the portal may hold it besides
    /// the ordinary time. `created` is portal time as well as it is known.
    ///
    /// # Errors
    /// See [`PortalError`].
    pub fn post<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        signer: Option<(&Signer, Timestamp)>,
        wait: Duration,
    ) -> Result<T, PortalError> {
        let body =
            serde_json::to_vec(body).map_err(|error| PortalError::Malformed(error.to_string()))?;
        if body.len() as u64 > MAX_AGENT_BODY_BYTES {
            return Err(PortalError::TooLarge { bytes: body.len() });
        }
        let path = self.address.path(path);
        let url = self.address.url_of_path(&path);
        let mut request = self
            .agent
            .post(&url)
            .config()
            .timeout_global(Some(self.request_timeout + wait))
            .timeout_recv_response(Some(self.request_timeout + wait))
            .build()
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("freehold-protocol", PROTOCOL_VERSION.to_string());
        if let Some((signer, created)) = signer {
            let mut raw = [0; 16];
            getrandom::fill(&mut raw)
                .map_err(|_| PortalError::Setup("the system gave no random bytes".into()))?;
            let headers = sign(
                &signer.key,
                signer.agent_id,
                created,
                &Nonce::from_bytes(raw),
                &SignedParts {
                    method: "POST",
                    authority: self.address.authority(),
                    path: &path,
                    query: "?",
                    body: &body,
                },
            );
            request = request
                .header("content-digest", headers.content_digest)
                .header("signature-input", headers.signature_input)
                .header("signature", headers.signature);
        }
        self.read(request.send(&body[..]))
    }

    fn read<T: Serialize + DeserializeOwned>(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, PortalError> {
        let unreachable = |source| PortalError::Unreachable {
            url: self.address.to_string(),
            source: Box::new(source),
        };
        let mut answer = sent.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let retry_after = header("retry-after").and_then(|text| text.trim().parse().ok());
        let portal_time = header("date").and_then(|text| http_date(&text));
        let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(
            |error| match error {
                ureq::Error::BodyExceedsLimit(limit) => {
                    PortalError::Malformed(format!("it is larger than {limit} bytes"))
                }
                other => unreachable(other),
            },
        )?;
        if (200..300).contains(&status) {
            // A report is answered without content.
            let body: &[u8] = if body.is_empty() { b"null" } else { &body };
            return shape::from_slice(body)
                .map_err(|error| PortalError::Malformed(error.to_string()));
        }
        let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
            type_: "about:blank".into(),
            title: "an answer that is not the portal's".into(),
            status,
            code: String::new(),
            detail: String::new(),
            advice: String::new(),
            request_id: String::new(),
            errors: Vec::new(),
        });
        Err(PortalError::Answered {
            status,
            problem: Box::new(problem),
            retry_after: retry_after.map(Duration::from_secs),
            portal_time,
        })
    }
}

/// Reads an HTTP date (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(time.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_are_read() {
        let time = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(time.as_secs(), 784_111_777);
        assert_eq!(http_date("yesterday"), None);
    }

    #[test]
    fn only_the_portals_own_refusal_asks_for_a_new_enrollment() {
        for (status, code, fault) in [
            (401, "signature_invalid", PollFault::Refused),
            (403, "agent_revoked", PollFault::Refused),
            (403, "", PollFault::Failed),
            (401, "", PollFault::Failed),
            (502, "", PollFault::Failed),
        ] {
            let text = json!({ "type": "", "title": "", "status": status, "code": code });
            let problem: Problem = serde_json::from_value(text).unwrap();
            let error = PortalError::Answered {
                status,
                problem: Box::new(problem),
                retry_after: None,
                portal_time: None,
            };
            assert_eq!(error.fault(), fault, "{status} {code}");
            let remedy = error.hint();
            assert_eq!(remedy.contains("enroll --force"), !code.is_empty(), "{status}: {remedy}");
        }
    }
}
