//! The audit log.

use freehold_protocol::{
    dsse::Envelope,
    ids::{HostName, Sha256Digest},
    keys::PublicKey,
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One entry. `GET /audit?after=N` lists them oldest first; `next` of the page is the next `after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Its number, without gaps.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who: `token:NAME`, `agent:NAME` or `system`.
    pub actor: String,
    /// What was done: `tenant.create`, say.
    pub action: String,
    /// Kind of the thing it was done to.
    pub object_kind: String,
    /// Which one.
    pub object_id: String,
    /// The particulars; never a secret. `requestId` is the request that asked for it: what its answer had as
    /// `x-request-id`. What the portal did by itself has none. Its names are sorted: as compact JSON it is what
    /// was hashed.
    pub detail: serde_json::Value,
    /// Hash of the entry before it.
    pub prev_hash: Sha256Digest,
    /// Hash over this entry and `prevHash`.
    pub hash: Sha256Digest,
}

/// What vouches for the audit log besides itself. `GET /audit/checkpoints` lists them newest first; a
/// page may be shorter than was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The host.
    pub host: HostName,
    /// Verifies the report.
    pub report_key: PublicKey,
    /// A signed job, which names the last entry of the log at that moment.
    pub job: Envelope,
    /// The agent's signed report on exactly this job.
    pub report: Envelope,
}
