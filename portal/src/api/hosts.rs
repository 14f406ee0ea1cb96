//! Hosts.

use std::collections::BTreeMap;

use freehold_protocol::{
    failure::Failure,
    ids::{AgentId, HostId, HostName, JobId, Port, Sha256Digest, TenantId, TenantSlug, TokenId},
    report::HostFacts,
    time::Timestamp,
    wire::Head,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minutes for which an enrollment token is valid when the request does not say.
pub const DEFAULT_ENROLLMENT_TTL_MINUTES: u32 = 30;
/// Most minutes for which an enrollment token may be valid.
pub const MAX_ENROLLMENT_TTL_MINUTES: u32 = 1440;
/// Most labels of one host.
pub const MAX_LABELS: usize = 32;
/// Longest key of a label, in characters.
pub const MAX_LABEL_KEY_CHARS: usize = 63;
/// Longest value of a label, in bytes.
pub const MAX_LABEL_VALUE_BYTES: usize = 128;
/// Most tenants that a limit may allow.
pub const MAX_TENANT_LIMIT: u32 = 10_000;

/// `POST /hosts`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateHost {
    /// Its name, a [`HostName`].
    #[schemars(with = "HostName")]
    pub name: String,
    /// Free labels, such as `region: eu`. Keys are 1–63 of `a-z 0-9 . _ / -`, values up to 128 bytes.
    #[serde(default)]
    #[schemars(with = "super::schema::Labels")]
    pub labels: BTreeMap<String, String>,
    /// Most tenants that it may carry; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_TENANT_LIMIT))]
    pub tenant_limit: Option<u32>,
}

/// `PATCH /hosts/{name}`: only what is given changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateHost {
    /// Labels to set; `null` takes a label away. Labels that are not named stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "super::schema::LabelChanges")]
    pub labels: BTreeMap<String, Option<String>>,
    /// The new limit; 0 takes the limit away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_TENANT_LIMIT))]
    pub tenant_limit: Option<u32>,
}

/// `POST /hosts/{name}/revoke`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("required" = ["confirm"]))]
pub struct RevokeHost {
    /// The host's name once more, since its agent never gets back in with the keys that it has.
    #[serde(default)]
    pub confirm: String,
}

/// `POST /hosts/{name}/enrollment-tokens`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateEnrollmentToken {
    /// Minutes until it expires: 1 to [`MAX_ENROLLMENT_TTL_MINUTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_ENROLLMENT_TTL_MINUTES))]
    pub ttl_minutes: Option<u32>,
}

/// An enrollment token, shown this once. It has no `Debug`, since `token` is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct EnrollmentTokenCreated {
    /// Its public name.
    pub token_id: TokenId,
    /// The token, one line that starts with `fhe1.`: give it to `freehold-agent enroll` on its
    /// standard input or in a file.
    pub token: String,
    /// When it stops being valid.
    pub expires_at: Timestamp,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostView {
    /// Its identifier, the same over all enrollments.
    pub id: HostId,
    /// Its name.
    pub name: HostName,
    /// `new` (never enrolled), `enrolled`, `conflict` (the agent has jobs that the portal does not
    /// know, after a restore: resume it), or `revoked` (given up; it can be enrolled anew).
    pub state: String,
    /// `never`, `online`, `late` (the last poll is overdue) or `offline`.
    pub presence: String,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// Most tenants that it may carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_limit: Option<u32>,
    /// Tenants that are on it or meant for it.
    pub tenants: u32,
    /// Whether an admin has drained it: it gets no new job.
    pub drained: bool,
    /// The enrolled agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentView>,
    /// The last inventory's facts: capacity, tools, problems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<HostFacts>,
    /// When that inventory came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_received_at: Option<Timestamp>,
    /// What the agent showed, while `state` is `conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<ConflictView>,
    /// When it was given up, while `state` is `revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Reports of its agent on jobs that this database does not know as given, newest first: an older
    /// backup was restored. Empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphan_reports: Vec<OrphanReportView>,
    /// Version of the row, for `If-Match`.
    pub generation: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A report that answers no job of this database. It is signed by the host's executor; nothing follows
/// from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanReportView {
    /// The job.
    pub job: JobId,
    /// Its attempt.
    pub attempt: u32,
    /// What kind of work it was.
    pub kind: String,
    /// How it ended.
    pub outcome: String,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it ended, as the agent says.
    pub ended_at: Timestamp,
    /// When the report came.
    pub received_at: Timestamp,
}

/// The agent of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    /// Its identifier, new with every enrollment.
    pub id: AgentId,
    /// Version of the program.
    pub version: String,
    /// When it last polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// How far the host's clock is ahead of the portal's, in milliseconds.
    pub clock_skew_ms: i64,
    /// Whether the operator of the host has drained it on the host.
    pub draining: bool,
    /// Version of the trust document that it holds.
    pub trust_version: u64,
    /// Where its chain of jobs ends on the portal.
    pub head: Head,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// Fingerprint of the key that signs its requests.
    pub identity_key: Sha256Digest,
    /// Fingerprint of the key that signs its reports.
    pub report_key: Sha256Digest,
    /// Fingerprint of the key that secrets are sealed to.
    pub seal_key: Sha256Digest,
}

/// A chain of jobs that goes beyond the portal's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictView {
    /// When it was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Where the agent's chain ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_head: Option<Head>,
    /// Whether the agent has shown the portal's own signature for it, so that the host can be
    /// resumed.
    pub proven: bool,
}

/// `GET /hosts/{name}/ports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostPorts {
    /// The host.
    pub host: HostName,
    /// When the inventory came; absent when there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// The reserved ports, lowest first.
    pub ports: Vec<PortView>,
}

/// One reserved port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortView {
    /// The port.
    pub port: Port,
    /// The role in the tenant's blueprint.
    pub role: String,
    /// The tenant.
    pub tenant: TenantId,
    /// Its short name, when the portal knows the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<TenantSlug>,
}
