//! Probes against tiny servers.

use std::net::TcpListener;

use super::*;

/// Answers one request with these bytes.
fn serve(answer: &'static [u8]) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0u8; 4096];
        let n = stream.read(&mut request).unwrap();
        stream.write_all(answer).unwrap();
        String::from_utf8_lossy(&request[..n]).to_ascii_lowercase()
    });
    (port, thread)
}

const SECOND: Duration = Duration::from_secs(2);

#[test]
fn a_loopback_answer_whatever_its_status() {
    let (port, thread) =
        serve(b"HTTP/1.1 503 X\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n");
    let domain = "acme.example.com".parse().unwrap();
    let path = "/api/health".parse().unwrap();
    let answer = loopback(port.try_into().unwrap(), &domain, &path, SECOND).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (503, "no\n"));
    let request = thread.join().unwrap();
    assert!(request.starts_with("get /api/health "), "{request}");
    assert!(request.contains("host: acme.example.com\r\n"), "{request}");
    assert_eq!(request.matches("host:").count(), 1, "{request}");
    assert_eq!(report("u", &Ok(answer)).error, "answers with status 503");
}

#[test]
fn a_redirect_is_shown_not_followed() {
    let (port, thread) = serve(
        b"HTTP/1.1 301 X\r\nlocation: https://acme.example.com/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let domain = "acme.example.com".parse().unwrap();
    let answer = public_plain(&domain, &"/".parse().unwrap(), at_loopback(port), SECOND).unwrap();
    assert_eq!((answer.status, answer.location.as_str()), (301, "https://acme.example.com/"));
    thread.join().unwrap();
}

#[test]
fn silence_is_a_failure_with_a_command_to_try() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port: Port = listener.local_addr().unwrap().port().try_into().unwrap();
    let domain = "acme.example.com".parse().unwrap();
    let begun = Instant::now();
    let error =
        loopback(port, &domain, &"/".parse().unwrap(), Duration::from_millis(300)).unwrap_err();
    assert!(begun.elapsed() < SECOND);
    assert!(Failure::from(error).advice.contains("curl"));
}
