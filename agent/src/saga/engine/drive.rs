//! One saga on its way to rest: each act between two records.

use std::cell::RefCell;
use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::report::EventKind;
use freehold_protocol::secret::Secret;

use super::{Engine, EngineError};
use crate::runner::{Activity, CancelToken, redact};
use crate::saga::Observer;
use crate::saga::context::Context;
use crate::saga::recover::Saga;
use crate::saga::state::{Record, Status};
use crate::saga::step::{Before, RunEnd, Step, StepOutput};
use crate::saga::steps;
use crate::saga::watch::{Bounds, Interruption, Throttle, supervise};

/// How often it is looked whether the time has become known.
const TIME_TICK: Duration = Duration::from_millis(200);

/// One saga being brought to rest by one thread.
pub(super) struct Drive<'a> {
    pub(super) engine: &'a Engine,
    pub(super) saga: Saga,
    pub(super) cancel: &'a CancelToken,
    pub(super) observer: &'a dyn Observer,
    last_undo_failure: Option<Failure>,
    /// The journal says that a run has started, and it has not.
    opened: bool,
    /// Every secret of the tenant that was on the host while this thread drove the saga.
    secrets: RefCell<Vec<Secret>>,
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        saga: Saga,
        cancel: &'a CancelToken,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            engine,
            saga,
            cancel,
            observer,
            last_undo_failure: None,
            opened: false,
            secrets: RefCell::new(Vec::new()),
        }
    }

    /// Whether a stop must wait for a run: what the journal calls started would otherwise count as
    /// tried at the next start.
    pub(super) const fn owes_a_run(&self) -> bool {
        self.opened
    }

    fn step(&self, index: usize) -> Step {
        // `next` admits only steps of the plan.
        self.saga.plan.steps[index]
    }

    fn tell(&self, index: usize, what: EventKind, message: &str) {
        self.observer.event(self.step(index).name(), what, message);
    }

    /// Appends a record that people are not told of.
    fn append(&mut self, record: Record) -> Result<(), EngineError> {
        let now = self.engine.clock.now();
        self.saga.append(&self.engine.journal, record, None, now)
    }

    /// Appends a record and tells of it, both or neither.
    fn append_and_tell(
        &mut self,
        record: Record,
        index: usize,
        what: EventKind,
        message: &str,
    ) -> Result<(), EngineError> {
        let name = self.step(index).name();
        let event = self.observer.event_of(name, what, message);
        let now = self.engine.clock.now();
        self.saga.append(&self.engine.journal, record, event, now)?;
        self.observer.kept(name, what);
        Ok(())
    }

    /// Goes on after a stop: what was open is counted as tried once more, so that a step that kills
    /// the agent does not do so for ever.
    pub(super) fn take_up(&mut self) -> Result<(), EngineError> {
        let (step, open) = match self.saga.status {
            Status::Running { step, runs } => (step, runs > 0),
            // Records of an undo say how often it was tried, not that it is open. The first step of
            // an unwinding has just been turned back from: counting one more try is harmless.
            Status::Unwinding { step, .. } => (step, true),
            _ => return Ok(()),
        };
        if self.saga.records.is_empty()
            || matches!(self.saga.records.last(), Some((_, Record::Resumed { .. })))
        {
            return Ok(());
        }
        let told = "the agent was stopped and goes on from its journal";
        if open {
            let record = Record::Again { step, why: "the agent was stopped".to_owned() };
            self.append_and_tell(record, step, EventKind::Resumed, told)?;
            self.opened = true;
        } else {
            self.tell(step, EventKind::Resumed, told);
        }
        Ok(())
    }

    pub(super) fn advance(&mut self) -> Result<(), EngineError> {
        match self.saga.status.clone() {
            Status::Running { step, runs: 0 } => self.open(step),
            Status::Running { step, runs } => self.run_step(step, runs),
            Status::Unwinding { step, tries, .. } => self.undo_step(step, tries),
            Status::Done | Status::RolledBack { .. } | Status::Stuck { .. } => Ok(()),
        }
    }

    /// Whether a step belongs to those that are never undone.
    fn is_final(&self, step: usize) -> bool {
        self.saga.plan.shape().no_return.is_some_and(|limit| step >= limit)
    }

    /// Whether the saga may still turn back before this step starts.
    fn may_turn_back_before(&self, step: usize) -> bool {
        self.saga.plan.shape().no_return.is_none_or(|limit| step <= limit)
    }

    fn turn_back(&mut self, step: usize, why: Failure) -> Result<(), EngineError> {
        tracing::warn!(job = %self.saga.plan.order.job, step = self.step(step).name(), what = %why.what, detail = %why.detail, "step failed, undoing");
        let what = if why.class == FailureClass::Cancelled {
            EventKind::CancelRequested
        } else {
            EventKind::StepFailed
        };
        self.append_and_tell(Record::TurnedBack { why: why.clone() }, step, what, &why.what)
    }

    /// Time left of the whole job; nothing while the time is not known. After a restart of the
    /// machine the host's clock may be a day ahead, and a job that is nearly done is not to be undone
    /// for that.
    fn time_left(&self) -> Option<Duration> {
        let now = self.engine.clock.certain()?;
        let limit = i64::from(self.saga.plan.order.timeout_secs).saturating_mul(1000);
        let used = now.millis_since(self.saga.started_at).max(0);
        Some(Duration::from_millis(u64::try_from(limit.saturating_sub(used)).unwrap_or_default()))
    }

    /// Whether what comes next depends on the time, which is not known.
    pub(super) fn lacks_time(&self) -> bool {
        match self.saga.status {
            Status::Running { step, .. } => {
                step < self.saga.plan.steps.len()
                    && self.step(step).judges_time()
                    && self.engine.clock.certain().is_none()
            }
            _ => false,
        }
    }

    /// Waits until the time is known, the job is cancelled, or the engine halts.
    pub(super) fn await_time(&self) {
        if let Status::Running { step, .. } = self.saga.status
            && self.lacks_time()
        {
            self.tell(step, EventKind::Progress, "waits for the portal's time");
        }
        while self.lacks_time() && !self.cancel.is_cancelled() {
            if self.engine.halt.sleep(TIME_TICK) {
                return;
            }
        }
    }

    /// Records that a step starts, unless the saga is to stop here.
    fn open(&mut self, step: usize) -> Result<(), EngineError> {
        let name = self.step(step).name();
        if self.may_turn_back_before(step) {
            let reason = if self.cancel.is_cancelled() {
                Some(Failure::new(
                    FailureClass::Cancelled,
                    format!("the job was cancelled before {name}"),
                    "queue a new job when it is wanted again",
                ))
            } else if self.time_left().is_some_and(|left| left.is_zero()) {
                Some(Interruption::JobTime.to_failure(name, self.saga.plan.order.timeout_secs))
            } else {
                None
            };
            if let Some(reason) = reason {
                return self.turn_back(step, reason);
            }
        }
        let before = if self.is_final(step) || !self.step(step).changes() {
            Before::Nothing
        } else {
            let limit = self.engine.patience.undo_deadline;
            let (before, interruption) =
                self.supervised(step, limit, true, |action, context| action.look(context));
            match (before, interruption) {
                (Ok(before), _) => before,
                (Err(failure), interruption) => {
                    let failure = self.redacted(failure);
                    let secs = self.saga.plan.order.timeout_secs;
                    let why = interruption
                        .map_or(failure, |interruption| interruption.to_failure(name, secs));
                    return self.turn_back(step, why);
                }
            }
        };
        self.append_and_tell(Record::Started { step, before }, step, EventKind::StepStarted, "")?;
        self.opened = true;
        Ok(())
    }

    fn run_step(&mut self, step: usize, runs: u32) -> Result<(), EngineError> {
        self.opened = false;
        let last = self.is_final(step);
        let patience = self.engine.patience;
        if runs > patience.runs {
            // Only an agent that was stopped again and again gets here.
            let failure = Failure::new(
                FailureClass::Host,
                format!("{} did not end in {} runs", self.step(step), patience.runs),
                "look at the agent's log with `journalctl -u freehold-executor`, then queue the job again",
            );
            return self.give_up(step, failure, last);
        }
        let limit = self.deadline(step);
        let (end, interruption) =
            self.supervised(step, limit, !last, |action, context| action.run(context));
        let end = match end {
            RunEnd::Done(output) => RunEnd::Done(output),
            RunEnd::Failed(failure) => RunEnd::Failed(self.redacted(failure)),
            RunEnd::Unclear(failure) => RunEnd::Unclear(self.redacted(failure)),
        };
        let secs = self.saga.plan.order.timeout_secs;
        let name = self.step(step).name();
        match end {
            RunEnd::Done(output) => self.done(step, output),
            // The interruption explains whatever the step says about its end.
            RunEnd::Failed(failure) | RunEnd::Unclear(failure) if interruption.is_some() => {
                let why = interruption
                    .map_or(failure.clone(), |interruption| interruption.to_failure(name, secs))
                    .with_detail(detail_of(&failure));
                if last {
                    self.again_or_give_up(step, runs, why, true)
                } else {
                    self.turn_back(step, why)
                }
            }
            RunEnd::Failed(failure) if !last => self.turn_back(step, failure),
            RunEnd::Failed(failure) | RunEnd::Unclear(failure) => {
                self.again_or_give_up(step, runs, failure, last)
            }
        }
    }

    fn done(&mut self, step: usize, output: StepOutput) -> Result<(), EngineError> {
        self.append_and_tell(Record::Done { step, output }, step, EventKind::StepDone, "")
    }

    fn again_or_give_up(
        &mut self,
        step: usize,
        runs: u32,
        failure: Failure,
        last: bool,
    ) -> Result<(), EngineError> {
        if runs >= self.engine.patience.runs {
            return self.give_up(step, failure, last);
        }
        if self.engine.halt.is_cancelled() {
            // The step stays open, and the next start runs it once more.
            return Ok(());
        }
        self.tell(step, EventKind::Progress, &format!("{}; trying once more", failure.what));
        self.pause(runs, !last);
        if self.engine.halt.is_cancelled() {
            return Ok(());
        }
        self.append(Record::Again { step, why: failure.what })?;
        self.opened = true;
        Ok(())
    }

    fn give_up(&mut self, step: usize, failure: Failure, last: bool) -> Result<(), EngineError> {
        if last { self.strand(step, failure) } else { self.turn_back(step, failure) }
    }

    fn strand(&mut self, step: usize, failure: Failure) -> Result<(), EngineError> {
        tracing::error!(job = %self.saga.plan.order.job, step = self.step(step).name(), what = %failure.what, detail = %failure.detail, "the job is stuck");
        let message = format!("stuck: {}", failure.what);
        self.append_and_tell(
            Record::Stranded { step, failure },
            step,
            EventKind::UndoFailed,
            &message,
        )
    }

    fn undo_step(&mut self, step: usize, tries: u32) -> Result<(), EngineError> {
        self.opened = false;
        let before = self.saga.before(step);
        // What never started or changes nothing has nothing to undo.
        let Some(before) = before.filter(|_| self.step(step).changes()) else {
            return self.append(Record::Undone { step });
        };
        if tries >= self.engine.patience.undo_tries {
            let failure = self.last_undo_failure.take().unwrap_or_else(|| {
                Failure::new(
                    FailureClass::Host,
                    format!("undoing {} did not end in {tries} tries", self.step(step)),
                    "look at the agent's log with `journalctl -u freehold-executor`",
                )
            });
            return self.strand(step, failure);
        }
        if tries > 0 {
            self.pause(tries, false);
            if self.engine.halt.is_cancelled() {
                return Ok(());
            }
        } else {
            self.tell(step, EventKind::UndoStarted, "");
        }
        let limit = self.engine.patience.undo_deadline;
        let (end, _) =
            self.supervised(step, limit, false, |action, context| action.undo(context, &before));
        match end {
            Ok(()) => {
                self.append_and_tell(Record::Undone { step }, step, EventKind::UndoDone, "")?;
            }
            Err(failure) => {
                let failure = self.redacted(failure);
                let record = Record::UndoFailed { step, failure: failure.clone() };
                self.append_and_tell(record, step, EventKind::UndoFailed, &failure.what)?;
                self.last_undo_failure = Some(failure);
            }
        }
        Ok(())
    }

    /// Waits before a step or an undo is tried once more; not any longer when the engine is halted
    /// or, where that still counts, the job is cancelled.
    fn pause(&self, tried: u32, cancellable: bool) {
        /// How often the second of the two is looked at.
        const TICK: Duration = Duration::from_millis(100);
        let factor = 1_u32 << tried.saturating_sub(1).min(4);
        let mut left = self.engine.patience.pause.saturating_mul(factor);
        while !(left.is_zero() || cancellable && self.cancel.is_cancelled()) {
            let slice = left.min(TICK);
            if self.engine.halt.sleep(slice) {
                return;
            }
            left -= slice;
        }
    }

    /// A failure as it may be journaled, sent and shown: without the tenant's secrets, wherever an app
    /// may have put them.
    fn redacted(&self, failure: Failure) -> Failure {
        let secrets = self.secrets.borrow();
        let clean = |text: &str| redact(text, &secrets);
        Failure::new(failure.class, clean(&failure.what), clean(&failure.advice))
            .with_detail(clean(&failure.detail))
    }

    fn deadline(&self, step: usize) -> Duration {
        let (token, activity) = (CancelToken::new(), Activity::new());
        self.with_context(step, &token, &activity, |action, context| action.deadline(context))
    }

    /// Calls an action with a token that ends it at its bounds.
    fn supervised<T>(
        &self,
        step: usize,
        limit: Duration,
        may_stop: bool,
        call: impl FnOnce(&dyn crate::saga::Action, &Context<'_>) -> T,
    ) -> (T, Option<Interruption>) {
        let bounds = Bounds {
            order: may_stop.then_some(self.cancel),
            job: self.time_left().filter(|_| may_stop),
            step: limit,
            quiet: self.engine.patience.quiet,
        };
        let activity = Activity::new();
        let name = self.step(step).name();
        let quiet = |quiet: Duration| {
            let message = format!("nothing was heard of {name} for {} s", quiet.as_secs());
            self.observer.event(name, EventKind::NoProgress, &message);
        };
        supervise(bounds, &activity, &quiet, |token| {
            self.with_context(step, token, &activity, call)
        })
    }

    fn with_context<T>(
        &self,
        step: usize,
        cancel: &CancelToken,
        activity: &Activity,
        call: impl FnOnce(&dyn crate::saga::Action, &Context<'_>) -> T,
    ) -> T {
        let name = self.step(step).name();
        let throttle = Throttle::default();
        for secret in steps::secrets_of(&self.engine.host, &self.saga.plan, self.saga.id) {
            let mut known = self.secrets.borrow_mut();
            if !known.contains(&secret) {
                known.push(secret);
            }
        }
        let secrets = self.secrets.borrow().clone();
        let say = |line: &str| {
            activity.touch();
            self.observer.event(name, EventKind::Progress, &redact(line, &secrets));
        };
        let progress = |line: &str| {
            if !line.trim().is_empty() && throttle.admit() {
                say(line);
            } else {
                activity.touch();
            }
        };
        let outputs = self.saga.outputs();
        let before = self.saga.before(step).unwrap_or(Before::Nothing);
        let context = Context {
            plan: &self.saga.plan,
            saga: self.saga.id,
            host: &self.engine.host,
            journal: &self.engine.journal,
            cancel,
            activity,
            now: self.engine.clock.now(),
            before: &before,
            outputs: &outputs,
            secrets: &secrets,
            progress: &progress,
            say: &say,
        };
        call(self.engine.stage.action(self.step(step)), &context)
    }
}

fn detail_of(failure: &Failure) -> String {
    if failure.detail.is_empty() {
        failure.what.clone()
    } else {
        format!("{}\n{}", failure.what, failure.detail)
    }
}
