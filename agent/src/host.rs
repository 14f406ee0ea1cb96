//! What the agent can see and do on its host.
//!
//! One file per subject, each in two halves: pure functions that render or parse, and functions that
//! act. Those that act take [`crate::runner::Commands`] first, are idempotent (`ensure_…`), and have
//! a reverse (`undo_…`, `remove_…`) that touches only what carries our mark. Every error becomes a
//! [`freehold_protocol::failure::Failure`] that says who should act and how.

pub mod certbot;
pub mod certificate;
pub mod compose;
pub mod docker;
pub mod facts;
pub mod files;
pub mod names;
pub mod nginx;
pub mod probe;
pub mod sockets;
pub mod turn;
