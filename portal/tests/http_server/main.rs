//! The HTTP server over real sockets: good clients, slow clients, hostile clients, and its end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod ending;
mod framing;
mod harness;
mod limits;
mod random;
mod tls;
