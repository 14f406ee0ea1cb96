//! An agent tells what happens while a job runs.

use freehold_protocol::{
    ids::{AgentId, JobId},
    report::{Event, EventKind},
    time::Timestamp,
    wire::{EventsAnswer, EventsRequest, MAX_EVENTS, RunningJob},
};

use crate::{
    db::{Tx, chain, events, jobs},
    error::{AppError, Kind},
};

/// Most events that are kept of one attempt. A program that prints without end fills no disk.
const MAX_PER_ATTEMPT: u64 = 20_000;

/// An agent sends events.
#[derive(Debug)]
pub struct RecordEvents {
    /// The agent, as its signature proved.
    pub agent: AgentId,
    /// The job.
    pub job: JobId,
    /// The events.
    pub request: EventsRequest,
    /// Lease of a job, in seconds.
    pub lease_secs: i64,
}

impl RecordEvents {
    /// Keeps the events that are new and in order; says which is the next one that is missing. Those of a
    /// job that this database does not know as given are passed over: the report that follows them is
    /// kept as an orphan, and must not wait behind them.
    ///
    /// # Errors
    /// When they are too many.
    pub fn apply(self, tx: &Tx<'_>) -> Result<EventsAnswer, AppError> {
        let Self { agent, job, request, lease_secs } = self;
        if request.events.len() > MAX_EVENTS {
            return Err(AppError::invalid("/events", format!("use at most {MAX_EVENTS} events")));
        }
        let all = request.events.last().map_or(1, |event| event.n.saturating_add(1));
        if !chain::was_given_attempt(tx, agent, job, request.attempt)? {
            return Ok(EventsAnswer { next: all });
        }
        let row = match jobs::get(tx, job) {
            Ok(row) => row,
            // Deleted meanwhile: the agent may forget its events.
            Err(error) if error.kind == Kind::NotFound => return Ok(EventsAnswer { next: all }),
            Err(error) => return Err(error),
        };
        let mut next = events::next(tx, job, request.attempt)?;
        let mut last = None;
        for event in &request.events {
            if event.n == next && next <= MAX_PER_ATTEMPT {
                events::append(tx, job, request.attempt, event)?;
                next += 1;
                last = Some(event);
            }
        }
        if let Some(event) = last
            && row.attempt == request.attempt
            && row.state.is_out()
        {
            let running = as_running(job, request.attempt, event, tx.now());
            jobs::renew(tx, agent, &running, tx.now().plus_secs(lease_secs))?;
        }
        // Past the limit events are counted, not kept.
        Ok(EventsAnswer { next: if next > MAX_PER_ATTEMPT { all.max(next) } else { next } })
    }
}

fn as_running(job_id: JobId, attempt: u32, event: &Event, now: Timestamp) -> RunningJob {
    let undoing = match event.what {
        EventKind::StepFailed
        | EventKind::UndoStarted
        | EventKind::UndoDone
        | EventKind::UndoFailed => true,
        EventKind::Accepted
        | EventKind::StepStarted
        | EventKind::StepDone
        | EventKind::Progress
        | EventKind::NoProgress
        | EventKind::Resumed
        | EventKind::CancelRequested => false,
    };
    // To say that nothing moves is not to move.
    let moved = event.what != EventKind::NoProgress;
    let progress_at = if moved { now } else { Timestamp::from_millis(0) };
    RunningJob { job_id, attempt, step: event.step.clone(), undoing, progress_at }
}
