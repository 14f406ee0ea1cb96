//! Outcomes → responses. Here is the one match from an error to a status.

use std::fmt::Write as _;

use freehold_protocol::problem::Problem;
use serde::Serialize;

use super::{
    openapi,
    route::RouteError,
    server::{Method, RequestId, Response},
};
use crate::error::{AppError, Kind, chain};

/// The media type of nearly all bodies.
pub(super) const JSON: &str = "application/json";

/// A success of the admin API: a whole answer as plain values, so that it can be kept for an
/// `Idempotency-Key`.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; none for 204.
    pub body: Option<String>,
    /// Version of the thing, for `ETag`.
    pub generation: Option<u64>,
    /// Where the new thing is.
    pub location: Option<String>,
    /// Whether the body holds a secret and must not be kept.
    pub secret: bool,
    /// What the body is.
    pub media: &'static str,
}

impl Answer {
    /// An answer with a JSON body.
    ///
    /// # Errors
    /// When the value does not serialize, which is a defect.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self, AppError> {
        let body = serde_json::to_string(value)?;
        Ok(Self::new(status, Some(body)))
    }

    const fn new(status: u16, body: Option<String>) -> Self {
        Self { status, body, generation: None, location: None, secret: false, media: JSON }
    }

    /// 200 with a table.
    #[must_use]
    pub fn csv(text: String) -> Self {
        Self { media: "text/csv; charset=utf-8", ..Self::new(200, Some(text)) }
    }

    /// 200 with a JSON body.
    ///
    /// # Errors
    /// As [`Answer::json`].
    pub fn ok(value: &impl Serialize) -> Result<Self, AppError> {
        Self::json(200, value)
    }

    /// 204.
    #[must_use]
    pub const fn no_content() -> Self {
        Self::new(204, None)
    }

    /// The same answer with an `ETag`.
    #[must_use]
    pub const fn generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }

    /// The same answer with a `Location`.
    #[must_use]
    pub fn location(mut self, path: String) -> Self {
        self.location = Some(path);
        self
    }

    /// The same answer, marked as holding a secret.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = Response::new(self.status);
        if let Some(body) = self.body {
            response =
                response.with_header("content-type", self.media).with_body(body.into_bytes());
        }
        if let Some(generation) = self.generation {
            response = response.with_header("etag", format!("\"{generation}\""));
        }
        if let Some(location) = self.location {
            response = response.with_header("location", location);
        }
        response
    }
}

/// The status and title of an error's kind.
const fn status(kind: Kind) -> (u16, &'static str) {
    match kind {
        Kind::BadRequest => (400, "Bad request"),
        Kind::Unauthenticated => (401, "Not authenticated"),
        Kind::Forbidden => (403, "Not allowed"),
        Kind::NotFound => (404, "Not found"),
        Kind::MethodNotAllowed => (405, "Method not allowed"),
        Kind::Conflict => (409, "Conflict"),
        Kind::Gone => (410, "Gone"),
        Kind::PreconditionFailed => (412, "Changed meanwhile"),
        Kind::TooLarge => (413, "Too large"),
        Kind::UnsupportedMedia => (415, "Unsupported media type"),
        Kind::Invalid => (422, "Invalid"),
        Kind::PreconditionRequired => (428, "If-Match is required"),
        Kind::TooMany { .. } => (429, "Too many requests"),
        Kind::Internal => (500, "Internal error"),
        Kind::Unavailable { .. } => (503, "Unavailable"),
    }
}

/// Renders an error as a problem document. What the portal is to blame for is logged here, once,
/// with its causes; the caller sees only the request id.
#[must_use]
pub fn problem(error: &AppError, id: &RequestId) -> Response {
    let (status, title) = status(error.kind);
    debug_assert!(
        openapi::codes::is_listed(status, error.code),
        "{status} {} is not in the list of codes (http/openapi/codes.rs)",
        error.code
    );
    if status >= 500 {
        tracing::error!(request = %id, code = error.code, error = %chain(error), "a request failed");
    } else {
        tracing::debug!(request = %id, code = error.code, error = %chain(error), "a request was refused");
    }
    // What an internal error says is for the log: it may name files and statements.
    let (detail, advice) = if error.kind == Kind::Internal {
        let advice = "look up the request id in the portal's log and report it";
        ("the portal failed in a way it should not have".to_owned(), advice.to_owned())
    } else {
        (error.message.clone(), error.advice.clone())
    };
    let document = Problem {
        type_: Problem::type_of(error.code),
        title: title.to_owned(),
        status,
        code: error.code.to_owned(),
        detail,
        advice,
        request_id: id.as_str().to_owned(),
        errors: error.fields.clone(),
    };
    // Texts and numbers only: there is nothing that could fail to serialize.
    let bytes = serde_json::to_vec(&document).unwrap_or_default();
    let mut response =
        Response::new(status).with_header("content-type", Problem::MEDIA_TYPE).with_body(bytes);
    match error.kind {
        Kind::TooMany { retry_after_secs } | Kind::Unavailable { retry_after_secs } => {
            response = response.with_header("retry-after", retry_after_secs.to_string());
        }
        Kind::Unauthenticated => {
            response = response.with_header("www-authenticate", "Bearer realm=\"freehold\"");
        }
        _ => {}
    }
    response
}

/// Renders the lack of a route.
#[must_use]
pub fn no_route(error: &RouteError, method: Method, path: &str, id: &RequestId) -> Response {
    let shown: String = path.chars().take(120).collect();
    match error {
        RouteError::Unknown => {
            let error = AppError::new(
                Kind::NotFound,
                "unknown_address",
                format!("there is nothing at {shown}"),
            )
            .advice("docs/api.md lists all addresses; they start with /api/v1/ and have no slash at the end");
            problem(&error, id)
        }
        RouteError::BadPart(bad) => {
            problem(&AppError::new(Kind::NotFound, "not_found", bad.to_string()), id)
        }
        RouteError::Method { allowed } => {
            let mut list = String::new();
            for method in allowed {
                let comma = if list.is_empty() { "" } else { ", " };
                write!(list, "{comma}{method}").expect("writing to a String cannot fail");
            }
            let error = AppError::new(
                Kind::MethodNotAllowed,
                "method_not_allowed",
                format!("{shown} does not take {method}"),
            )
            .advice(format!("use {list}"));
            problem(&error, id).with_header("allow", list)
        }
    }
}

/// How long a browser that has reached the portal over TLS never tries without it: a year, in seconds.
const HSTS: &str = "max-age=31536000";

/// Adds the headers that every answer has unless it has its own: nothing is cached, guessed, framed or told to
/// other sites.
#[must_use]
pub fn secured(response: Response, over_tls: bool) -> Response {
    let response = response
        .or_header("x-content-type-options", "nosniff")
        .or_header("x-frame-options", "DENY")
        .or_header("referrer-policy", "no-referrer")
        .or_header("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
        .or_header("cache-control", "no-store");
    if over_tls { response.or_header("strict-transport-security", HSTS) } else { response }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_tells_nothing_but_its_id() {
        let id = RequestId::fresh();
        let error = AppError::bug("SELECT secret FROM vault failed").because("disk /dev/sda");
        let response = problem(&error, &id);
        let body = String::from_utf8(response.body_bytes().unwrap().to_vec()).unwrap();
        assert_eq!(response.status(), 500);
        assert!(!body.contains("vault") && !body.contains("sda"), "{body}");
        assert!(body.contains(id.as_str()), "{body}");
    }

    #[test]
    fn headers_follow_the_kind() {
        let id = RequestId::fresh();
        let busy = AppError::new(Kind::TooMany { retry_after_secs: 7 }, "too_many_requests", "x");
        assert_eq!(problem(&busy, &id).header("retry-after"), Some("7"));
        let anonymous = AppError::new(Kind::Unauthenticated, "token_missing", "x");
        assert!(problem(&anonymous, &id).header("www-authenticate").is_some());
        let allowed = vec![Method::Get, Method::Head];
        let response = no_route(&RouteError::Method { allowed }, Method::Put, "/healthz", &id);
        assert_eq!((response.status(), response.header("allow")), (405, Some("GET, HEAD")));
        assert_eq!(response.header("content-type"), Some(Problem::MEDIA_TYPE));
    }
}
