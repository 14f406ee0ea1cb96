//! Pages of other origins: what browsers are told, in one place. Nobody is allowed unless the operator lists
//! the origin. There are no cookies and no credentials of a browser, so that none are allowed either.

use std::fmt::Write as _;

use super::{
    route::{self, RouteError},
    server::{Head, Method, Response},
};

/// Headers that pages may send.
const MAY_SEND: &str = "authorization, content-encoding, content-type, idempotency-key, if-match, x-api-key, x-tenant-id";
/// Headers that pages may read.
const MAY_READ: &str = "etag, location, ratelimit, ratelimit-policy, retry-after, x-request-id";
/// How long a browser may keep what it was told, in seconds.
const KEEP_SECS: u32 = 600;

/// The origin of a request, when it is one that may.
fn origin<'h>(head: &'h Head, allowed: &[String]) -> Option<&'h str> {
    let origin = head.get_single("origin").ok().flatten()?;
    allowed.iter().any(|known| known == origin).then_some(origin)
}

/// The answer to a browser that asks before it sends.
#[must_use]
pub fn preflight(head: &Head, allowed: &[String]) -> Option<Response> {
    if head.method() != Method::Options || head.get("access-control-request-method").is_none() {
        return None;
    }
    origin(head, allowed)?;
    let Err(RouteError::Method { allowed: methods }) = route::parse(Method::Options, head.path())
    else {
        return None;
    };
    let mut list = String::new();
    for method in methods {
        let comma = if list.is_empty() { "" } else { ", " };
        write!(list, "{comma}{method}").expect("writing to a String cannot fail");
    }
    Some(
        Response::no_content()
            .with_header("access-control-allow-methods", list)
            .with_header("access-control-allow-headers", MAY_SEND)
            .with_header("access-control-max-age", KEEP_SECS.to_string()),
    )
}

/// Adds what lets a page of an allowed origin read the answer. Whether it does depends on the origin, and
/// caches are told so. Who asks is not known when the head of the request could not be read.
#[must_use]
pub fn with_origin(response: Response, head: Option<&Head>, allowed: &[String]) -> Response {
    if allowed.is_empty() {
        return response;
    }
    let response = response.with_header("vary", "Origin");
    match head.and_then(|head| origin(head, allowed)) {
        None => response,
        Some(origin) => response
            .with_header("access-control-allow-origin", origin.to_owned())
            .with_header("access-control-expose-headers", MAY_READ),
    }
}
