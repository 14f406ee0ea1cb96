//! What the HTTP layer refuses by itself has the headers of every other answer, over real sockets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use freehold_portal::{
    clock::ManualClock,
    config::Config,
    context::Portal,
    http::{
        handler::PortalHandler,
        server::{Handler, Head, Limits, Request, Response, ServerStats},
    },
};
use freehold_protocol::time::Timestamp;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};

use crate::running::Running;

/// A page that may ask.
const PAGE: &str = "https://admin.example.com";
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The portal, but for one address whose handler panics.
struct Panics(PortalHandler);

impl Handler for Panics {
    fn body_limit(&self, head: &Head) -> u64 {
        self.0.body_limit(head)
    }

    fn handle(&self, request: &Request) -> Response {
        match request.head.path() {
            "/panic" => panic!("boom"),
            "/split" => Response::new(200).with_header("x", "a\r\nset-cookie: b"),
            _ => self.0.handle(request),
        }
    }

    fn finish(&self, response: Response, head: Option<&Head>) -> Response {
        self.0.finish(response, head)
    }
}

struct World {
    running: Running,
    stats: Arc<ServerStats>,
    trusted: Option<CertificateDer<'static>>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(over_tls: bool, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: "https://portal.example.com".into(),
            data_dir: folder.path().join("data"),
            cors_origins: vec![PAGE.into()],
            ..Config::default()
        };
        std::fs::create_dir(&config.data_dir).unwrap();
        let trusted = over_tls.then(|| {
            let names = vec!["localhost".to_owned()];
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            config.tls_certificate = folder.path().join("chain.pem");
            config.tls_key = folder.path().join("key.pem");
            std::fs::write(&config.tls_certificate, made.cert.pem()).unwrap();
            std::fs::write(&config.tls_key, made.signing_key.serialize_pem()).unwrap();
            made.cert.der().clone()
        });
        let mut of_server = config.server();
        of_server.limits = limits;
        let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
        let (portal, _) = Portal::open(config, Arc::new(clock)).unwrap();
        let mut stats = None;
        let running = Running::start(&Arc::new(portal), of_server, |handler, of_server| {
            stats = Some(of_server);
            Panics(handler)
        });
        Self { running, stats: stats.unwrap(), trusted, _folder: folder }
    }

    fn plain(&self) -> TcpStream {
        let socket = TcpStream::connect(self.running.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Sends `request` in the way that the server speaks, and reads the head of the answer.
    fn ask(&self, request: &str) -> Answer {
        let Some(trusted) = &self.trusted else { return Answer::of(self.plain(), request) };
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        Answer::of(StreamOwned::new(tls, self.plain()), request)
    }
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Answer {
    fn of(mut stream: impl Read + Write, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        stream.flush().unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        let status = lines.next().unwrap()["HTTP/1.1 ".len()..][..3].parse().unwrap();
        let headers = lines.take_while(|line| !line.is_empty());
        let headers = headers.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        });
        Self { status, headers: headers.collect() }
    }

    /// The value of a header, which is there once or not at all.
    #[track_caller]
    fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = all.next().map(|(_, value)| value.as_str());
        assert!(all.next().is_none(), "{name} is there twice");
        value
    }

    /// Checks what every answer has; `is_read` says whether the head of the request could be read.
    #[track_caller]
    fn is_complete(&self, status: u16, is_read: bool) {
        assert_eq!(self.status, status);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age=31536000"),
            ("vary", "Origin"),
        ] {
            assert_eq!(self.header(name), Some(value), "{status}: {name}");
        }
        let shown = self.header("access-control-allow-origin");
        assert_eq!(shown, is_read.then_some(PAGE), "{status}");
        assert_eq!(self.header("access-control-expose-headers").is_some(), is_read, "{status}");
    }
}

/// Limits that a test can reach.
fn small() -> Limits {
    Limits {
        head: Duration::from_millis(300),
        body: Duration::from_millis(300),
        body_memory: 1000,
        ..Limits::default()
    }
}

#[test]
fn refusals_of_the_http_layer_have_the_headers_of_every_answer() {
    let world = World::new(true, small());
    let from_page = format!("Host: a\r\nOrigin: {PAGE}\r\n");
    let post = format!("POST /api/v1/auth/login HTTP/1.1\r\n{from_page}");
    let long = "x".repeat(17_000);
    let cases = [
        (200, true, format!("GET /healthz HTTP/1.1\r\n{from_page}\r\n")),
        (404, true, format!("GET /nothing HTTP/1.1\r\n{from_page}\r\n")),
        (400, false, format!("GET / HTTP/1.1\r\nOrigin: {PAGE}\r\n\r\n")),
        (400, true, format!("{post}Content-Length: 1\r\nContent-Length: 1\r\n\r\na")),
        (408, false, format!("GET / HTTP/1.1\r\n{from_page}")),
        (408, true, format!("{post}Content-Length: 900\r\n\r\nx")),
        (413, true, format!("{post}Content-Length: 99999999\r\n\r\n")),
        (414, false, format!("GET /{} HTTP/1.1\r\n{from_page}\r\n", &long[..9000])),
        (417, true, format!("{post}Expect: tea\r\nContent-Length: 1\r\n\r\n")),
        (431, false, format!("GET / HTTP/1.1\r\n{from_page}X: {long}\r\n\r\n")),
        (431, false, format!("GET / HTTP/1.1\r\n{from_page}{}\r\n", "x: y\r\n".repeat(64))),
        (500, true, format!("GET /panic HTTP/1.1\r\n{from_page}\r\n")),
        (500, true, format!("GET /split HTTP/1.1\r\n{from_page}\r\n")),
        (501, true, format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n")),
        (501, false, format!("BREW / HTTP/1.1\r\n{from_page}\r\n")),
        (503, true, format!("{post}Content-Length: 2000\r\n\r\n")),
        (505, false, format!("PRI * HTTP/2.0\r\n{from_page}\r\n")),
    ];
    for (status, is_read, request) in cases {
        world.ask(&request).is_complete(status, is_read);
    }
    // An origin that is not listed learns nothing from a refusal either.
    let evil = "POST /api/v1/hosts HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.test\r\n";
    let answer = world.ask(&format!("{evil}Content-Length: 99999999\r\n\r\n"));
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (413, None));
    // Nothing is said about TLS to whoever comes without, where the portal itself speaks it.
    let answer = Answer::of(world.plain(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.status, answer.header("strict-transport-security")), (400, None));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn whoever_is_turned_away_by_a_full_portal_gets_the_headers_of_every_answer() {
    let world = World::new(false, Limits { max_connections: 1, ..Limits::default() });
    let mut held = world.plain();
    // In the middle of a head it is not idle, so that it does not make room.
    held.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let until = Instant::now() + PATIENCE;
    while world.stats.open_connections() == 0 {
        assert!(Instant::now() < until, "the first connection is not taken");
        thread::sleep(Duration::from_millis(5));
    }
    // A proxy in front of the portal is what speaks TLS here, and passes on what it says about it.
    let answer = world.ask(&format!("GET /healthz HTTP/1.1\r\nHost: a\r\nOrigin: {PAGE}\r\n\r\n"));
    answer.is_complete(503, false);
    assert_eq!(answer.header("retry-after"), Some("5"));
}
