//! The Freehold agent.

pub mod host;
pub mod runner;
