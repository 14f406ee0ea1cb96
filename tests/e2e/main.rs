//! End-to-end tests: the real portal and agent, the real Docker engine, nginx, and certbot with a
//! certificate authority of the test's own. One module per requirement; `script/test e2e` builds
//! what they need and runs them.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod app;
mod app_keys;
mod bad_input;
mod cancel;
mod commands;
mod crash;
mod deploy;
mod disk;
mod domain;
mod enroll;
mod isolation;
mod network;
mod portal_disk;
mod remove;
mod restore;
mod rollback;
mod secrets;
mod story;
mod two;
mod upkeep;
mod volumes;
