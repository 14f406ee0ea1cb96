//! Every limit of the server, with the reason for its size.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Stack of a connection's thread. Stacks are mapped, not filled: only the pages touched cost memory,
/// so that this is a limit on recursion and not a price per connection. The module documentation says
/// what was measured.
pub const STACK_BYTES: usize = 512 * 1024;

/// Request line and headers together. Signed agent requests need about 1 KiB, browsers with cookies
/// rarely 4 KiB; nginx and Apache stop at 8 KiB a line.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Headers in a request; the array for them lies on the connection's stack.
pub const MAX_HEADERS: usize = 64;

/// Path and query together.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

/// First read of a connection that waits for a request: one page holds nearly every head.
pub(super) const HEAD_READ_BYTES: usize = 4 * 1024;

/// Most that one read adds to a body, so that a client that announces a large body and sends nothing
/// holds no memory for it.
pub(super) const BODY_READ_BYTES: usize = 64 * 1024;

/// Slowest rate at which a client may take an answer once [`Limits::write`] is used up.
pub(super) const MIN_WRITE_BYTES_PER_SEC: u64 = 16 * 1024;

/// How much of a refused request is read and thrown away, so that the client sees the answer and not a
/// reset connection, and for how long.
pub(super) const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// See [`LINGER_BYTES`].
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Connections over the cap that are being told so; more are dropped unanswered.
pub(super) const MAX_REJECTING: usize = 256;

/// After the grace of a shutdown all sockets are closed; threads then have this long to end.
pub(super) const FORCED_END: Duration = Duration::from_secs(2);

/// What the server needs to know to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key; without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Whether a proxy in front of us says who the client is.
    pub forwarded: Forwarded,
    /// Limits and deadlines.
    pub limits: Limits,
}

impl Config {
    /// Returns a configuration for plain HTTP on this address with the default limits.
    pub fn plain(listen: SocketAddr) -> Self {
        Self { listen, tls: None, forwarded: Forwarded::Ignore, limits: Limits::default() }
    }
}

/// Where the certificate lies.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM file with the certificate chain, the server's own certificate first.
    pub chain: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// How often the files are looked at for a renewed certificate.
    pub check_every: Duration,
}

/// Who says where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// The socket. `X-Forwarded-For` and `X-Forwarded-Proto` are ignored: anybody can write them.
    Ignore,
    /// A proxy on this machine: the last entry of `X-Forwarded-For`, which is the one that the proxy
    /// itself wrote, on connections from a loopback address only.
    TrustLoopback,
}

/// Limits that an operator may want to change.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; more get 503 with `Retry-After`. Each parked long poll is one.
    pub max_connections: usize,
    /// Connections at once from one address (IPv6: one /64); 0 is no limit. Loopback is never limited.
    pub max_connections_per_ip: usize,
    /// Bytes that all request bodies may take together; a body over it gets 503 with `Retry-After`.
    pub body_memory: usize,
    /// Total time for a TLS handshake.
    pub handshake: Duration,
    /// Total time for a request head from its first byte, and for the first byte of a new connection.
    pub head: Duration,
    /// Total time for a request body, unless the handler says otherwise.
    pub body: Duration,
    /// Time that a connection may lie between two requests.
    pub idle: Duration,
    /// Time that an answer may wait for a client that takes nothing, and in all beyond what a client
    /// needs that reads 16 KiB/s.
    pub write: Duration,
    /// Time that requests in hand have to finish at shutdown.
    pub grace: Duration,
    /// Seconds in `Retry-After` when the server is full.
    pub retry_after_secs: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 12_000,
            max_connections_per_ip: 0,
            body_memory: 256 << 20,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(60),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            grace: Duration::from_secs(20),
            retry_after_secs: 5,
        }
    }
}
