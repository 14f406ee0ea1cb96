//! Reports: how a job ended, signed by the executor.

use freehold_protocol::{
    dsse::{Envelope, EnvelopeError},
    failure::{Failure, FailureClass},
    report::{Outcome, Report},
    time::Timestamp,
};

use super::Enrolled;
use crate::{
    journal::{
        Journal, JournalError,
        chain::{JobRow, JobState},
    },
    saga::Rest,
};

/// How a job ended, whether it was begun or not.
#[derive(Debug)]
pub(super) enum End {
    /// The engine brought it to rest.
    Rested(Box<Rest>),
    /// It was not begun.
    NotBegun(Outcome, Failure),
}

/// Records the end of a job and puts its report into the outbox, both or neither.
pub(super) fn finish(
    journal: &Journal,
    enrolled: &Enrolled,
    row: &JobRow,
    end: End,
    now: Timestamp,
) -> Result<JobState, JournalError> {
    let stuck = matches!(&end, End::Rested(rest) if rest.outcome == Outcome::Stuck);
    let state = if stuck { JobState::Stuck } else { JobState::Rested };
    journal.job_rests(row, state, |events, job_digest| {
        let receipt = &enrolled.by.receipt;
        let mut report = Report {
            portal: receipt.portal,
            agent_id: receipt.agent_id,
            job_id: row.job.job_id,
            attempt: row.job.attempt,
            job_digest,
            kind: row.job.work.kind(),
            outcome: Outcome::Failed,
            failure: None,
            steps: Vec::new(),
            events,
            started_at: now,
            ended_at: now,
            result: None,
        };
        match end {
            End::Rested(rest) => {
                report.outcome = rest.outcome;
                report.failure = rest.failure;
                report.steps = rest.steps;
                report.result = rest.result;
                report.started_at = rest.started_at;
                report.ended_at = rest.ended_at;
            }
            End::NotBegun(outcome, failure) => {
                report.outcome = outcome;
                report.failure = Some(failure);
            }
        }
        sign(enrolled, report)
    })?;
    Ok(state)
}

/// Puts the recorded report of a job that came again into the outbox once more, for the envelope
/// that came now. A job that still runs is reported when it rests.
pub(super) fn told_again(
    journal: &Journal,
    enrolled: &Enrolled,
    row: &JobRow,
) -> Result<(), JournalError> {
    let Some(report) = row.report.clone().filter(|_| row.state != JobState::Running) else {
        return Ok(());
    };
    let (_, envelope) = sign(enrolled, Report { job_digest: row.digest, ..report })?;
    journal.tell_again(row, &envelope)
}

fn sign(enrolled: &Enrolled, mut report: Report) -> Result<(Report, Envelope), JournalError> {
    let unsigned = |error: EnvelopeError| JournalError::Unreadable {
        what: "a report".into(),
        why: error.to_string(),
    };
    let envelope = match Envelope::sign(&report, &[&enrolled.key]) {
        // Better a report without its result than none.
        Err(EnvelopeError::TooLarge { limit_bytes }) => {
            report.result = None;
            report.steps.truncate(100);
            report.failure.get_or_insert_with(|| {
                Failure::new(
                    FailureClass::Bug,
                    format!("the result was larger than {limit_bytes} bytes and was left out"),
                    "please report this; `freehold-agent journal` on the host shows the job",
                )
            });
            Envelope::sign(&report, &[&enrolled.key]).map_err(unsigned)?
        }
        signed => signed.map_err(unsigned)?,
    };
    Ok((report, envelope))
}
