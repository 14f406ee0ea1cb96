//! The head of a request: bytes in, a [`Head`] or a [`Refusal`] out. Pure; no socket, no clock.
//!
//! Stricter than `httparse` alone, because every leniency here is a way to disagree with a proxy in
//! front of us about where a request ends: a line must end in CR LF, a head must be UTF-8, there is
//! exactly one `Host`, and the method is one of a closed set.

use std::fmt;

use super::config::{MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES};
use super::method::{Method, Version};
use super::refusal::Refusal;

/// Part of the head's text. A head is at most 16 KiB, so that 16 bits are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: u16,
    to: u16,
}

/// The request line and headers of one request, checked.
///
/// The whole head is one allocation and the fields are spans into it, because thousands of parked
/// long polls each hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    text: Box<str>,
    method: Method,
    version: Version,
    path: Span,
    query: Option<Span>,
    host: Option<Span>,
    headers: Box<[(Span, Span)]>,
}

impl Head {
    /// Parses a head from the start of `bytes`: the head and its length, or `None` when more bytes
    /// are needed.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut slots);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => length,
            Ok(httparse::Status::Complete(_)) => return Err(Refusal::head_too_large()),
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(Refusal::head_too_large()),
            Err(error) => return Err(refusal_of(error)),
        };
        let text = std::str::from_utf8(&bytes[..length])
            .map_err(|_| Refusal::bad("the request head is not UTF-8"))?;
        check_line_ends(text.as_bytes())?;

        let token = parsed.method.unwrap_or_default();
        let method = Method::parse(token).ok_or_else(Refusal::unknown_method)?;
        let version = if parsed.version == Some(1) { Version::Http11 } else { Version::Http10 };
        let mut headers = Vec::with_capacity(parsed.headers.len());
        for header in parsed.headers.iter() {
            let value = std::str::from_utf8(header.value)
                .map_err(|_| Refusal::bad("a header value is not UTF-8"))?;
            headers.push((span(text, header.name), span(text, value.trim_matches([' ', '\t']))));
        }
        let target = Target::parse(parsed.path.unwrap_or_default(), method)?;
        let mut head = Self {
            path: span(text, target.path),
            query: target.query.map(|query| span(text, query)),
            host: None,
            text: text.into(),
            method,
            version,
            headers: headers.into(),
        };
        head.host = head.checked_host(target.authority)?;
        Ok(Some((head, length)))
    }

    /// Builds a head from its parts, through the same checks; for tests of routes and handlers.
    pub fn new(method: Method, target: &str, headers: &[(&str, &str)]) -> Result<Self, Refusal> {
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str("host: portal.test\r\n");
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        match Self::parse(text.as_bytes())? {
            Some((head, length)) if length == text.len() => Ok(head),
            _ => Err(Refusal::bad("the parts do not make one request head")),
        }
    }

    /// Returns the method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns the HTTP version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the path as sent, still percent-encoded; starts with `/`, or is `*` for OPTIONS.
    pub fn path(&self) -> &str {
        self.at(self.path)
    }

    /// Returns the query as sent, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.query.map(|span| self.at(span))
    }

    /// Returns the host and port that the client asked for; HTTP/1.0 clients may not say.
    pub fn host(&self) -> Option<&str> {
        self.host.map(|span| self.at(span))
    }

    /// Returns the first header of this name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Returns every header of this name in the order sent.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns the header of this name, refusing a request that carries it twice: for every header
    /// that decides who the caller is.
    pub fn get_single(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut all = self.get_all(name);
        match (all.next(), all.next()) {
            (first, None) => Ok(first),
            _ => Err(Refusal::bad(format!("header {name} is given more than once"))),
        }
    }

    /// Returns all headers in the order sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (self.at(*name), self.at(*value)))
    }

    /// Says whether a comma-separated header holds this token, whatever its case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.get_all(name)
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    }

    fn at(&self, span: Span) -> &str {
        &self.text[usize::from(span.from)..usize::from(span.to)]
    }

    /// An absolute target names the host itself; a `Host` that says otherwise is a request that
    /// two servers would route differently, so it is refused.
    fn checked_host(&self, authority: Option<&str>) -> Result<Option<Span>, Refusal> {
        let mut found = None;
        for (name, value) in &self.headers {
            if !self.at(*name).eq_ignore_ascii_case("host") {
                continue;
            }
            if found.is_some() {
                return Err(Refusal::bad("header Host is given more than once"));
            }
            let host = self.at(*value);
            if !host.bytes().all(is_host_byte) {
                return Err(Refusal::bad("header Host is not a host name with an optional port"));
            }
            if authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) {
                return Err(Refusal::bad("header Host differs from the host in the request line"));
            }
            found = Some(*value);
        }
        if found.is_none() && self.version == Version::Http11 {
            return Err(Refusal::bad("header Host is missing"));
        }
        Ok(found)
    }
}

impl fmt::Debug for Head {
    /// Prints names of headers only: values carry keys and cookies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers().map(|(name, _)| name).collect();
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn parse(target: &'a str, method: Method) -> Result<Self, Refusal> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(Refusal::target_too_long());
        }
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Refusal::bad("the request target holds characters that must be encoded"));
        }
        if target == "*" && method == Method::Options {
            return Ok(Self { authority: None, path: target, query: None });
        }
        let (authority, rest) = match strip_scheme(target) {
            None => (None, target),
            Some(rest) => {
                let end = rest.find('/').ok_or_else(|| {
                    Refusal::bad("an absolute request target needs a path after the host")
                })?;
                let (authority, path) = rest.split_at(end);
                if authority.is_empty() || !authority.bytes().all(is_host_byte) {
                    return Err(Refusal::bad("the request target names no valid host"));
                }
                (Some(authority), path)
            }
        };
        if !rest.starts_with('/') {
            return Err(Refusal::bad("the request target must start with /"));
        }
        Ok(match rest.split_once('?') {
            Some((path, query)) => Self { authority, path, query: Some(query) },
            None => Self { authority, path: rest, query: None },
        })
    }
}

fn strip_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

/// No user information, no path: letters, digits and the punctuation of names, ports and IPv6.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)
}

/// `httparse` takes a bare LF for a line end; a server in front of us may not.
fn check_line_ends(bytes: &[u8]) -> Result<(), Refusal> {
    let mut previous = 0;
    for &byte in bytes {
        if byte == b'\n' && previous != b'\r' {
            return Err(Refusal::bad("a line of the request head ends without CR"));
        }
        if previous == b'\r' && byte != b'\n' {
            return Err(Refusal::bad("the request head holds a CR inside a line"));
        }
        previous = byte;
    }
    Ok(())
}

/// `part` is a slice of `text`, so that its place is the difference of the two addresses.
fn span(text: &str, part: &str) -> Span {
    let from = part.as_ptr() as usize - text.as_ptr() as usize;
    let place = |at: usize| u16::try_from(at).expect("a head is at most 16 KiB");
    Span { from: place(from), to: place(from + part.len()) }
}

fn refusal_of(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::too_many_headers(),
        httparse::Error::Version => Refusal::version(),
        httparse::Error::HeaderName => Refusal::bad("a header name holds a character not allowed"),
        httparse::Error::HeaderValue => {
            Refusal::bad("a header value holds a character not allowed, or is folded")
        }
        httparse::Error::NewLine => Refusal::bad("a line of the request head ends wrongly"),
        httparse::Error::Token | httparse::Error::Status => {
            Refusal::bad("the request line is not METHOD TARGET HTTP/1.1")
        }
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
