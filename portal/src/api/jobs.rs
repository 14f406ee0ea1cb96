//! Jobs.

use freehold_protocol::{
    failure::Failure,
    ids::{AgentId, HostId, HostName, JobId, Sha256Digest, TenantId, TenantSlug},
    job::JobKind,
    report::{EventKind, JobResult},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest reason of a cancellation, in bytes.
pub const MAX_REASON_BYTES: usize = 500;

/// `POST /jobs/{id}/cancel`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelJob {
    /// Why, for those who look at the job later.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(with = "super::schema::CancelReason")]
    pub reason: String,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// Its identifier, the same over all attempts.
    pub id: JobId,
    /// What kind of work it is.
    pub kind: JobKind,
    /// `queued`, `leased`, `running`, `succeeded`, `failed`, `rolled_back`, `rollback_failed`
    /// (stuck), `cancelled`, `expired` or `dead`.
    #[schemars(with = "super::schema::JobStateWord")]
    pub state: String,
    /// Whether it has come to rest in `state`.
    pub rested: bool,
    /// The host.
    pub host: HostName,
    /// The host's identifier.
    pub host_id: HostId,
    /// The tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The tenant's short name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantSlug>,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The last attempt that is made by itself.
    pub max_attempts: u32,
    /// Who asked for it.
    pub actor: String,
    /// The step that runs or ran last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// Whether it is undoing.
    pub undoing: bool,
    /// When it last moved on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_at: Option<Timestamp>,
    /// Not started before.
    pub not_before: Timestamp,
    /// Not started after.
    pub expires_at: Timestamp,
    /// Until when its agent holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// Since when its agent has not been heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_lost_at: Option<Timestamp>,
    /// Since when it rests as failed only because its report never came; the report may still settle it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// When its cancellation was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_reason: Option<String>,
    /// When a new try of its undo was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_requested_at: Option<Timestamp>,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What it found or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
    /// Its steps in this attempt; empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepView>,
    /// Its attempts that were dispatched; empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptView>,
    /// Version of the row.
    pub generation: u64,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was started on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it came to rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// A step as its events tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Its name in kebab case.
    pub step: String,
    /// `running`, `done`, `failed`, `undoing`, `undone` or `undo_failed`.
    pub state: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub updated_at: Timestamp,
    /// The last line about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One dispatched attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// Its number.
    pub attempt: u32,
    /// The agent that got it.
    pub agent_id: AgentId,
    /// Epoch of its place in the agent's chain.
    pub epoch: u64,
    /// Its place in the agent's chain.
    pub seq: u64,
    /// Digest of the signed job.
    pub digest: Sha256Digest,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// The outcome that the last report of the attempt names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// When that report came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
}

/// `GET /jobs/{id}/events?after=…&waitSeconds=…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobEvents {
    /// What happened after `after`, in order.
    pub events: Vec<JobEvent>,
    /// Give it as `after` of the next request. It is there even when nothing is new.
    pub next: String,
    /// Whether more events are there already.
    pub more: bool,
    /// The job's state now.
    #[schemars(with = "super::schema::JobStateWord")]
    pub state: String,
    /// Whether it has come to rest: once it has and `more` is false, no further event comes.
    pub rested: bool,
    /// The attempt now.
    pub attempt: u32,
    /// The step that runs or ran last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// Whether it is undoing.
    pub undoing: bool,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobEvent {
    /// The attempt.
    pub attempt: u32,
    /// Its number within the attempt.
    pub n: u64,
    /// When, as the agent says.
    pub at: Timestamp,
    /// The step; empty for the job as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// What happened.
    pub what: EventKind,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
