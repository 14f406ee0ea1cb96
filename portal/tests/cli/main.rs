//! Tests of the `freehold` program against a tiny portal.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod audit;
mod commands;
mod fake;
mod ingest;
mod ingest_proxy;
mod licensing;
mod local;
mod requests;
#[path = "../shared/running.rs"]
mod running;
mod storage;
mod users;
