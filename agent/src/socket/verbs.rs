//! What can be said over the socket.

use freehold_protocol::{
    dsse::Envelope,
    failure::Failure,
    ids::{AgentId, HostName, JobId, Nonce, PortalId, TenantId},
    job::JobKind,
    report::Outcome,
    time::Timestamp,
    wire::{EventsRequest, Head, Inventory, JobAttempt, PollAnswer, ReportRequest, RunningJob},
};
use serde::{Deserialize, Serialize};

use super::{FailedPoll, PollFailure};

/// Longest wait of [`Request::NextReport`]. Whatever there is to tell ends it, and so does the end of
/// either side.
pub const MAX_REPORT_WAIT_MS: u32 = 600_000;

/// A question to the executor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How do you stand?
    Status {
        /// Draw a nonce for a poll; the one before becomes worthless.
        for_poll: bool,
    },
    /// A poll brought no answer of the portal. Only ever shown.
    PollFailed {
        /// How it ended.
        failure: PollFailure,
    },
    /// The portal answered this.
    Offer {
        /// Word for word.
        answer: Box<PollAnswer>,
    },
    /// What shall the portal be told next?
    NextReport {
        /// How long to wait when there is nothing, in milliseconds; at most [`MAX_REPORT_WAIT_MS`].
        wait_ms: u32,
    },
    /// The portal was told.
    AckReport {
        /// The item's id.
        id: String,
        /// What it answered.
        ack: Ack,
    },
    /// Take no more jobs, or take jobs again. For root only.
    Drain {
        /// Whether to drain.
        on: bool,
    },
    /// Try the undo of a stuck job again. For root only.
    Resume {
        /// The job.
        job: JobId,
    },
}

/// What the portal answered to an item of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ack {
    /// It took it.
    Taken {
        /// For events: the next number that it lacks.
        next: Option<u64>,
    },
    /// It failed over this item; another one may go through.
    Later,
    /// It will not take it however often it is sent.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the problem document says.
        why: String,
    },
}

/// The executor's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", content = "value", rename_all = "kebab-case")]
pub enum Reply {
    /// To `status`.
    Status(Box<StatusView>),
    /// To `offer`: it was believed.
    Offered(Offered),
    /// To `next-report`; nothing after the wait is `null`.
    Report(Option<Box<OutItem>>),
    /// To the verbs that only do.
    Done,
    /// It was refused.
    Error {
        /// A stable code.
        code: ErrorCode,
        /// One sentence; for a refused offer it starts with the refusal's own code.
        message: String,
    },
}

/// Why the executor refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The host is not enrolled.
    NotEnrolled,
    /// The offered answer did not pass the checks.
    OfferRefused,
    /// The offered answer is to a poll of before the executor's restart, or brought a page of trust
    /// documents and more are needed: the portal is to be asked again at once.
    AskAgain,
    /// The verb is not for this caller.
    Forbidden,
    /// What it is about does not exist, or is not in the state that the verb needs.
    NotFound,
    /// The executor is stopping.
    Stopping,
    /// The journal could not be read or written.
    Journal,
    /// The answer does not fit a frame.
    TooLarge,
}

/// How the executor stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusView {
    /// The portal.
    pub portal: PortalId,
    /// Its address.
    pub portal_url: String,
    /// This agent.
    pub agent_id: AgentId,
    /// The host's name at the portal.
    pub host_name: HostName,
    /// Answers one poll; present when it was asked for.
    pub nonce: Option<Nonce>,
    /// The last recorded job.
    pub head: Head,
    /// Its envelope, when the portal's last answer said `conflict`.
    pub head_proof: Option<Envelope>,
    /// Version of the trust document that is held.
    pub trust_version: u64,
    /// When the trust document expires.
    pub trust_expires: Timestamp,
    /// Accepted jobs that do not rest.
    pub running: Vec<RunningJob>,
    /// Jobs that rest and whose report has not been acknowledged; only when a nonce was asked for.
    pub reporting: Vec<JobAttempt>,
    /// The same and stuck ones, with more for people; none when a nonce was asked for.
    pub jobs: Vec<JobView>,
    /// How many more jobs would start now.
    pub free_workers: u32,
    /// Drained by the operator of the host.
    pub draining: bool,
    /// Drained by an admin of the portal.
    pub drained_by_portal: bool,
    /// Contact with the portal.
    pub contact: Contact,
    /// Items that wait to be told to the portal; for people, as the next.
    pub outbox: u64,
    /// Reports that the portal refused for good.
    pub set_aside: u64,
    /// The last poll that brought no answer, as the poller tells it; for people.
    pub failed_poll: Option<FailedPoll>,
    /// The executor's version.
    pub version: String,
}

/// Contact with the portal, judged by verified answers only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Since the last answer that passed every check, in milliseconds; none since the start.
    pub last_answer_ms_ago: Option<u64>,
    /// The interval that it set (pause and wait together), in milliseconds.
    pub interval_ms: u64,
    /// Three intervals have passed without one: somebody may be holding answers back.
    pub frozen: bool,
    /// The host's clock minus portal time, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Portal time now, as well as it is known.
    pub portal_now: Option<Timestamp>,
    /// The portal's record ends before this host's; an admin must resume the host.
    pub conflict: bool,
    /// The last refusal of an offer since the last good one: code and sentence.
    pub refusal: Option<String>,
}

/// A job for people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobView {
    /// The job.
    pub job_id: JobId,
    /// The attempt.
    pub attempt: u32,
    /// What it is.
    pub kind: JobKind,
    /// The tenant that it is about.
    pub tenant: Option<TenantId>,
    /// The tenant's slug.
    pub slug: Option<String>,
    /// `waiting`, `running`, `undoing`, `stuck`, or `rested`.
    pub state: String,
    /// The step.
    pub step: String,
    /// Steps that are done, and how many there are; 0 of 0 before it was planned.
    pub steps: (u32, u32),
    /// Since it last moved, in milliseconds.
    pub progress_ms_ago: u64,
    /// How it ended, if it rests.
    pub outcome: Option<Outcome>,
    /// Why, if it failed.
    pub failure: Option<Failure>,
}

/// An offer that was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Jobs that it brought and that are recorded now.
    pub accepted: u32,
    /// Portal time as signed.
    pub portal_now: Timestamp,
    /// Ask again after this many seconds.
    pub next_poll_seconds: u32,
    /// Let the portal hold the next request this long, in seconds.
    pub wait_seconds: u32,
    /// The portal's record ends before this host's.
    pub conflict: bool,
}

/// Something to tell the portal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutItem {
    /// Names it in the acknowledgement.
    pub id: String,
    /// What to send.
    pub work: OutWork,
}

/// What to send, and so where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum OutWork {
    /// `POST /api/v1/agent/jobs/{id}/events`.
    Events {
        /// The job.
        job: JobId,
        /// The body.
        body: EventsRequest,
    },
    /// `POST /api/v1/agent/jobs/{id}/report`.
    Report {
        /// The job.
        job: JobId,
        /// The body.
        body: ReportRequest,
    },
    /// `POST /api/v1/agent/inventory`.
    Inventory {
        /// The body.
        body: Box<Inventory>,
    },
}
