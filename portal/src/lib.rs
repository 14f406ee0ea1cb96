//! The Freehold portal: customers, tenants and a table of signed jobs for agents that poll.
//!
//! Layers look inward: `http` and `cli` → `app` → `domain` and `db` → `freehold_protocol`.

pub mod api;
pub mod app;
pub mod blueprint;
pub mod cli;
pub mod clock;
pub mod config;
pub mod context;
pub mod db;
pub mod domain;
pub mod error;
pub mod exit;
pub mod http;
pub mod ingest;
pub mod instance;
pub mod keys;
pub mod licensing;
pub mod metrics;
pub mod nonces;
pub mod serve;
pub mod waiting_room;
