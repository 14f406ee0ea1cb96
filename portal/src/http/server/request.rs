//! A request as the handler gets it, and what it can learn about its client while it works.

use std::fmt;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::config::Forwarded;
use super::head::Head;
use super::shutdown::ShutdownSignal;

/// A whole request: the body has been read.
#[derive(Debug)]
pub struct Request {
    /// Request line and headers.
    pub head: Head,
    /// The body; empty when there is none.
    pub body: Vec<u8>,
    /// Address of the client, as [`Forwarded`] says.
    pub peer: IpAddr,
    /// Whether the client's connection is encrypted, up to us or up to the trusted proxy.
    pub secure: bool,
    /// Name of this request in logs and in the answer's `X-Request-Id`.
    pub id: RequestId,
    /// Whether the client is still there and the server still runs.
    pub signals: Signals,
}

impl Request {
    /// Says whether the client has gone, so that nobody waits for the answer any more.
    pub fn peer_gone(&self) -> bool {
        self.signals.peer_gone()
    }

    /// Says whether the server is shutting down: a long poll should answer now.
    pub fn shutting_down(&self) -> bool {
        self.signals.shutting_down()
    }

    /// Returns a request without a client behind it, for tests of handlers.
    pub fn detached(head: Head, body: Vec<u8>) -> Self {
        Self {
            head,
            body,
            peer: IpAddr::from([127, 0, 0, 1]),
            secure: false,
            id: RequestId::fresh(),
            signals: Signals { socket: None, shutdown: ShutdownSignal::never() },
        }
    }
}

/// What a handler that waits must look at now and then. Cheap to clone and to ask (one `poll`).
#[derive(Debug, Clone)]
pub struct Signals {
    pub(super) socket: Option<Arc<TcpStream>>,
    pub(super) shutdown: ShutdownSignal,
}

impl Signals {
    /// Says whether the client has closed its side or vanished.
    ///
    /// A client that half-closes and still reads counts as gone: no long poll does that. A client whose
    /// machine died counts as gone when TCP keep-alive has noticed, after about two minutes.
    pub fn peer_gone(&self) -> bool {
        let Some(socket) = &self.socket else { return false };
        // POLLRDHUP sees the FIN behind pipelined bytes or a TLS close_notify, which a peek does not.
        let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(0) => false,
            Ok(_) => fds[0]
                .revents()
                .intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
            Err(_interrupted) => false,
        }
    }

    /// Says whether the server is shutting down.
    pub fn shutting_down(&self) -> bool {
        self.shutdown.is_set()
    }
}

/// Name of one request: a UUIDv7 in 26 characters of Crockford's base 32, so that ids sort by time.
/// Always ours: a client's `X-Request-Id` could forge another request's lines in the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 26]);

impl RequestId {
    /// Returns a new id.
    pub fn fresh() -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut rest = uuid::Uuid::now_v7().as_u128();
        let mut text = [0; 26];
        for place in text.iter_mut().rev() {
            *place = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        Self(text)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Client address and whether its connection is encrypted.
pub(super) fn origin(
    head: &Head,
    socket_peer: IpAddr,
    tls: bool,
    forwarded: Forwarded,
) -> (IpAddr, bool) {
    if forwarded == Forwarded::Ignore || !socket_peer.is_loopback() {
        return (socket_peer, tls);
    }
    let peer = head
        .get_all("x-forwarded-for")
        .last()
        .and_then(|value| value.rsplit(',').next())
        .and_then(parse_forwarded)
        .unwrap_or(socket_peer);
    let secure = tls
        || head
            .get_all("x-forwarded-proto")
            .last()
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("https"));
    (peer, secure)
}

/// An entry of `X-Forwarded-For`: an address, which some proxies write with a port or in brackets.
fn parse_forwarded(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse::<IpAddr>()
        .ok()
        .or_else(|| entry.parse::<std::net::SocketAddr>().ok().map(|full| full.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::server::Method;

    fn from(headers: &[(&str, &str)], socket: &str, forwarded: Forwarded) -> (String, bool) {
        let head = Head::new(Method::Get, "/", headers).unwrap();
        let (peer, secure) = origin(&head, socket.parse().unwrap(), false, forwarded);
        (peer.to_string(), secure)
    }

    #[test]
    fn the_last_forwarded_entry_counts_and_only_from_a_trusted_loopback_proxy() {
        let headers = [("X-Forwarded-For", "6.6.6.6, 1.2.3.4"), ("X-Forwarded-Proto", "https")];
        let trust = Forwarded::TrustLoopback;
        assert_eq!(from(&headers, "127.0.0.1", trust), ("1.2.3.4".into(), true));
        assert_eq!(from(&headers, "127.0.0.1", Forwarded::Ignore), ("127.0.0.1".into(), false));
        assert_eq!(from(&headers, "9.9.9.9", trust), ("9.9.9.9".into(), false));
        let two = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "[2001:db8::1]:443")];
        assert_eq!(from(&two, "::1", trust).0, "2001:db8::1");
        assert_eq!(from(&[("x-forwarded-for", "nonsense")], "127.0.0.1", trust).0, "127.0.0.1");
        assert_eq!(from(&[("x-forwarded-for", "::ffff:1.2.3.4")], "::1", trust).0, "1.2.3.4");
    }

    #[test]
    fn request_ids_differ_and_sort_by_time() {
        let ids: Vec<RequestId> = (0..1000).map(|_| RequestId::fresh()).collect();
        assert!(ids.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
        assert_eq!(ids[0].as_str().len(), 26);
    }
}
