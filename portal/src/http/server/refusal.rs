//! Why the server itself turned a request away, before or without asking the handler.

use std::borrow::Cow;

use super::config::{MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES};
use super::request::RequestId;
use super::response::Response;

/// A request that the server refuses: the status, a stable code, and what to do about it.
///
/// The connection is closed after it, because after a request that we do not understand nobody knows
/// where the next one starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {detail}")]
pub struct Refusal {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
    retry_after_secs: Option<u32>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_secs: None }
    }

    /// 400: the request is not well-formed.
    pub fn bad(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "malformed-request", detail)
    }

    pub(super) fn plain_on_tls() -> Self {
        Self::bad("this port speaks TLS: use https:// in the address")
    }

    pub(super) fn head_timed_out() -> Self {
        Self::new(408, "request-timeout", "the request head did not arrive in time")
    }

    pub(super) fn body_timed_out() -> Self {
        Self::new(408, "request-timeout", "the request body did not arrive in time")
    }

    pub(super) fn body_too_large(limit: u64) -> Self {
        Self::new(
            413,
            "body-too-large",
            format!("the request body is larger than the {limit} bytes allowed here"),
        )
    }

    pub(super) fn target_too_long() -> Self {
        let detail = format!("the request target is longer than {MAX_TARGET_BYTES} bytes");
        Self::new(414, "target-too-long", detail)
    }

    pub(super) fn expectation() -> Self {
        let detail = "the only expectation that is met is 100-continue";
        Self::new(417, "expectation-failed", detail)
    }

    pub(super) fn head_too_large() -> Self {
        let detail = format!("the request line and headers are larger than {MAX_HEAD_BYTES} bytes");
        Self::new(431, "head-too-large", detail)
    }

    pub(super) fn too_many_headers() -> Self {
        let detail = format!("the request has more than {MAX_HEADERS} headers");
        Self::new(431, "too-many-headers", detail)
    }

    pub(super) fn internal_error() -> Self {
        let detail =
            "the portal failed in a way it should not have; tell its operator the request id";
        Self::new(500, "internal-error", detail)
    }

    pub(super) fn unknown_method() -> Self {
        let detail = "use one of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS";
        Self::new(501, "method-not-implemented", detail)
    }

    pub(super) fn unknown_coding() -> Self {
        let detail = "the only transfer coding taken is chunked";
        Self::new(501, "transfer-coding-not-implemented", detail)
    }

    pub(super) fn too_many_connections(retry_after_secs: u32) -> Self {
        let detail = "the portal holds as many connections as it can; try again later";
        let mut refusal = Self::new(503, "too-many-connections", detail);
        refusal.retry_after_secs = Some(retry_after_secs);
        refusal
    }

    pub(super) fn too_many_bodies(retry_after_secs: u32) -> Self {
        let detail = "the portal is taking as much data as it can; try again later";
        let mut refusal = Self::new(503, "too-much-data", detail);
        refusal.retry_after_secs = Some(retry_after_secs);
        refusal
    }

    pub(super) fn version() -> Self {
        let detail = "this server speaks HTTP/1.1 (and 1.0) only";
        Self::new(505, "version-not-supported", detail)
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the stable, machine-readable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns what is wrong, for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Renders the refusal as a problem document (RFC 9457).
    pub fn into_response(self, id: &RequestId) -> Response {
        let document = serde_json::json!({
            "type": "about:blank",
            "title": super::response::reason(self.status),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "requestId": id.as_str(),
        });
        let mut response = Response::new(self.status)
            .with_header("content-type", "application/problem+json")
            .with_header("cache-control", "no-store")
            .with_body(document.to_string().into_bytes());
        if let Some(seconds) = self.retry_after_secs {
            response = response.with_header("retry-after", seconds.to_string());
        }
        response
    }
}
