//! Blocking calls to the portal's admin API; every wait is bounded.

use std::{thread, time::Duration};

use freehold_protocol::{problem::Problem, secret::Secret};
use serde::{Serialize, de::DeserializeOwned};
use ureq::{
    AsSendBody,
    http::{Method, Request, Response, request::Builder},
    tls::{RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

use super::{Address, CallError, Session, keeper::Keeper, session::path, tls};
use crate::api::{
    MAX_LIMIT, Page, paths,
    users::{RefreshToken, SessionTokens},
};

/// Longest time for name lookup and connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for a whole call, the time that it asks the portal to wait not counted.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read. A page holds at most 200 entries, and a release its model.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;
/// Most calls of one list; a portal that never ends its list does not keep us for ever.
const MAX_PAGES: u32 = 5000;
/// How often a call is sent again when the portal asks for a pause.
const MAX_RETRIES: u32 = 2;
/// Longest pause that is waited for within a call; after that the error is shown.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// Parameters of a query, in order.
pub(crate) type Query<'a> = Vec<(&'a str, String)>;

/// A client of one portal.
pub(crate) struct Client {
    agent: ureq::Agent,
    address: Address,
    proof: Proof,
}

/// What proves who asks.
enum Proof {
    Nothing,
    Token(Secret),
    Session(Keeper),
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.address)
    }
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`CallError::Authorities`].
    pub(crate) fn new(session: &Session) -> Result<Self, CallError> {
        let address = session.address.clone();
        let proxy = if address.is_loopback() { None } else { ureq::Proxy::try_from_env() };
        let mut builder = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .user_agent(concat!("freehold/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(16 * 1024)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_send_request(Some(CALL_TIMEOUT))
            .timeout_send_body(Some(CALL_TIMEOUT))
            .timeout_recv_body(Some(CALL_TIMEOUT));
        if address.is_tls() {
            let roots = tls::authorities(session.ca_file.as_deref())
                .map_err(|source| CallError::Authorities { url: address.to_string(), source })?;
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            builder = builder.https_only(true).tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::new_with_certs(&roots))
                    .unversioned_rustls_crypto_provider(provider)
                    .build(),
            );
        }
        let proof = match (&session.token, &session.user) {
            (Some(token), _) => Proof::Token(token.clone()),
            (None, Some(tokens)) => Proof::Session(Keeper::new(path()?, tokens.clone())),
            (None, None) => Proof::Nothing,
        };
        Ok(Self { agent: builder.build().new_agent(), address, proof })
    }

    /// Where it is.
    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// A GET.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query<'_>,
    ) -> Result<T, CallError> {
        patiently(|| self.get_once(path, query, Duration::ZERO))
    }

    /// A GET that the portal may hold for `wait`, without a second try.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn get_once<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query<'_>,
        wait: Duration,
    ) -> Result<T, CallError> {
        let path = with_query(path, query);
        self.send(|token| self.request(Method::GET, &path, token).body(()), wait)
    }

    /// All entries of a list, or the first `limit`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query<'_>,
        limit: Option<u32>,
    ) -> Result<Vec<T>, CallError> {
        self.pages(path, query, "cursor", limit)
    }

    /// All entries of a list whose next page is asked for with the parameter `cursor_name`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query<'_>,
        cursor_name: &str,
        limit: Option<u32>,
    ) -> Result<Vec<T>, CallError> {
        let wanted = limit.map_or(usize::MAX, |limit| limit as usize);
        let mut items: Vec<T> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let missing = wanted.saturating_sub(items.len()).min(MAX_LIMIT as usize);
            let mut query = query.clone();
            query.push(("limit", missing.to_string()));
            if let Some(cursor) = cursor.take() {
                query.retain(|(name, _)| *name != cursor_name);
                query.push((cursor_name, cursor));
            }
            let page: Page<T> = self.get(path, &query)?;
            let empty = page.items.is_empty();
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() || empty || items.len() >= wanted {
                items.truncate(wanted);
                return Ok(items);
            }
        }
        Err(CallError::Malformed {
            url: self.address.to_string(),
            source: format!("the list {path} does not end").into(),
        })
    }

    /// A POST. All tries carry the same `Idempotency-Key`, so that it takes effect once.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, CallError> {
        let body = body.map_or(Ok(Vec::new()), |body| self.encode(body))?;
        self.post_bytes(path, None, &body)
    }

    /// A POST that is about one version of what is at the address.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn post_version<T: DeserializeOwned>(
        &self,
        path: &str,
        generation: u64,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        self.post_bytes(path, Some(generation), &self.encode(body)?)
    }

    fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        generation: Option<u64>,
        body: &[u8],
    ) -> Result<T, CallError> {
        let key = uuid::Uuid::now_v7().to_string();
        patiently(|| {
            let request = |token: Option<&Secret>| {
                let mut request = self
                    .request(Method::POST, path, token)
                    .header("idempotency-key", &key)
                    .header("content-type", "application/json");
                if let Some(generation) = generation {
                    request = request.header("if-match", format!("\"{generation}\""));
                }
                request.body(body)
            };
            self.send(request, Duration::ZERO)
        })
    }

    /// A PATCH of the version that was read.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        generation: u64,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = self.encode(body)?;
        let request = |token: Option<&Secret>| {
            self.request(Method::PATCH, path, token)
                .header("if-match", format!("\"{generation}\""))
                .header("content-type", "application/merge-patch+json")
                .body(&body[..])
        };
        self.send(request, Duration::ZERO)
    }

    /// A DELETE, of the version that was read where the thing has one.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn delete(&self, path: &str, generation: Option<u64>) -> Result<(), CallError> {
        let request = |token: Option<&Secret>| {
            let mut request = self.request(Method::DELETE, path, token);
            if let Some(generation) = generation {
                request = request.header("if-match", format!("\"{generation}\""));
            }
            request.body(())
        };
        let _answer: serde_json::Value = self.send(request, Duration::ZERO)?;
        Ok(())
    }

    /// A POST of a secret that proves by itself who asks, sent once: a second time could mean that somebody
    /// has a copy of it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) fn prove<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = Zeroizing::new(self.encode(body)?);
        let request = self
            .request(Method::POST, path, None)
            .header("content-type", "application/json")
            .body(&body[..]);
        self.send_once(request, Duration::ZERO)
    }

    fn refresh(&self, token: &Secret) -> Result<SessionTokens, CallError> {
        let body = RefreshToken { refresh_token: token.expose().to_owned() };
        self.prove(paths::REFRESH, &body)
    }

    fn encode(&self, body: &impl Serialize) -> Result<Vec<u8>, CallError> {
        serde_json::to_vec(body).map_err(|error| self.malformed(error))
    }

    fn request(&self, method: Method, path: &str, token: Option<&Secret>) -> Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(self.address.url(path))
            .header("accept", "application/json, application/problem+json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        request
    }

    /// Sends a request with what proves who asks. An access token that the portal takes no longer is renewed,
    /// once: the clocks of the two may differ.
    fn send<T: DeserializeOwned, B: AsSendBody>(
        &self,
        request: impl Fn(Option<&Secret>) -> Result<Request<B>, ureq::http::Error>,
        wait: Duration,
    ) -> Result<T, CallError> {
        let keeper = match &self.proof {
            Proof::Nothing => return self.send_once(request(None), wait),
            Proof::Token(token) => return self.send_once(request(Some(token)), wait),
            Proof::Session(keeper) => keeper,
        };
        let access = keeper.access(|token| self.refresh(token))?;
        match self.send_once(request(Some(&access)), wait) {
            Err(error) if matches!(error.code(), "access_expired" | "token_unknown") => {
                let access = keeper.renew(&access, |token| self.refresh(token))?;
                self.send_once(request(Some(&access)), wait)
            }
            other => other,
        }
    }

    fn send_once<T: DeserializeOwned, B: AsSendBody>(
        &self,
        request: Result<Request<B>, ureq::http::Error>,
        wait: Duration,
    ) -> Result<T, CallError> {
        let request = request.map_err(|error| self.malformed(error))?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(CALL_TIMEOUT + wait))
            .timeout_recv_response(Some(CALL_TIMEOUT + wait))
            .build();
        let mut answer = self.agent.run(request).map_err(|error| self.unreachable(error))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(
            |error| match error {
                ureq::Error::BodyExceedsLimit(_) => self.malformed(error),
                other => self.unreachable(other),
            },
        )?;
        if (200..300).contains(&status) {
            // Some things are answered without content.
            let body: &[u8] = if body.is_empty() { b"null" } else { &body };
            return serde_json::from_slice(body).map_err(|error| self.malformed(error));
        }
        Err(self.refusal(status, &answer, &body))
    }

    fn refusal(&self, status: u16, answer: &Response<ureq::Body>, body: &[u8]) -> CallError {
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let retry_after = header("retry-after").and_then(|text| text.trim().parse().ok());
        match serde_json::from_slice::<Problem>(body) {
            Ok(mut problem) => {
                problem.status = status;
                CallError::Answered {
                    problem: Box::new(problem),
                    retry_after: retry_after.map(Duration::from_secs),
                }
            }
            Err(_) => CallError::Foreign {
                url: self.address.to_string(),
                status,
                location: header("location"),
            },
        }
    }

    fn unreachable(&self, source: ureq::Error) -> CallError {
        CallError::Unreachable { url: self.address.to_string(), source: Box::new(source) }
    }

    fn malformed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CallError {
        CallError::Malformed { url: self.address.to_string(), source: source.into() }
    }
}

/// Calls again when the portal is overloaded and names a short pause.
fn patiently<T>(mut call: impl FnMut() -> Result<T, CallError>) -> Result<T, CallError> {
    let mut retries = 0;
    loop {
        let error = match call() {
            Err(error) if retries < MAX_RETRIES => error,
            other => return other,
        };
        match error.retry_after() {
            Some(pause) if pause <= MAX_PAUSE && error.may_pass() => thread::sleep(pause),
            _ => return Err(error),
        }
        retries += 1;
    }
}

/// A path with its query, percent-encoded.
fn with_query(path: &str, query: &Query<'_>) -> String {
    let mut text = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded() {
        let query = vec![("state", "a&b=c d".to_owned()), ("limit", "5".to_owned())];
        assert_eq!(with_query("/x", &query), "/x?state=a%26b%3Dc%20d&limit=5");
        assert_eq!(with_query("/x", &Vec::new()), "/x");
    }
}
