//! The Freehold portal: what `freehold serve` runs and what the admin command line talks to.

pub mod http;
