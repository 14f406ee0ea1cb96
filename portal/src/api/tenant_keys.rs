//! API keys of tenants: what a tenant's app proves itself with.

use freehold_protocol::{ids::JobId, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::TenantKeyId;

/// Hours for which a replaced key stays good when the request does not say.
pub const DEFAULT_ROTATION_HOURS: u32 = 24;
/// Most hours for which a replaced key may stay good: a week.
pub const MAX_ROTATION_HOURS: u32 = 168;
/// Keys that may be made for one tenant within [`MAKING_WINDOW_SECS`], rotations counted in.
pub const MAX_MADE: u32 = 10;
/// The time in which [`MAX_MADE`] counts, in seconds: an hour.
pub const MAKING_WINDOW_SECS: i64 = 3600;

/// `POST /tenants/{slug}/keys/{id}/rotate`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateTenantKey {
    /// Hours for which the old key stays good: 0 to [`MAX_ROTATION_HOURS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = MAX_ROTATION_HOURS))]
    pub grace_hours: Option<u32>,
}

/// A key, shown this once. It has no `Debug`, since `secret` is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct TenantKeyCreated {
    /// What lists show of it.
    pub key: TenantKeyView,
    /// What the app sends as `X-API-Key`; absent when a job brings it to the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The job that brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantKeyView {
    /// Its identifier.
    pub id: TenantKeyId,
    /// Its start and end, to know it again: `fhl_live_Ab3d…9xYz`.
    pub hint: String,
    /// `valid`, `replaced` (good until `validUntil`), `ended` or `revoked`.
    pub state: String,
    /// Of a key that jobs bring into the tenant's environment: `pending` until one of them is done, then
    /// `done`. Absent when an admin has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// The key that it was made to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<TenantKeyId>,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it is good, once it was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// When it was last used, to within an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}
