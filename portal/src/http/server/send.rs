//! An answer on its way out: the head as text, and the body whole or in chunks.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use super::method::{Method, Version};
use super::request::{RequestId, Signals};
use super::response::{Body, Response, reason};
use super::wire::{Patience, Wire};

/// Bodies up to this size travel in one write with their head.
const ONE_WRITE_BYTES: usize = 16 * 1024;
/// A streamed body is sent in chunks of about this size, unless it is flushed earlier.
const CHUNK_BYTES: usize = 16 * 1024;

/// What about the request decides how its answer is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) id: &'a RequestId,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
}

/// How the body is delimited in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    /// 204 and 304 have no body, and 204 must not have a length (RFC 9110 section 8.6).
    Nothing,
    Length(usize),
    Chunks,
    /// A streamed answer to an HTTP/1.0 client ends with the connection.
    Close,
}

/// An answer that HTTP cannot carry; a fault of the handler.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadResponse {
    #[error("status {0} is not the status of an answer")]
    Status(u16),
    #[error("header {0:?} has a name or value that HTTP does not allow")]
    Header(String),
}

/// Why an answer was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// Nothing was written yet: another answer can take its place.
    #[error("the answer is not valid HTTP")]
    Bad(#[source] BadResponse),
    #[error("the answer could not be sent")]
    Io(#[source] io::Error),
}

/// Sends an answer. `Ok(true)` when the connection may carry another request.
pub(super) fn send(
    wire: &mut Wire,
    response: Response,
    context: Context<'_>,
    signals: &Signals,
    mut patience: Patience,
) -> Result<bool, SendError> {
    let delimiter = match (response.status, &response.body, context.version) {
        (204 | 304, _, _) => Delimiter::Nothing,
        (_, Body::Bytes(bytes), _) => Delimiter::Length(bytes.len()),
        (_, Body::Stream(_), Version::Http11) => Delimiter::Chunks,
        (_, Body::Stream(_), Version::Http10) => Delimiter::Close,
    };
    let keep_alive = context.keep_alive && delimiter != Delimiter::Close;
    let context = Context { keep_alive, ..context };
    let head = render_head(&response, delimiter, context, SystemTime::now());
    let head = head.map_err(SendError::Bad)?;
    let bodiless = context.method == Method::Head || delimiter == Delimiter::Nothing;
    let chunked = delimiter == Delimiter::Chunks;
    let body = (!bodiless).then_some(response.body);
    send_parts(wire, head, body, chunked, signals, &mut patience).map_err(SendError::Io)?;
    Ok(keep_alive)
}

/// Renders an answer with a whole body that ends its connection.
pub(super) fn render_closing(response: Response, id: &RequestId) -> io::Result<Vec<u8>> {
    let (method, version) = (Method::Get, Version::Http11);
    let context = Context { id, method, version, keep_alive: false };
    let body = response.body_bytes().unwrap_or_default();
    let delimiter = Delimiter::Length(body.len());
    let head = render_head(&response, delimiter, context, SystemTime::now());
    let mut out = head.map_err(io::Error::other)?;
    out.extend_from_slice(body);
    Ok(out)
}

fn send_parts(
    wire: &mut Wire,
    mut out: Vec<u8>,
    body: Option<Body>,
    chunked: bool,
    signals: &Signals,
    patience: &mut Patience,
) -> io::Result<()> {
    match body {
        None => wire.write_all(&out, patience),
        Some(Body::Bytes(bytes)) if bytes.len() <= ONE_WRITE_BYTES => {
            out.extend_from_slice(&bytes);
            wire.write_all(&out, patience)
        }
        Some(Body::Bytes(bytes)) => {
            wire.write_all(&out, patience)?;
            drop(out);
            wire.write_all(&bytes, patience)
        }
        Some(Body::Stream(write)) => {
            wire.write_all(&out, patience)?;
            drop(out);
            let mut body = BodyWriter { wire, patience, signals, chunked, buffer: Vec::new() };
            write(&mut body)?;
            body.finish()
        }
    }
}

/// Writes a streamed body. Small writes are gathered; `flush` sends what there is, as server-sent
/// events need. Waiting for a slow client counts against [`Limits::write`], working does not.
///
/// [`Limits::write`]: super::Limits::write
#[expect(missing_debug_implementations, reason = "it holds a TLS session and nothing to look at")]
pub struct BodyWriter<'a> {
    wire: &'a mut Wire,
    patience: &'a mut Patience,
    signals: &'a Signals,
    chunked: bool,
    buffer: Vec<u8>,
}

impl BodyWriter<'_> {
    /// Says whether the client has gone; a stream that waits for news should look now and then.
    pub fn peer_gone(&self) -> bool {
        self.signals.peer_gone()
    }

    /// Says whether the server is shutting down: an endless stream should end now.
    pub fn shutting_down(&self) -> bool {
        self.signals.shutting_down()
    }

    fn send_chunk(&mut self, last: bool) -> io::Result<()> {
        let mut frame = Vec::with_capacity(self.buffer.len() + 32);
        if !self.chunked {
            frame.append(&mut self.buffer);
        } else if !self.buffer.is_empty() {
            write!(frame, "{:x}\r\n", self.buffer.len())?;
            frame.append(&mut self.buffer);
            frame.extend_from_slice(b"\r\n");
        }
        if last && self.chunked {
            frame.extend_from_slice(b"0\r\n\r\n");
        }
        self.wire.write_all(&frame, self.patience)
    }

    fn finish(mut self) -> io::Result<()> {
        self.send_chunk(true)
    }
}

impl Write for BodyWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let part = data.len().min(CHUNK_BYTES);
        self.buffer.extend_from_slice(&data[..part]);
        if self.buffer.len() >= CHUNK_BYTES {
            self.send_chunk(false)?;
        }
        Ok(part)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_chunk(false)
    }
}

/// Headers that only the server writes; a handler's own are left out.
const OURS: [&str; 5] =
    ["content-length", "transfer-encoding", "connection", "date", "x-request-id"];

fn render_head(
    response: &Response,
    delimiter: Delimiter,
    context: Context<'_>,
    now: SystemTime,
) -> Result<Vec<u8>, BadResponse> {
    let status = response.status;
    if !(200..600).contains(&status) {
        return Err(BadResponse::Status(status));
    }
    let mut out = Vec::with_capacity(256 + response.headers.len() * 48);
    let put = |out: &mut Vec<u8>, parts: &[&str]| {
        parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    };
    let number = status.to_string();
    put(&mut out, &["HTTP/1.1 ", &number, " ", reason(status), "\r\n"]);
    for (name, value) in &response.headers {
        if !is_header(name, value) {
            return Err(BadResponse::Header(name.to_string()));
        }
        if !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            put(&mut out, &[name, ": ", value, "\r\n"]);
        }
    }
    match delimiter {
        Delimiter::Nothing | Delimiter::Close => {}
        Delimiter::Length(length) => {
            put(&mut out, &["content-length: ", &length.to_string(), "\r\n"]);
        }
        Delimiter::Chunks => put(&mut out, &["transfer-encoding: chunked\r\n"]),
    }
    if !context.keep_alive {
        put(&mut out, &["connection: close\r\n"]);
    }
    put(&mut out, &["date: ", &http_date(now), "\r\n"]);
    put(&mut out, &["x-request-id: ", context.id.as_str(), "\r\n\r\n"]);
    Ok(out)
}

fn is_header(name: &str, value: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_token)
        && value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Renders a moment as HTTP writes it (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(now: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let secs = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = secs / 86_400;
    // Howard Hinnant's civil_from_days, for days since 1970: years start in March, so that the leap
    // day is the last one.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize],
        secs / 3600 % 24,
        secs / 60 % 60,
        secs % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_standard() {
        let at = |secs| http_date(UNIX_EPOCH + Duration::from_secs(secs));
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(at(951_868_800), "Wed, 01 Mar 2000 00:00:00 GMT");
        assert_eq!(at(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
    }

    fn rendered(response: &Response) -> Result<String, BadResponse> {
        let id = RequestId::fresh();
        let (method, version) = (Method::Get, Version::Http11);
        let context = Context { id: &id, method, version, keep_alive: true };
        let out = render_head(response, Delimiter::Length(3), context, UNIX_EPOCH)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_handler_cannot_inject_headers_or_change_the_framing() {
        let good =
            Response::new(200).with_header("X-A", "b\tc é").with_header("Content-Length", "9");
        let text = rendered(&good).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nX-A: b\tc é\r\ncontent-length: 3\r\ndate: "));
        for (name, value) in [("X-A", "b\r\nSet-Cookie: x"), ("X A", "b"), ("", "b"), ("X", "\0")] {
            let bad = Response::new(200).with_header(name, value);
            assert!(matches!(rendered(&bad), Err(BadResponse::Header(_))), "{name:?} {value:?}");
        }
        assert!(matches!(rendered(&Response::new(100)), Err(BadResponse::Status(100))));
    }
}
