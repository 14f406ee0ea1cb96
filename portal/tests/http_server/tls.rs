//! The same server behind TLS.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use freehold_portal::http::server::{Config, Reload, Server, TlsFiles};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::Client;
use crate::harness::{Running, eventually, quick};

type Secure = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// Writes a new certificate and returns it.
fn issue(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn config(folder: &Path, check_every: Duration) -> Config {
    let tls =
        TlsFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem"), check_every };
    let plain = Config::plain("127.0.0.1:0".parse().unwrap());
    Config { tls: Some(tls), limits: quick(), ..plain }
}

fn connect(
    server: &Running,
    trusted: &CertificateDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
) -> std::io::Result<Secure> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(server.address)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    Ok(BufReader::new(StreamOwned::new(tls, socket)))
}

fn get(stream: &mut Secure, path: &str) -> (String, Vec<u8>) {
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    answer(stream)
}

fn answer(stream: &mut Secure) -> (String, Vec<u8>) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "closed after {head:?}");
        if line == "\r\n" {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

#[test]
fn both_versions_of_tls_carry_requests_and_large_answers() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = issue(folder.path());
    let server = Running::with(config(folder.path(), Duration::from_secs(60)));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = connect(&server, &trusted, version).unwrap();
        for _ in 0..3 {
            assert_eq!(get(&mut stream, "/peer").1, b"127.0.0.1 true");
        }
        let body = vec![b'y'; 1 << 20];
        let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 20);
        let socket = stream.get_mut();
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(&body).unwrap();
        socket.flush().unwrap();
        assert!(answer(&mut stream).1 == body);
    }
}

#[test]
fn a_tls_client_that_has_gone_is_noticed_and_a_parked_one_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = issue(folder.path());
    let server = Running::with(config(folder.path(), Duration::from_secs(60)));
    let park = || {
        let mut stream = connect(&server, &trusted, &rustls::version::TLS13).unwrap();
        write!(stream.get_mut(), "GET /park HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        server.expect("parked");
        stream
    };
    let mut polite = park();
    polite.get_mut().conn.send_close_notify();
    polite.get_mut().flush().unwrap();
    drop(polite);
    server.expect("gone");
    drop(park());
    server.expect("gone");
    let mut waiting = park();
    let ended = server.end();
    assert_eq!((ended.cut, ended.left), (0, 0));
    assert_eq!(answer(&mut waiting).1, b"shutdown");
    assert_eq!(waiting.read(&mut [0]).unwrap(), 0, "the end is said in TLS");
}

#[test]
fn handshakes_that_stall_and_plain_requests_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    let server = Running::with(config(folder.path(), Duration::from_secs(60)));
    let answer = server.client().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("https://"));

    let mut slow: Client = server.client();
    let began = Instant::now();
    // A record header that promises 200 bytes, which then trickle in.
    slow.send(&[0x16, 3, 1, 0, 200, 1, 0, 0, 196]);
    while slow.try_send(&[3]) && began.elapsed() < Duration::from_secs(3) {
        thread::sleep(Duration::from_millis(20));
        if server.stats.failed_handshakes_total() > 0 {
            break;
        }
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.client().send(&[0x16, 3, 1, 0, 4, 1, 2, 3, 4]);
    eventually("both are counted", || server.stats.failed_handshakes_total() == 2);
}

#[test]
fn a_renewed_certificate_is_used_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let old = issue(folder.path());
    let server = Server::bind(config(folder.path(), Duration::from_millis(50))).unwrap();
    let certificate = server.certificate().unwrap();
    let server = Running::of(server);
    let serves = |trusted: &CertificateDer<'static>| {
        connect(&server, trusted, &rustls::version::TLS13)
            .is_ok_and(|mut stream| get(&mut stream, "/id").0.starts_with("HTTP/1.1 200"))
    };
    assert!(serves(&old));
    assert_eq!(certificate.reload_if_changed(), Reload::Unchanged);

    let old_key = fs::read(folder.path().join("key.pem")).unwrap();
    let new = issue(folder.path());
    let new_key = fs::read(folder.path().join("key.pem")).unwrap();
    eventually("the new certificate is used", || serves(&new));

    fs::write(folder.path().join("key.pem"), "garbage").unwrap();
    assert_eq!(certificate.reload_if_changed(), Reload::KeptOld);
    fs::write(folder.path().join("key.pem"), old_key).unwrap();
    assert_eq!(certificate.reload_if_changed(), Reload::KeptOld, "a key of another certificate");
    fs::remove_file(folder.path().join("chain.pem")).unwrap();
    assert_eq!(certificate.reload_if_changed(), Reload::KeptOld);
    assert!(serves(&new));
    fs::write(folder.path().join("key.pem"), new_key).unwrap();
    let newest = issue(folder.path());
    eventually("files put right are used", || serves(&newest));
}

#[test]
fn a_server_with_a_bad_certificate_does_not_start_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    let missing = TlsFiles {
        chain: folder.path().join("nowhere.pem"),
        key: folder.path().join("key.pem"),
        check_every: Duration::from_secs(1),
    };
    let plain = Config::plain("127.0.0.1:0".parse().unwrap());
    let error = Server::bind(Config { tls: Some(missing), ..plain }).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("nowhere.pem"), "{cause}");
}
