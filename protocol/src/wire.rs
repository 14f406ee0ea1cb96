//! Bodies of the agent API (docs/agent-protocol.md).

use serde::{Deserialize, Serialize};

use crate::{
    dsse::Envelope,
    ids::{
        AgentId, HostId, HostName, JobId, Nonce, Port, PortalId, Sha256Digest, TenantId, TokenId,
    },
    keys::{PublicKey, SealPublicKey},
    report::{Event, HostFacts, TenantHealth},
    time::Timestamp,
};

/// Longest wait of one poll, in seconds.
pub const MAX_WAIT_SECS: u32 = 55;
/// Most jobs in one list of a poll: `running`, and `reporting`.
pub const MAX_LISTED_JOBS: usize = 256;
/// Most events in one request.
pub const MAX_EVENTS: usize = 500;
/// Largest answer of a poll, in bytes. The poller hands it to the executor in one frame of 1 MiB.
pub const MAX_POLL_ANSWER_BYTES: usize = 1024 * 1024 - 64 * 1024;
/// Largest request body of the agent API, in bytes.
pub const MAX_AGENT_BODY_BYTES: u64 = 2 * 1024 * 1024;

/// Position in an agent's chain of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Head {
    /// Epoch of the last job.
    pub epoch: u64,
    /// Its sequence number; 0 before the first of an epoch.
    pub seq: u64,
    /// Digest of its payload.
    pub hash: Sha256Digest,
}

impl Head {
    /// The head of an epoch in which nothing was signed yet.
    #[must_use]
    pub const fn start_of(epoch: u64) -> Self {
        Self { epoch, seq: 0, hash: Sha256Digest::ZERO }
    }
}

/// `POST /api/v1/agent/enroll`. The enrollment token itself never travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollRequest {
    /// Public name of the one-time token.
    pub token_id: TokenId,
    /// Verifies the HTTP signatures of the poller.
    pub identity_key: PublicKey,
    /// Verifies the reports of the executor. The poller does not hold its private half.
    pub report_key: PublicKey,
    /// Secrets for this host are sealed to it.
    pub seal_key: SealPublicKey,
    /// HMAC-SHA256 (RFC 2104), base64, over the three keys with the token as its key.
    pub proof: String,
    /// What the host is.
    pub facts: HostFacts,
    /// Version of the agent.
    pub agent_version: String,
}

/// Payload of the receipt that answers an enrollment
/// (`application/vnd.freehold.receipt.v1+json`), signed by the job key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    /// The portal.
    pub portal: PortalId,
    /// The agent's new id.
    pub agent_id: AgentId,
    /// The host.
    pub host_id: HostId,
    /// The host's name.
    pub host_name: HostName,
    /// Fingerprints of the three keys, as the portal took them.
    pub identity_key: Sha256Digest,
    /// See `identity_key`.
    pub report_key: Sha256Digest,
    /// See `identity_key`.
    pub seal_key: Sha256Digest,
    /// Where the agent's chain starts.
    pub head: Head,
    /// Version of the trust document in force.
    pub trust_version: u64,
}

/// `POST /api/v1/agent/enroll` answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EnrollAnswer {
    /// A signed [`Receipt`].
    pub receipt: Envelope,
}

/// `POST /api/v1/agent/poll`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PollRequest {
    /// Drawn by the executor; the signed answer repeats it.
    pub nonce: Nonce,
    /// The last job that the executor has recorded.
    pub head: Head,
    /// The envelope of that job, when the last answer said `conflict`: the portal knows its own
    /// signature again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_proof: Option<Envelope>,
    /// Version of the trust document that the executor holds.
    pub trust_version: u64,
    /// Jobs that have been accepted and have not come to rest.
    pub running: Vec<RunningJob>,
    /// Jobs that rest and whose report has not been acknowledged: they are not lost, whoever is
    /// faster, this poll or the report. At most [`MAX_LISTED_JOBS`], oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reporting: Vec<JobAttempt>,
    /// How many more jobs the executor would start now.
    pub free_workers: u32,
    /// How long the portal may hold the request, in seconds; at most [`MAX_WAIT_SECS`].
    pub wait_seconds: u32,
    /// The host's own clock, only to notice that it is wrong.
    pub clock: Timestamp,
    /// Version of the agent.
    pub agent_version: String,
    /// Whether the operator of the host has drained it: it finishes its work and takes no more.
    pub draining: bool,
}

/// One attempt of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobAttempt {
    /// The job.
    pub job_id: JobId,
    /// The attempt.
    pub attempt: u32,
}

/// A job in the hands of the executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunningJob {
    /// The job.
    pub job_id: JobId,
    /// The attempt.
    pub attempt: u32,
    /// The step that runs, in kebab case; empty while it waits for a worker.
    pub step: String,
    /// Whether it is undoing.
    pub undoing: bool,
    /// When it last moved. Being asked is not progress.
    pub progress_at: Timestamp,
}

/// Payload of the signed part of a poll's answer (`application/vnd.freehold.poll.v1+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PollPayload {
    /// The portal.
    pub portal: PortalId,
    /// The agent that asked.
    pub agent_id: AgentId,
    /// The request's nonce.
    pub nonce: Nonce,
    /// Portal time: the only clock by which a job's expiry is judged.
    pub now: Timestamp,
    /// How long the portal had held the request when it read `now`, in milliseconds. What the agent
    /// has waited beyond that, the answer may have been on its way.
    pub held_millis: u64,
    /// Epoch in force.
    pub epoch: u64,
    /// Version of the trust document in force.
    pub trust_version: u64,
    /// Where this agent's chain ends once all of `jobs` are taken.
    pub head: Head,
    /// Digests of the payloads of the envelopes that come with this answer, in order.
    pub jobs: Vec<Sha256Digest>,
    /// What to stop and undo, or not to start. The attempt is part of it: an agent whose journal was
    /// restored gets a settled attempt and the living one in the same answer.
    pub cancel: Vec<JobAttempt>,
    /// Reports that the portal lacks although the agent counts them as told: tell them again.
    pub report: Vec<JobAttempt>,
    /// Stuck jobs whose undo an admin wants tried again.
    pub resume: Vec<JobId>,
    /// The portal's record ends before the agent's: nothing is given until an admin resumes the
    /// host; send `head_proof` with the next poll.
    pub conflict: bool,
    /// An admin has drained the host: no new job comes.
    pub drain: bool,
    /// Ask again after this many seconds (0: at once).
    pub next_poll_seconds: u32,
    /// How long to let the portal hold the next request, in seconds.
    pub wait_seconds: u32,
}

/// `POST /api/v1/agent/poll` answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PollAnswer {
    /// A signed [`PollPayload`].
    pub answer: Envelope,
    /// The job envelopes that it names, in order.
    pub jobs: Vec<Envelope>,
    /// Trust documents newer than the agent's, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust: Vec<Envelope>,
}

/// `POST /api/v1/agent/jobs/{id}/events`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventsRequest {
    /// The attempt.
    pub attempt: u32,
    /// Consecutive events; at most [`MAX_EVENTS`].
    pub events: Vec<Event>,
}

/// `POST /api/v1/agent/jobs/{id}/events` answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventsAnswer {
    /// The next event number that the portal lacks; resume there.
    pub next: u64,
}

/// `POST /api/v1/agent/jobs/{id}/report`. Repeating it is harmless.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportRequest {
    /// A signed [`crate::report::Report`].
    pub report: Envelope,
}

/// `POST /api/v1/agent/inventory`: what the host is and holds, on a schedule and on change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The host.
    pub facts: HostFacts,
    /// Every tenant that the agent has deployed here.
    pub tenants: Vec<TenantHealth>,
    /// Ports that the agent has reserved.
    pub ports: Vec<ReservedPort>,
}

/// One reserved port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReservedPort {
    /// The tenant it is for.
    pub tenant: TenantId,
    /// The role in its blueprint.
    pub role: String,
    /// The port.
    pub port: Port,
}
