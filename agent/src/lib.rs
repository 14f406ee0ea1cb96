//! The Freehold agent.

pub mod config;
pub mod exit;
pub mod host;
pub mod identity;
pub mod poller;
pub mod runner;
pub mod socket;
