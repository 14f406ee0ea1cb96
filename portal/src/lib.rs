//! The Freehold portal: what `freehold serve` runs and what the admin command line talks to.
//!
//! Layers look inward: `http` and `cli` → `app` → `domain` and `db` → `freehold_protocol`.

pub mod clock;
pub mod db;
pub mod error;
pub mod http;
