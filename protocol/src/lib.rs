//! Types that the Freehold portal and agent share.
//!
//! This crate does no I/O, reads no clock and draws no random number: callers pass bytes, times and
//! nonces in. Everything that crosses the wire is defined here, once.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | newtypes that only parse: slugs, domains, identifiers, ports |
//! | [`time`] | [`time::Timestamp`], milliseconds since the Unix epoch |
//! | [`failure`] | what went wrong, who should act, and what to do |
//! | [`problem`] | RFC 9457 problem documents |
//! | [`secret`] | values that never print |

pub mod failure;
pub mod ids;
pub mod problem;
pub mod secret;
pub mod time;

/// Version of the agent protocol, sent as `Freehold-Protocol`.
pub const PROTOCOL_VERSION: u32 = 1;
