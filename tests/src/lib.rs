//! The harness of Freehold's end-to-end tests: real programs, each with a folder and ports of its
//! own, ended when the value that stands for it is dropped.
//!
//! Tests that use it: `cargo test -p freehold-tests --test e2e`. What it needs on the machine is
//! installed by `script/bootstrap --test`, the images by `tests/images/build`.

// What the harness prints is read beside a failed test.
#![allow(clippy::print_stderr)]

pub mod acme;
pub mod curl;
pub mod engine;
pub mod firewall;
pub mod nginx;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod scratch;
pub mod tls;
pub mod world;
