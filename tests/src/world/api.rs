//! The portal's API, as a program of an admin's calls it.

use freehold_protocol::problem::Problem;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{PemItem, RootCerts, TlsConfig};

/// A client with a token.
#[derive(Debug, Clone)]
pub struct Api {
    url: String,
    token: String,
    agent: ureq::Agent,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What was asked.
    pub asked: String,
    /// The status code.
    pub status: u16,
    /// The body.
    pub text: String,
    /// The entity tag.
    pub etag: Option<String>,
}

impl Api {
    /// A client of the portal at `url`, trusting the authority in `ca` alone when it is given.
    pub fn new(url: &str, token: &str, ca: Option<&Path>) -> Self {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .proxy(None);
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).expect("an authority");
            let roots: Vec<_> = ureq::tls::parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            let tls = TlsConfig::builder()
                .root_certs(RootCerts::new_with_certs(&roots))
                .unversioned_rustls_crypto_provider(Arc::new(
                    rustls::crypto::ring::default_provider(),
                ))
                .build();
            config = config.https_only(true).tls_config(tls);
        }
        Self { url: url.to_owned(), token: token.to_owned(), agent: config.build().into() }
    }

    /// Where the portal is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Asks; `path` is what follows `/api/v1`. The error is that of the connection.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Reply, String> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => {
                let request = request
                    .header("content-type", "application/json")
                    .body(body.to_string())
                    .map_err(|error| error.to_string())?;
                self.agent.run(request)
            }
            None => self.agent.run(request.body(()).map_err(|error| error.to_string())?),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let etag =
            answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        Ok(Reply {
            asked: format!("{method} {path}"),
            status: answer.status().as_u16(),
            text,
            etag,
        })
    }

    /// The same, the portal being there.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.try_call(method, path, body, &[])
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The document at `path`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).expect(200)
    }

    /// What the page for Prometheus says of `name`, a figure without labels.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let page = self
            .agent
            .get(format!("{}/metrics", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_string())
            .unwrap_or_else(|error| panic!("GET /metrics: {error}"));
        let found = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {name} in:\n{page}"))
    }

    /// Changes the document at `path` from what it is now.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        let now = self.call("GET", path, None);
        let etag = now.etag.clone().unwrap_or_else(|| panic!("{path} has no ETag: {now:?}"));
        self.try_call("PATCH", path, Some(body), &[("if-match", &etag)])
            .unwrap_or_else(|error| panic!("PATCH {path}: {error}"))
    }
}

impl Reply {
    /// The body, when the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text);
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: not JSON ({error}): {}", self.asked, self.text))
    }

    /// The problem document, when the status is the expected one.
    #[track_caller]
    pub fn problem(self, status: u16) -> Problem {
        let value = self.clone().expect(status);
        serde_json::from_value(value)
            .unwrap_or_else(|error| panic!("{}: no problem ({error}): {}", self.asked, self.text))
    }
}
