//! The checks that stand between a portal's answer and a change on a host.
//!
//! Pure: the executor passes what it has recorded and its estimate of portal time, and gets either
//! the jobs that it must record, in order, or the reason why nothing of the answer is believed.

use crate::{
    dsse::{Envelope, EnvelopeError, Verified},
    ids::{AgentId, Nonce, PortalId, ProvisionRequestId, Sha256Digest},
    job::Job,
    time::Timestamp,
    trust::Trust,
    wire::{Head, PollAnswer, PollPayload},
};

/// Most jobs in one answer.
pub const MAX_JOBS_PER_ANSWER: usize = 16;

/// Who the executor is and what it has recorded.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// The portal that it is enrolled with.
    pub portal: PortalId,
    /// Its own id.
    pub agent_id: AgentId,
    /// Fingerprint of its report key.
    pub agent_key: Sha256Digest,
    /// The trust document in force, newer ones of the answer already taken.
    pub trust: &'a Trust,
    /// The last job that it has recorded.
    pub head: Head,
    /// The nonce of the request that this answers.
    pub nonce: &'a Nonce,
}

/// An answer that is believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The signed part.
    pub poll: Verified<PollPayload>,
    /// Jobs to record, in order; [`start_allowed`] says of each whether it may be started.
    pub jobs: Vec<Verified<Job>>,
}

/// Why an answer was refused. Each attack has its own reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The answer's envelope did not open.
    #[error("the poll answer was not opened")]
    Answer(#[source] EnvelopeError),
    /// A job's envelope did not open.
    #[error("a job envelope was not opened")]
    Job(#[source] EnvelopeError),
    /// The answer is for another portal's agents, or a job is.
    #[error("it is from portal {found}, this host is enrolled with {own}")]
    OtherPortal {
        /// The enrolled portal.
        own: PortalId,
        /// The named one.
        found: PortalId,
    },
    /// The answer or a job is for another agent.
    #[error("it is for agent {found}, this agent is {own}")]
    OtherAgent {
        /// This agent.
        own: AgentId,
        /// The named one.
        found: AgentId,
    },
    /// The job is for an earlier enrollment of this host.
    #[error("the job is for another key of this agent")]
    OtherKey,
    /// The answer repeats another request's nonce: it is old.
    #[error("the poll answer does not answer this request")]
    Nonce,
    /// The answer or a job was signed under another epoch than the one in force.
    #[error("it was signed in epoch {found}, epoch {own} is in force")]
    Epoch {
        /// The epoch in force.
        own: u64,
        /// The named one.
        found: u64,
    },
    /// The job's number was already used.
    #[error("job number {found} is not after {last}")]
    Replayed {
        /// The last recorded number.
        last: u64,
        /// The job's number.
        found: u64,
    },
    /// A job between the recorded one and this one was left out.
    #[error("job number {found} leaves a gap after {last}")]
    Gap {
        /// The last recorded number.
        last: u64,
        /// The job's number.
        found: u64,
    },
    /// The job does not follow the recorded one.
    #[error("the job follows another history than this agent's")]
    OtherHistory,
    /// The job carries an approval, and its work is not what was approved.
    #[error("the job's work is not what was approved with the request {request}")]
    OtherWork {
        /// The request that the job names.
        request: ProvisionRequestId,
    },
    /// The envelopes are not the ones that the signed answer lists.
    #[error("the job envelopes are not the ones that the signed answer lists")]
    NotListed,
    /// More jobs than one answer may bring.
    #[error("the answer brings more than {MAX_JOBS_PER_ANSWER} jobs")]
    TooMany,
}

impl Refusal {
    /// A stable code in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Answer(error) | Self::Job(error) => error.code(),
            Self::OtherPortal { .. } => "other_portal",
            Self::OtherAgent { .. } => "other_agent",
            Self::OtherKey => "other_key",
            Self::Nonce => "nonce",
            Self::Epoch { .. } => "epoch",
            Self::Replayed { .. } => "replayed",
            Self::Gap { .. } => "gap",
            Self::OtherHistory => "other_history",
            Self::OtherWork { .. } => "other_work",
            Self::NotListed => "not_listed",
            Self::TooMany => "too_many",
        }
    }
}

/// Checks a poll's answer and every job that came with it.
///
/// # Errors
/// The first [`Refusal`]; then nothing of the answer may be used.
pub fn admit(standing: &Standing<'_>, answer: &PollAnswer) -> Result<Admitted, Refusal> {
    let trust = standing.trust.document();
    let poll: Verified<PollPayload> =
        answer.answer.open(&trust.job_keys, 1).map_err(Refusal::Answer)?;
    let payload = poll.get();
    check_audience(standing, payload.portal, payload.agent_id)?;
    if payload.nonce != *standing.nonce {
        return Err(Refusal::Nonce);
    }
    if payload.epoch != trust.epoch {
        return Err(Refusal::Epoch { own: trust.epoch, found: payload.epoch });
    }
    if answer.jobs.len() > MAX_JOBS_PER_ANSWER {
        return Err(Refusal::TooMany);
    }
    check_listed(payload, &answer.jobs)?;
    let mut head = if standing.head.epoch < trust.epoch {
        // A new epoch starts a new chain; the old one ends where it is.
        Head::start_of(trust.epoch)
    } else {
        standing.head
    };
    let mut jobs = Vec::with_capacity(answer.jobs.len());
    for envelope in &answer.jobs {
        let job: Verified<Job> = envelope.open(&trust.job_keys, 1).map_err(Refusal::Job)?;
        check_job(standing, &head, job.get())?;
        head = Head { epoch: job.get().epoch, seq: job.get().seq, hash: job.digest() };
        jobs.push(job);
    }
    Ok(Admitted { poll, jobs })
}

fn check_audience(
    standing: &Standing<'_>,
    portal: PortalId,
    agent: AgentId,
) -> Result<(), Refusal> {
    if portal != standing.portal {
        return Err(Refusal::OtherPortal { own: standing.portal, found: portal });
    }
    if agent != standing.agent_id {
        return Err(Refusal::OtherAgent { own: standing.agent_id, found: agent });
    }
    Ok(())
}

fn check_listed(payload: &PollPayload, envelopes: &[Envelope]) -> Result<(), Refusal> {
    let mut digests = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        digests.push(envelope.payload_digest().map_err(Refusal::Job)?);
    }
    if digests == payload.jobs { Ok(()) } else { Err(Refusal::NotListed) }
}

fn check_job(standing: &Standing<'_>, head: &Head, job: &Job) -> Result<(), Refusal> {
    check_audience(standing, job.portal, job.agent_id)?;
    if job.agent_key != standing.agent_key {
        return Err(Refusal::OtherKey);
    }
    if job.epoch != head.epoch {
        return Err(Refusal::Epoch { own: head.epoch, found: job.epoch });
    }
    if job.seq <= head.seq {
        return Err(Refusal::Replayed { last: head.seq, found: job.seq });
    }
    if job.seq != head.seq + 1 {
        return Err(Refusal::Gap { last: head.seq, found: job.seq });
    }
    if job.prev != head.hash {
        return Err(Refusal::OtherHistory);
    }
    match &job.approval {
        Some(approval) if !approval.is_of(&job.work) => {
            Err(Refusal::OtherWork { request: approval.request })
        }
        Some(_) | None => Ok(()),
    }
}

/// Why a recorded job may not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// Its `exp` is over by portal time.
    #[error("the job expired before it was started")]
    Expired,
    /// Its `nbf` has not come by portal time.
    #[error("the job is not valid yet")]
    NotYet,
}

/// Whether a recorded job may be started at this portal time.
///
/// # Errors
/// [`NotStarted`]. An expired job is reported as such and never run; one that is not valid yet waits.
pub fn start_allowed(job: &Job, portal_now: Timestamp) -> Result<(), NotStarted> {
    if portal_now > job.exp {
        Err(NotStarted::Expired)
    } else if portal_now < job.nbf {
        Err(NotStarted::NotYet)
    } else {
        Ok(())
    }
}
