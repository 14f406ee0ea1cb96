//! The admin API over a real server and a real database in a temporary folder.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod harness;
#[path = "../shared/running.rs"]
mod running;

mod access;
mod agents_edge;
mod at_size;
mod audit;
mod audit_every;
mod blueprints;
mod conformance;
mod edge;
mod hosts;
mod ingest;
mod ingest_flood;
mod ingest_hostile;
mod input;
mod jobs;
mod lease_client;
mod leases;
mod licensing;
mod lockout;
mod monitoring;
mod open_sessions;
mod refusals;
mod requests;
mod requests_bound;
mod requests_checks;
mod requests_world;
mod sessions;
mod tenant_disk;
mod tenant_keys;
mod tenants;
mod timing;
mod users;
mod validation;
