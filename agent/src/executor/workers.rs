//! From recorded jobs to reports: a few threads, one job per tenant at a time, in order.

use std::{sync::Arc, time::Duration};

use freehold_protocol::{
    admit::{NotStarted, start_allowed},
    failure::{Failure, FailureClass},
    ids::JobId,
    report::{Event, EventKind, Outcome},
};

use super::{
    Enrolled, Executor, Live, Running,
    report::{End, finish},
};
use crate::{
    clock::Clock,
    journal::{
        JournalError,
        chain::{JobRow, JobState},
    },
    plan::Order,
    runner::CancelToken,
    saga::{
        Observer,
        engine::{BeginError, EngineError},
        state::Record,
    },
};

/// How often a worker looks for a job whose time has come without being woken.
const TICK: Duration = Duration::from_secs(1);
/// The same while no job waits.
const IDLE_LOOK: Duration = Duration::from_secs(600);
/// Pause before a job is tried again that another job of its tenant holds up.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Why a resume order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// No such job is stuck.
    #[error("job {job} is not stuck on this host")]
    NotStuck {
        /// The job.
        job: JobId,
    },
    /// The engine refused.
    #[error(transparent)]
    Refused(#[from] BeginError),
    /// The journal did not work.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Executor {
    /// Works until the executor stops.
    pub fn work(&self) {
        while let Some((enrolled, row)) = self.next_job() {
            let id = row.job.job_id;
            let worked = self.carry_out(&enrolled, &row);
            let mut live = self.live();
            live.running.remove(&id);
            match worked {
                Ok(Worked::Over) => live.look_again = true,
                Ok(Worked::Later) => {
                    live.queue.push(row);
                    live.queue.sort_by_key(|row| row.seq);
                    drop(live);
                    if !self.is_stopping() {
                        std::thread::sleep(BUSY_PAUSE);
                    }
                }
                Err(error) => {
                    drop(live);
                    self.break_down(&error);
                }
            }
            self.changed.notify_all();
        }
    }

    /// Takes the first job that may be taken, or waits for one; nothing when stopping.
    fn next_job(&self) -> Option<(Arc<Enrolled>, JobRow)> {
        let mut live = self.live();
        loop {
            if self.is_stopping() {
                return None;
            }
            if let Some(enrolled) = live.enrolled.clone()
                && let Some(at) = self.first_ready(&live)
            {
                let row = live.queue.remove(at);
                let running = Running {
                    row: row.clone(),
                    cancel: CancelToken::new(),
                    step: String::new(),
                    undoing: false,
                    done: 0,
                    total: 0,
                    progress_at: self.clock.now(),
                };
                if row.cancelled {
                    running.cancel.cancel();
                }
                live.running.insert(row.job.job_id, running);
                return Some((enrolled, row));
            }
            // A job that waits may become ripe by time alone; without one only a change matters.
            let look = if live.queue.is_empty() { IDLE_LOOK } else { TICK };
            live = self
                .changed
                .wait_timeout(live, look)
                .map(|(live, _)| live)
                .unwrap_or_else(|poisoned| poisoned.into_inner().0);
        }
    }

    /// The first waiting job whose tenant no other job is at work on, or waits for before it.
    pub(super) fn first_ready(&self, live: &Live) -> Option<usize> {
        let now = self.clock.portal_now();
        live.queue.iter().enumerate().position(|(at, row)| {
            let tenant = row.job.work.tenant();
            let held = tenant.is_some()
                && (live.tended == tenant
                    || live
                        .running
                        .values()
                        .any(|running| running.row.job.work.tenant() == tenant)
                    || live.queue[..at].iter().any(|other| other.job.work.tenant() == tenant));
            // Only a begun job goes on without portal time; its expiry was judged when it began.
            let ripe = row.state == JobState::Running
                || row.cancelled
                || now.is_some_and(|now| now >= row.job.nbf);
            ripe && !held && !live.running.contains_key(&row.job.job_id)
        })
    }

    fn carry_out(&self, enrolled: &Enrolled, row: &JobRow) -> Result<Worked, EngineError> {
        let job = &row.job;
        let ears = Ears { executor: self, row };
        let begun = row.state == JobState::Running
            || self.journal.find_saga(job.job_id, job.attempt)?.is_some();
        if !begun && let Some((outcome, failure)) = self.not_to_be_begun(row) {
            tracing::info!(job = %job.job_id, what = %failure.what, "a job was not begun");
            return self.over(enrolled, row, End::NotBegun(outcome, failure));
        }
        let document = enrolled.by.trust.document();
        let order = Order {
            portal: job.portal,
            agent: job.agent_id,
            job: job.job_id,
            attempt: job.attempt,
            actor: job.actor.clone(),
            timeout_secs: job.timeout_secs,
            seal_to: Some(document.seal_key),
            work: (*job.work).clone(),
            app_env: job.app_env.clone(),
        };
        let saga = match self.engine.begin(&order) {
            Ok(saga) => saga,
            Err(BeginError::Refused(failure)) => {
                return self.over(enrolled, row, End::NotBegun(Outcome::Failed, failure));
            }
            Err(BeginError::Busy(_)) => return Ok(Worked::Later),
            Err(BeginError::Stopped(error)) => return Err(error),
        };
        self.journal.job_begun(row.seq)?;
        let (cancel, total) = {
            let stored = self.journal.saga(saga)?;
            // One that goes on after a stop has come so far already.
            let done = stored.records.iter().filter(|(_, it)| matches!(it, Record::Done { .. }));
            let done = done.count();
            let mut records = stored.records.iter();
            let undoing = records.any(|(_, record)| matches!(record, Record::TurnedBack { .. }));
            let mut live = self.live();
            let Some(running) = live.running.get_mut(&job.job_id) else { return Ok(Worked::Over) };
            running.row.state = JobState::Running;
            running.done = u32::try_from(done).unwrap_or(u32::MAX);
            running.undoing = undoing;
            running.total = u32::try_from(stored.plan.steps.len()).unwrap_or(u32::MAX);
            (running.cancel.clone(), running.total)
        };
        tracing::info!(job = %job.job_id, kind = %job.work.kind(), steps = total, "a job begins");
        match self.engine.run(saga, &cancel, &ears)? {
            Some(rest) => self.over(enrolled, row, End::Rested(Box::new(rest))),
            None => Ok(Worked::Later),
        }
    }

    /// Whether a job that has not begun must not begin.
    fn not_to_be_begun(&self, row: &JobRow) -> Option<(Outcome, Failure)> {
        if row.cancelled {
            let failure = Failure::new(
                FailureClass::Cancelled,
                "the job was cancelled before it began",
                "queue a new job when it is wanted again",
            );
            return Some((Outcome::Cancelled, failure));
        }
        match start_allowed(&row.job, self.clock.now()) {
            Err(NotStarted::Expired) => {
                let failure = Failure::new(
                    FailureClass::Expired,
                    "the job expired before the host could begin it",
                    "see why the host was late (`freehold-agent status`), then queue the job again",
                );
                Some((Outcome::Expired, failure))
            }
            // Not yet: `first_ready` has looked at the same clock.
            Err(NotStarted::NotYet) | Ok(()) => None,
        }
    }

    fn over(&self, enrolled: &Enrolled, row: &JobRow, end: End) -> Result<Worked, EngineError> {
        let state = finish(&self.journal, enrolled, row, end, self.clock.now())?;
        if state == JobState::Stuck {
            tracing::error!(job = %row.job.job_id, "a job is stuck: see `freehold-agent status`");
        } else {
            tracing::info!(job = %row.job.job_id, "a job is over");
        }
        Ok(Worked::Over)
    }

    /// Has the undo of a stuck job tried again.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub fn resume(&self, job: JobId, by: &str) -> Result<(), ResumeError> {
        let rows = self.journal.open_jobs()?;
        let mut row = rows
            .into_iter()
            .find(|row| row.job.job_id == job && row.state == JobState::Stuck)
            .ok_or(ResumeError::NotStuck { job })?;
        // In this order: a stop in between leads to one more look at a stuck job, where the other
        // order would leave a saga that goes on and a job that no worker takes. For the same reason
        // the job is queued whatever the engine says.
        self.journal.job_begun(row.seq)?;
        let resumed = self.engine.resume(job, by);
        row.state = JobState::Running;
        let mut live = self.live();
        live.queue.push(row);
        live.queue.sort_by_key(|row| row.seq);
        drop(live);
        self.changed.notify_all();
        resumed?;
        Ok(())
    }
}

/// What came of a job that a worker took.
enum Worked {
    /// It rests or is stuck.
    Over,
    /// It has to wait for another one.
    Later,
}

/// Hears the engine: keeps what `status` shows, and records events for the portal.
struct Ears<'a> {
    executor: &'a Executor,
    row: &'a JobRow,
}

impl Ears<'_> {
    /// Keeps what `status` shows.
    fn note(&self, step: &str, what: EventKind) {
        let now = self.executor.clock.now();
        let mut live = self.executor.live();
        let Some(running) = live.running.get_mut(&self.row.job.job_id) else { return };
        if what != EventKind::NoProgress {
            running.progress_at = now;
        }
        if !step.is_empty() {
            step.clone_into(&mut running.step);
        }
        match what {
            EventKind::StepDone => running.done += 1,
            EventKind::StepFailed
            | EventKind::CancelRequested
            | EventKind::UndoStarted
            | EventKind::UndoDone
            | EventKind::UndoFailed => running.undoing = true,
            _ => {}
        }
    }

    fn compose(&self, step: &str, what: EventKind, message: &str) -> Event {
        Event {
            n: 0,
            at: self.executor.clock.now(),
            step: step.to_owned(),
            what,
            message: message.chars().take(1000).collect(),
        }
    }
}

impl Observer for Ears<'_> {
    fn event(&self, step: &str, what: EventKind, message: &str) {
        let (executor, job) = (self.executor, &self.row.job);
        self.note(step, what);
        let event = self.compose(step, what, message);
        // Without its events a job is still right; without a journal the engine stops by itself.
        if let Err(error) = executor.journal.event(job.job_id, job.attempt, event) {
            tracing::error!(job = %job.job_id, %error, "an event was not recorded");
        }
        executor.nudge();
    }

    fn event_of(&self, step: &str, what: EventKind, message: &str) -> Option<Event> {
        Some(self.compose(step, what, message))
    }

    fn kept(&self, step: &str, what: EventKind) {
        self.note(step, what);
        self.executor.nudge();
    }
}
