//! The portal's own HTTP/1.1 server: one thread per connection, blocking calls, no async runtime.
//!
//! hyper was the plan and cannot be used: its 1.x releases need the tokio crate, which our dependency
//! tree does not hold. tiny_http, rouille, oxhttp and astra were read and refused (no deadlines against
//! slow clients, no usable TLS, or no maintenance). So this module frames messages itself on top of
//! `httparse`, and it does no more than the portal needs: no HTTP/2, no upgrade, no compression, no
//! ranges. What it does, it does strictly.
//!
//! # What a handler gets
//! A [`Handler`] says how large a body may be once it has seen the head, and then gets the whole
//! request. It runs on the connection's thread and may block there as long as it likes: a long poll
//! parks inside it, asks [`Request::peer_gone`] and [`Request::shutting_down`] now and then, and is
//! woken at shutdown by what it registered with [`ShutdownHandle::on_shutdown`]. [`Handler::finish`] sees every
//! answer last, those included with which the server itself refuses a request.
//!
//! # Limits
//! | What | How much | Against |
//! |---|---|---|
//! | head | 16 KiB, 64 headers, target 8 KiB → 431, 414 | memory |
//! | body | what the handler allows for this head → 413, before any of it is read | memory |
//! | all bodies together | 256 MiB → 503 with `Retry-After` | many clients with allowed bodies |
//! | head, body, handshake | *total* deadlines 10 s, 60 s, 10 s → 408 | slowloris: one byte a second |
//! | answer | 30 s without progress; 30 s in all beyond what 16 KiB/s need | clients that do not read |
//! | idle | 75 s between requests | forgotten connections |
//! | connections | 12,000 → 503 with `Retry-After`; per address configurable | floods |
//! | end | 20 s grace for requests in hand | a restart that hangs |
//!
//! Framing that two servers could read differently is refused, never repaired: bare LF, folded headers,
//! two lengths, a length beside chunking, unknown transfer codings, two hosts, chunk sizes that are not
//! plain hexadecimal. After a refusal the connection ends.
//!
//! # Stack
//! [`STACK_BYTES`] is 512 KiB of address space, not of memory: a stack costs the pages that it touches.
//! Measured in a development build: a handler that parses and writes JSON nested 126 deep (serde_json
//! stops at 128) and runs SQL touches 196 KiB, and a panic with its backtrace fits as well. 8,000
//! parked long polls over plain HTTP took 113 MB resident in all, 14 KiB each; address space was 5.2 GB, which
//! matters only where `vm.overcommit_memory` is 2. A test measures the deepest handler on each run.

mod budget;
mod chunked;
mod config;
mod connection;
mod framing;
mod head;
mod listener;
mod method;
mod per_ip;
mod refusal;
mod reject;
mod request;
mod response;
mod send;
mod shutdown;
mod stats;
mod tls;
mod wire;

use std::sync::Arc;
use std::time::Duration;

pub use config::{
    Config, Forwarded, Limits, MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES, STACK_BYTES, TlsFiles,
};
pub use head::Head;
pub use listener::{BindError, Ended, Server};
pub use method::{Method, Version};
pub use refusal::Refusal;
pub use request::{Request, RequestId, Signals};
pub use response::{Body, Response, StreamFn};
pub use send::BodyWriter;
pub use shutdown::{ShutdownHandle, ShutdownSignal};
pub use stats::ServerStats;
pub use tls::{Reload, ReloadableCert, TlsError};

/// What answers requests. One value serves all connections at once.
pub trait Handler: Send + Sync + 'static {
    /// Returns the largest body that a request with this head may have. Asked before anything of the
    /// body is read, and only for requests that have one.
    fn body_limit(&self, head: &Head) -> u64;

    /// Returns how long the body of this request may take; [`Limits::body`] when `None`.
    fn body_deadline(&self, head: &Head) -> Option<Duration> {
        let _any = head;
        None
    }

    /// Answers a request. A panic is caught, logged, and answered with 500.
    fn handle(&self, request: &Request) -> Response;

    /// Adds what all answers have in common, just before one is sent: an answer of [`Handler::handle`], or a
    /// refusal of the server itself. `head` is that of the request, or `None` when it could not be read.
    fn finish(&self, response: Response, head: Option<&Head>) -> Response {
        let _any = head;
        response
    }
}

impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn body_limit(&self, head: &Head) -> u64 {
        (**self).body_limit(head)
    }

    fn body_deadline(&self, head: &Head) -> Option<Duration> {
        (**self).body_deadline(head)
    }

    fn handle(&self, request: &Request) -> Response {
        (**self).handle(request)
    }

    fn finish(&self, response: Response, head: Option<&Head>) -> Response {
        (**self).finish(response, head)
    }
}
