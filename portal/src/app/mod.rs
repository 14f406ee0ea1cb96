//! Intentions: one struct and one `apply(tx)` per thing that an admin or an agent can want. Each
//! writes its audit row in the same transaction.

pub mod account;
pub(crate) mod app_env;
pub mod blueprints;
mod changed;
pub mod customers;
mod dispatch;
pub mod enroll;
pub mod entitlement_input;
pub mod hosts_admin;
pub mod ingest;
pub mod ingest_retention;
pub mod jobs_admin;
pub mod keyed_hash;
pub mod license_status;
pub mod licenses;
pub mod open_sessions;
pub mod owners;
pub mod password_hash;
pub mod plans;
pub mod poll;
pub mod queue_job;
pub mod reap;
pub mod record_events;
pub mod record_inventory;
pub mod record_report;
pub(crate) mod redeploy;
pub mod request_capacity;
pub mod request_decide;
mod request_follow;
pub mod request_retry;
pub mod requests;
pub mod retention;
pub mod revoke_host;
pub mod role;
pub mod rotate_key;
pub mod sessions;
mod settle;
pub mod tenant_credentials;
mod tenant_disk;
mod tenant_draft;
pub mod tenant_input;
pub mod tenant_keys;
mod tenant_license;
pub mod tenant_work;
pub mod tenants;
pub mod tokens;
pub mod users;

use crate::error::{AppError, Kind};

/// Compares what `If-Match` named with what is there.
///
/// # Errors
/// 412.
pub fn check_generation(wanted: Option<u64>, found: u64) -> Result<(), AppError> {
    if wanted.is_none_or(|wanted| wanted == found) {
        return Ok(());
    }
    Err(AppError::new(
        Kind::PreconditionFailed,
        "changed_meanwhile",
        "somebody has changed it since it was read",
    )
    .advice("read it again, look at what changed, and repeat the change if it still applies"))
}
