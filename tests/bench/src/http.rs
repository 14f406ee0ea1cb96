//! A small HTTP/1.1 client: one connection, plain or TLS, requests that are bytes already. So that
//! what it costs itself is little, and the same for what is measured and for the baseline.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

/// How long an answer may take; polls are held for less.
const PATIENCE: Duration = Duration::from_secs(120);

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection that is kept.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body, when the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Vec<u8> {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.body
    }
}

impl Connection {
    /// Connects; with `tls` the handshake is done as well.
    #[track_caller]
    pub fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Self {
        let socket = TcpStream::connect(address).expect("a connection to the server");
        socket.set_nodelay(true).expect("TCP_NODELAY");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let stream = match tls {
            None => Stream::Plain(socket),
            Some(config) => {
                let name = ServerName::from(address.ip());
                let connection =
                    ClientConnection::new(Arc::clone(config), name).expect("a TLS client");
                let mut stream = StreamOwned::new(connection, socket);
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock).expect("a TLS handshake");
                }
                Stream::Tls(Box::new(stream))
            }
        };
        Self { stream, buffer: Vec::new() }
    }

    /// Sends a request.
    #[track_caller]
    pub fn send(&mut self, request: &[u8]) {
        let sent = match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(request),
            Stream::Tls(stream) => stream.write_all(request).and_then(|()| stream.flush()),
        };
        sent.expect("a request can be sent");
    }

    /// Waits for the next answer.
    #[track_caller]
    pub fn receive(&mut self) -> Reply {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill();
        };
        let head = std::str::from_utf8(&self.buffer[..end]).expect("a head is text");
        let status = head.get(9..12).and_then(|code| code.parse().ok()).expect("a status line");
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
        while self.buffer.len() < end + length {
            self.fill();
        }
        let body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        Reply { status, body }
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub fn call(&mut self, request: &[u8]) -> Reply {
        self.send(request);
        self.receive()
    }

    fn fill(&mut self) {
        let mut chunk = [0; 16 * 1024];
        let read: io::Result<usize> = match &mut self.stream {
            Stream::Plain(socket) => socket.read(&mut chunk),
            Stream::Tls(stream) => stream.read(&mut chunk),
        };
        let length = read.expect("an answer");
        assert!(length > 0, "the server closed the connection");
        self.buffer.extend_from_slice(&chunk[..length]);
    }
}

/// A request with a body as the bytes that go over the wire.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str("content-type: application/json\r\n");
    }
    if method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
