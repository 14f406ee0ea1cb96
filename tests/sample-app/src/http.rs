//! Just enough HTTP/1.1 to serve behind nginx: one thread and one request per connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HEAD_MAX: u64 = 16 * 1024;
const BODY_MAX: usize = 256 * 1024;
const CONNECTIONS_MAX: usize = 64;
const IO_TIMEOUT: Duration = Duration::from_secs(15);

/// A request that was read whole.
#[derive(Debug)]
pub(crate) struct Request {
    /// `GET`, `PUT`, …
    pub(crate) method: String,
    /// The path without the query.
    pub(crate) path: String,
    /// What follows the question mark.
    pub(crate) query: String,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    /// As long as Content-Length said.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The first header of that name (lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is sent back.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Response {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        let body = format!("{body}\n");
        Self { status, content_type: "application/json", headers: Vec::new(), body }
    }

    /// A page.
    pub(crate) fn html(status: u16, body: String) -> Self {
        Self { status, content_type: "text/html; charset=utf-8", headers: Vec::new(), body }
    }

    /// The same with one more header. Line breaks in the value are dropped.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.chars().filter(|letter| !letter.is_control()).collect()));
        self
    }
}

/// Serves on every address until SIGTERM or SIGINT ends the process.
pub(crate) fn serve(
    port: u16,
    handle: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> Result<(), String> {
    end_on_signals()?;
    let listener = TcpListener::bind(("0.0.0.0", port))
        .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
    println!("listening on port {port}");
    let handle = Arc::new(handle);
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: let some close.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        // Full: the client sees the connection closed and may come again.
        if open.load(Ordering::SeqCst) >= CONNECTIONS_MAX {
            continue;
        }
        open.fetch_add(1, Ordering::SeqCst);
        let (handle, open) = (Arc::clone(&handle), Arc::clone(&open));
        std::thread::spawn(move || {
            // A client that went away is no concern of a server.
            drop(answer(&stream, handle.as_ref()));
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    Ok(())
}

fn end_on_signals() -> Result<(), String> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])
        .map_err(|error| format!("cannot handle signals: {error}"))?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Nothing is kept in memory that could be lost.
            #[allow(clippy::exit)]
            std::process::exit(0);
        }
    });
    Ok(())
}

fn answer(stream: &TcpStream, handle: &dyn Fn(&Request) -> Response) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    let (response, head_only) = match read_request(&mut BufReader::new(stream)) {
        Ok(request) => (handle(&request), request.method == "HEAD"),
        Err(reason) => (Response::json(400, &serde_json::json!({ "error": reason })), false),
    };
    let mut out = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
        response.status,
        reason_phrase(response.status),
        response.content_type,
        response.body.len()
    );
    for (name, value) in &response.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    if !head_only {
        out.push_str(&response.body);
    }
    let mut stream = stream;
    stream.write_all(out.as_bytes())
}

fn read_request(reader: &mut impl BufRead) -> Result<Request, String> {
    let mut head = reader.by_ref().take(HEAD_MAX);
    let mut line = || -> Result<String, String> {
        let mut bytes = Vec::new();
        head.read_until(b'\n', &mut bytes).map_err(|error| error.to_string())?;
        if !bytes.ends_with(b"\n") {
            return Err("the request's head is cut off or too long".to_owned());
        }
        let text = String::from_utf8(bytes).map_err(|_| "the head is not UTF-8".to_owned())?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("not an HTTP/1 request line".to_owned());
    };
    let mut headers = Vec::new();
    loop {
        let text = line()?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or("a header without a colon")?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or(target).to_owned(),
        query: target.split_once('?').map_or_else(String::new, |(_, query)| query.to_owned()),
        headers,
        body: Vec::new(),
    };
    if request.header("transfer-encoding").is_some() {
        return Err("send a Content-Length; chunked bodies are not read here".to_owned());
    }
    if let Some(length) = request.header("content-length") {
        let length: usize = length.parse().map_err(|_| "Content-Length is not a number")?;
        if length > BODY_MAX {
            return Err(format!("the body is larger than {BODY_MAX} bytes"));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).map_err(|_| "the body is cut off".to_owned())?;
        request.body = body;
    }
    Ok(request)
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, String> {
        read_request(&mut BufReader::new(text.as_bytes()))
    }

    #[test]
    fn reads_head_and_body() {
        let request =
            read("PUT /a/b?c=d HTTP/1.1\r\nHost: acme.test\r\nContent-Length: 2\r\n\r\n{}xx")
                .unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/a/b"));
        assert_eq!(request.header("host"), Some("acme.test"));
        assert_eq!(request.body, b"{}");
    }

    #[test]
    fn refuses_what_is_cut_off_or_too_long() {
        assert!(read("GET / HTTP/1.1\r\nHost: a").is_err());
        assert!(read("GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab").is_err());
        assert!(read(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000))).is_err());
        assert!(read("GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").is_err());
        assert!(read("hello\r\n\r\n").is_err());
    }
}
