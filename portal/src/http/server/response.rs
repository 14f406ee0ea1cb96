//! What a handler answers.

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::Serialize;

use super::send::BodyWriter;

/// An answer: status, headers and body. The server adds `Date`, `X-Request-Id`, `Connection` and the
/// length or chunking, so that a handler cannot get the framing wrong.
#[derive(Debug)]
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    pub(super) body: Body,
}

/// Writes a body piece by piece; an error cuts the connection, so that the client sees that the answer
/// is not whole.
pub type StreamFn = Box<dyn FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send>;

/// Body of an answer.
pub enum Body {
    /// The whole body, sent with its length.
    Bytes(Cow<'static, [u8]>),
    /// A body that is written while it is made, sent in chunks.
    Stream(StreamFn),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Response {
    /// Returns an answer without headers and body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Bytes(Cow::Borrowed(&[])) }
    }

    /// Returns a value as JSON. A value that does not serialize is a fault of ours and becomes a 500.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => {
                Self::new(status).with_header("content-type", "application/json").with_body(bytes)
            }
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Self::new(500)
            }
        }
    }

    /// Returns plain text.
    pub fn text(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        let bytes = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self::new(status).with_header("content-type", "text/plain; charset=utf-8").with_body(bytes)
    }

    /// Returns a page.
    pub fn html(status: u16, page: String) -> Self {
        Self::new(status)
            .with_header("content-type", "text/html; charset=utf-8")
            .with_body(page.into_bytes())
    }

    /// Returns 204.
    pub fn no_content() -> Self {
        Self::new(204)
    }

    /// Returns 303 to another page: after a form was taken, the browser fetches this with GET.
    pub fn see_other(location: impl Into<Cow<'static, str>>) -> Self {
        Self::new(303).with_header("location", location)
    }

    /// Returns a body that `write` makes while it is sent. It runs after the head was sent, on the
    /// connection's thread; for HEAD it does not run.
    pub fn stream(
        status: u16,
        content_type: &'static str,
        write: impl FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let mut response = Self::new(status).with_header("content-type", content_type);
        response.body = Body::Stream(Box::new(write));
        response
    }

    /// Adds a header. A name or value that HTTP does not allow (a line break, say) turns the answer
    /// into a logged 500 when it is sent: never into two headers.
    #[must_use]
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a header unless there is one of this name.
    #[must_use]
    pub fn or_header(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        if self.header(name).is_some() { self } else { self.with_header(name, value) }
    }

    /// Takes away all headers of this name.
    pub(super) fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// Replaces the body by these bytes.
    #[must_use]
    pub fn with_body(mut self, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_ref())
    }

    /// Returns the body when it is not a stream.
    pub fn body_bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Stream(_) => None,
        }
    }
}

/// Reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        423 => "Locked",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Other",
    }
}
