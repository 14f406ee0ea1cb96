//! Why the server itself turned a request away, before or without asking the handler.

use std::borrow::Cow;

use freehold_protocol::problem::Problem;

use super::config::{MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES};
use super::request::RequestId;
use super::response::Response;

const SEND_FASTER: &str = "send the request again, on a connection that is fast enough";

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
    advice: &'static str,
    retry_after_secs: Option<u32>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), advice: "", retry_after_secs: None }
    }

    const fn advice(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    /// 400: the request is not well-formed.
    pub fn bad(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "malformed_request", detail)
    }

    pub(super) fn plain_on_tls() -> Self {
        Self::bad("this port speaks TLS").advice("use https:// in the address")
    }

    pub(super) fn head_timed_out() -> Self {
        Self::new(408, "request_timeout", "the request head did not arrive in time")
            .advice(SEND_FASTER)
    }

    pub(super) fn body_timed_out() -> Self {
        Self::new(408, "request_timeout", "the request body did not arrive in time")
            .advice(SEND_FASTER)
    }

    pub(super) fn body_too_large(limit: u64) -> Self {
        Self::new(
            413,
            "body_too_large",
            format!("the request body is larger than the {limit} bytes allowed here"),
        )
        .advice("make what is sent smaller; docs/api.md names the limits")
    }

    pub(super) fn target_too_long() -> Self {
        let detail = format!("the request target is longer than {MAX_TARGET_BYTES} bytes");
        Self::new(414, "target_too_long", detail)
    }

    pub(super) fn expectation() -> Self {
        let detail = "the only expectation that is met is 100-continue";
        Self::new(417, "expectation_failed", detail)
    }

    pub(super) fn head_too_large() -> Self {
        let detail = format!("the request line and headers are larger than {MAX_HEAD_BYTES} bytes");
        Self::new(431, "head_too_large", detail)
    }

    pub(super) fn too_many_headers() -> Self {
        let detail = format!("the request has more than {MAX_HEADERS} headers");
        Self::new(431, "too_many_headers", detail)
    }

    pub(super) fn internal_error() -> Self {
        Self::new(500, "internal", "the portal failed in a way it should not have")
            .advice("look up the request id in the portal's log and report it")
    }

    pub(super) fn unknown_method() -> Self {
        let detail = "use one of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS";
        Self::new(501, "method_not_implemented", detail)
    }

    pub(super) fn unknown_coding() -> Self {
        let detail = "the only transfer coding taken is chunked";
        Self::new(501, "transfer_coding_not_implemented", detail)
    }

    pub(super) fn too_many_connections(retry_after_secs: u32) -> Self {
        let detail = "the portal holds as many connections as it can";
        let mut refusal = Self::new(503, "too_many_connections", detail)
            .advice("try again later; the operator can raise max_connections");
        refusal.retry_after_secs = Some(retry_after_secs);
        refusal
    }

    pub(super) fn too_many_bodies(retry_after_secs: u32) -> Self {
        let detail = "the portal is taking as much data as it can";
        let mut refusal = Self::new(503, "too_much_data", detail).advice("try again later");
        refusal.retry_after_secs = Some(retry_after_secs);
        refusal
    }

    pub(super) fn version() -> Self {
        let detail = "this server speaks HTTP/1.1 (and 1.0) only";
        Self::new(505, "version_not_supported", detail)
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
        let document = Problem {
            type_: Problem::type_of(self.code),
            title: super::response::reason(self.status).to_owned(),
            status: self.status,
            code: self.code.to_owned(),
            detail: self.detail.into_owned(),
            advice: self.advice.to_owned(),
            request_id: id.as_str().to_owned(),
            errors: Vec::new(),
        };
        // Texts and numbers only: there is nothing that could fail to serialize.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(self.status)
            .with_header("content-type", Problem::MEDIA_TYPE)
            .with_body(body);
        if let Some(seconds) = self.retry_after_secs {
            response = response.with_header("retry-after", seconds.to_string());
        }
        response
    }
}
