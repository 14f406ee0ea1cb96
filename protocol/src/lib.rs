//! Types that the Freehold portal and agent share.
//!
//! This crate does no I/O, reads no clock and draws no random number: callers pass bytes, times and
//! nonces in. Everything that crosses the wire is defined here, once.
//!
//! | module | what it holds |
//! |---|---|
//! | [`blueprint`] | the stacks that are deployed: model, checks, rendering |
//! | [`ids`] | newtypes that only parse: slugs, domains, identifiers, ports |
//! | [`time`] | [`time::Timestamp`], milliseconds since the Unix epoch |
//! | [`job`] | a job and its closed set of kinds |
//! | [`written`], [`approval`] | its work as a text, and the digest of what was approved |
//! | [`failure`] | what went wrong, who should act, and what to do |
//! | [`report`] | step events and the final report of a job |
//! | [`wire`] | bodies of the agent API: enroll, poll, events, inventory |
//! | [`keys`], [`dsse`] | keys, signed envelopes and the one function that opens them |
//! | [`trust`] | which keys may sign what, and how one version follows another |
//! | [`admit`] | the checks between a portal's answer and a change on a host |
//! | [`enroll`] | the one-time token and the proof that an agent holds it |
//! | [`httpsig`] | RFC 9421 signatures of an agent's requests |
//! | [`app_env`] | what a job brings, sealed, for the tenant's app |
//! | [`seal`] | secrets for one key and one purpose (HPKE) |
//! | [`address`] | where the portal is, as agents and admins write it |
//! | [`problem`] | RFC 9457 problem documents |
//! | `schema` | JSON Schemas of all this, with the feature of that name |
//! | [`shape`] | that no list is taken for an object |
//! | [`secret`] | values that never print |

pub mod address;
pub mod admit;
pub mod app_env;
pub mod approval;
pub mod blueprint;
pub mod disk;
pub mod dsse;
pub mod enroll;
pub mod failure;
pub mod httpsig;
pub mod ids;
pub mod job;
pub mod keys;
pub mod problem;
pub mod report;
#[cfg(feature = "schema")]
pub mod schema;
pub mod seal;
pub mod secret;
pub mod shape;
pub mod time;
pub mod trust;
pub mod wire;
pub mod written;

/// Version of the agent protocol, sent as `Freehold-Protocol`.
pub const PROTOCOL_VERSION: u32 = 1;
