//! The portal, as a tenant's app uses it: asks about its license, sends logs and usage.

use crate::http::{Request, Response};
use crate::license::License;
use crate::outbox::Outbox;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Where batches wait, and the lease: the container's own memory file system.
const FOLDER: &str = "/tmp/portal";
const TIMEOUT: Duration = Duration::from_secs(5);

/// What an app has of the portal.
#[derive(Debug)]
pub(crate) struct Portal {
    pub(crate) line: Line,
    pub(crate) license: License,
    pub(crate) outbox: Outbox,
}

/// How the portal is reached.
pub(crate) struct Line {
    pub(crate) url: String,
    key: String,
    agent: ureq::Agent,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Portal {
    /// As the environment says; none without an address or a key.
    pub(crate) fn from_env() -> Result<Option<Self>, String> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (Some(url), Some(key)) = (var("PORTAL_URL"), var("PORTAL_KEY")) else {
            return Ok(None);
        };
        let line = Line { url, key, agent: agent(var("PORTAL_CA").as_deref())? };
        let folder = Path::new(FOLDER);
        std::fs::create_dir_all(folder).map_err(|error| format!("{FOLDER}: {error}"))?;
        Ok(Some(Self { license: License::from(&var, folder)?, outbox: Outbox::new(folder), line }))
    }

    /// Answers what concerns the portal: the license, and what is to be sent.
    pub(crate) fn answer(&self, request: &Request) -> Option<Response> {
        let waiting = |kept: Result<(), String>| match kept {
            Ok(()) => Response::json(200, &json!({ "waiting": self.outbox.waiting() })),
            Err(reason) => Response::json(400, &json!({ "error": reason })),
        };
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/api/license") => {
                // A test looks ahead without waiting.
                let ahead = request.query.strip_prefix("ahead=").and_then(|secs| secs.parse().ok());
                let found = self.license.check(&self.line, ahead.unwrap_or(0));
                Some(Response::json(if found["allowed"] == true { 200 } else { 403 }, &found))
            }
            ("POST", "/api/portal/logs") => {
                Some(waiting(self.outbox.keep("/api/v1/tenant-logs", &request.body)))
            }
            ("POST", "/api/portal/usage") => {
                Some(waiting(self.outbox.keep("/api/v1/usage", &request.body)))
            }
            ("GET", "/api/portal") => Some(waiting(Ok(()))),
            _ => None,
        }
    }
}

impl Line {
    /// To an address, with some key.
    #[cfg(test)]
    pub(crate) fn to(url: &str) -> Self {
        Self { url: url.to_owned(), key: "key".to_owned(), agent: agent(None).unwrap() }
    }

    /// Posts a JSON document: the status and the document that was answered. The error is that of the
    /// connection.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<(u16, Value), String> {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("x-api-key", &self.key)
            .header("content-type", "application/json")
            .send(body)
            .map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        Ok((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
    }
}

/// A client that trusts the portal's own authority: its certificate in base64, on one line.
fn agent(authority: Option<&str>) -> Result<ureq::Agent, String> {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .proxy(None);
    if let Some(authority) = authority {
        let der = BASE64
            .decode(authority)
            .map_err(|_| "PORTAL_CA: is not a certificate in base64".to_owned())?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[Certificate::from_der(&der).to_owned()]))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        config = config.tls_config(tls);
    }
    Ok(config.build().into())
}
