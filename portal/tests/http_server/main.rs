//! The HTTP server over real sockets: good clients, slow clients, hostile clients, and its end.

mod client;
mod ending;
mod framing;
mod harness;
mod limits;
mod random;
mod tls;
