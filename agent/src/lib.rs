//! The Freehold agent.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | one file per command |
//! | [`clock`] | time as a value |
//! | [`config`] | the agent's configuration |
//! | [`enroll`] | enrolling by a one-time token |
//! | [`executor`] | the root half: verifies, records, carries out, reports |
//! | [`exit`] | documented exit codes |
//! | [`host`] | docker, nginx, certbot, files, sockets |
//! | [`identity`] | keys on disk |
//! | [`journal`] | the agent's memory on disk |
//! | [`lock`] | one executor per state folder |
//! | [`plan`] | pure: a job → steps, or a refusal |
//! | [`poller`] | the unprivileged half: the portal's client |
//! | [`runner`] | the only place that starts a process |
//! | [`saga`] | the steps, and the engine that brings them to rest |
//! | [`socket`] | between poller and executor |
//! | [`turn`] | everything the agent ever does, from top to bottom |

pub mod cli;
pub mod clock;
pub mod config;
pub mod enroll;
pub mod executor;
pub mod exit;
pub mod host;
pub mod identity;
pub mod journal;
pub mod lock;
pub mod plan;
pub mod poller;
pub mod runner;
pub mod saga;
pub mod socket;
pub mod turn;
