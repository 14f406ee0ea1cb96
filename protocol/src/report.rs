//! What an agent tells about a job: events while it runs, one report when it rests.
//!
//! Readers ignore unknown fields here: a newer agent may say more than an older portal understands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    disk::DiskUse,
    failure::Failure,
    ids::{AgentId, Domain, JobId, Port, PortalId, Sha256Digest, TenantId},
    job::{JobKind, ReleaseRef},
    time::Timestamp,
};

/// Largest payload of a report envelope, in bytes.
pub const MAX_REPORT_BYTES: usize = 256 * 1024;

/// One thing that happened while a job ran. Numbered without gaps per job and attempt from 1, so
/// that repeats are harmless and a loss is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Number within the attempt.
    pub n: u64,
    /// The agent's estimate of portal time.
    pub at: Timestamp,
    /// The step, in kebab case (`pull-images`), or empty for the job as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// What happened.
    pub what: EventKind,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The agent accepted the job and planned it; `message` names the number of steps.
    Accepted,
    /// A step started.
    StepStarted,
    /// A step is done.
    StepDone,
    /// A step failed; undoing begins.
    StepFailed,
    /// A step's undo started.
    UndoStarted,
    /// A step is undone.
    UndoDone,
    /// A step's undo failed.
    UndoFailed,
    /// Output or progress of the running step.
    Progress,
    /// The running step has shown no progress for a while.
    NoProgress,
    /// The agent came back after a stop and goes on.
    Resumed,
    /// A cancel order was received.
    CancelRequested,
}

/// How a job ended on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All steps done.
    Succeeded,
    /// Refused or failed before anything was changed.
    Failed,
    /// Failed, and every change undone.
    RolledBack,
    /// Cancelled, and every change undone.
    Cancelled,
    /// Not started: its expiry was over.
    Expired,
    /// Failed, and a change could not be undone: a person must look.
    Stuck,
}

/// The payload of a report envelope (`application/vnd.freehold.report.v1+json`), signed with the
/// agent's report key and kept by the portal word for word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The portal it is for.
    pub portal: PortalId,
    /// The agent.
    pub agent_id: AgentId,
    /// The job.
    pub job_id: JobId,
    /// The attempt.
    pub attempt: u32,
    /// Digest of the job's payload: this report answers exactly that job.
    pub job_digest: Sha256Digest,
    /// The job's kind.
    pub kind: JobKind,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Every step that was started, in order.
    pub steps: Vec<StepReport>,
    /// Number of the attempt's last event.
    pub events: u64,
    /// When it started.
    pub started_at: Timestamp,
    /// When it came to rest.
    pub ended_at: Timestamp,
    /// What it found or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<JobResult>,
}

/// One step of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// The step's name in kebab case.
    pub step: String,
    /// How it stands at the end.
    pub state: StepState,
    /// How long it ran, in milliseconds, undo not counted.
    pub millis: u64,
}

/// How a step stands when its job rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Done.
    Done,
    /// Failed and, if it had changed anything, undone.
    Undone,
    /// Its undo failed.
    UndoFailed,
}

/// What a job found or made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum JobResult {
    /// Of a deploy.
    Deployed(Box<Deployed>),
    /// Of a removal.
    Removed(Removed),
    /// Of a check.
    Checked(TenantHealth),
    /// Of a probe.
    Probed(Box<HostFacts>),
}

/// What a deploy made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// The compose project.
    pub project: String,
    /// What runs.
    pub release: ReleaseRef,
    /// The public address.
    pub domain: Domain,
    /// Public and loopback addresses by name.
    pub endpoints: BTreeMap<String, String>,
    /// Host ports by role.
    pub ports: BTreeMap<String, Port>,
    /// State right after the deploy.
    pub health: TenantHealth,
    /// The onboarding's temporary password, sealed to the portal's sealing key; base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_password: Option<String>,
    /// Which API key the app has by now ([`key_mark`](crate::app_env::key_mark)): that of the job as it
    /// was carried out, whatever the same job brings when it comes again. None when it was given none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_key: Option<Sha256Digest>,
}

/// What a removal left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// Volumes that are still there, because the data was to be kept.
    pub kept_volumes: Vec<String>,
    /// Volumes that are gone for good.
    pub deleted_volumes: Vec<String>,
}

/// The state of one tenant on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TenantHealth {
    /// The tenant.
    pub tenant: TenantId,
    /// When it was looked at.
    pub at: Timestamp,
    /// The verdict over all parts.
    pub status: HealthStatus,
    /// The containers.
    pub containers: Vec<ContainerHealth>,
    /// The backend's health path on its loopback port, if the blueprint names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<EndpointHealth>,
    /// The public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<EndpointHealth>,
    /// When the certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Timestamp>,
    /// What it has on the disk, at the last count; none when the agent does not measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskUse>,
    /// What is wrong, in sentences; empty when healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Everything that can be checked is well.
    Healthy,
    /// It serves, but something needs attention.
    Degraded,
    /// It does not serve.
    Unhealthy,
    /// Nothing of it is on the host.
    Absent,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ContainerHealth {
    /// The compose service.
    pub service: String,
    /// The container's name.
    pub name: String,
    /// The image it runs.
    pub image: String,
    /// The engine's word for its state (`running`, `exited`, …).
    pub state: String,
    /// The engine's word for its health (`healthy`, `unhealthy`, `starting`), or `none`.
    pub health: String,
    /// How often the engine restarted it.
    pub restarts: u32,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointHealth {
    /// The address.
    pub url: String,
    /// The HTTP status, when there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the answer took, in milliseconds.
    pub millis: u64,
    /// Why it failed; empty when it did not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// What a host is and has free.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// When it was looked at.
    pub at: Timestamp,
    /// Name and version of the distribution.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture (`x86_64`, `aarch64`).
    pub arch: String,
    /// Memory in MiB.
    pub memory_total_mib: u64,
    /// Memory that new programs can take, in MiB.
    pub memory_available_mib: u64,
    /// Processors.
    pub cpus: u32,
    /// One-minute load average times 100.
    pub load_percent: u32,
    /// Size of the disk that holds docker's data, in MiB.
    pub disk_total_mib: u64,
    /// Free space on it, in MiB.
    pub disk_available_mib: u64,
    /// Versions of the tools that jobs use, by name; a tool that is missing is absent.
    pub tools: BTreeMap<String, String>,
    /// What makes the host unfit to deploy on, each with its remedy; empty when it is fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Failure>,
}
