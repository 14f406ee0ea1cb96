//! A health check for images that have no curl.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Succeeds when `url` (plain `http://host:port/path`) answers 2xx.
pub(crate) fn probe(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").ok_or("URL: must begin with http://")?;
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let with_port =
        if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let address = with_port
        .to_socket_addrs()
        .map_err(|error| format!("{authority}: {error}"))?
        .next()
        .ok_or_else(|| format!("{authority}: no address"))?;
    let status = status(address, authority, &path).map_err(|error| format!("{url}: {error}"))?;
    if (200..300).contains(&status) { Ok(()) } else { Err(format!("{url}: status {status}")) }
}

fn status(address: std::net::SocketAddr, host: &str, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    std::str::from_utf8(&head)
        .ok()
        .and_then(|text| text.strip_prefix("HTTP/1.1 "))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| std::io::Error::other("the answer is not HTTP/1.1"))
}
