//! Brings sagas to rest: records, then acts, and never leaves a saga half-way while it can write.
//!
//! When the journal cannot be written, the engine stops at once with [`EngineError`] and does
//! nothing more to the host: the process must end, and the next start goes on from the journal.

mod drive;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::JobId;

use super::context::Host;
use super::locks::Busy;
use super::recover::Saga;
use super::state::{IllegalRecord, Record};
use super::{Observer, Rest, Stage};
use crate::clock::Clock;
use crate::journal::sagas::{Begun, SagaId, SagaRow};
use crate::journal::{Journal, JournalError};
use crate::plan::{self, Order, Plan};
use crate::runner::CancelToken;

/// How patient the engine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a step is run before the saga turns back.
    pub runs: u32,
    /// How often an undo is tried before the saga is stuck.
    pub undo_tries: u32,
    /// Pause before the second run or try; doubled each time, up to sixteen times this.
    pub pause: Duration,
    /// Silence after which a notice is given.
    pub quiet: Duration,
    /// Longest time of one try to undo a step.
    pub undo_deadline: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            runs: 3,
            undo_tries: 5,
            pause: Duration::from_secs(2),
            quiet: Duration::from_secs(60),
            undo_deadline: Duration::from_secs(600),
        }
    }
}

/// Why the engine stopped. The process must end and start anew.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal did not work.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The engine was about to write a record that cannot follow: a defect.
    #[error(transparent)]
    Illegal(#[from] IllegalRecord),
}

/// Why a job was not begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It cannot be done; report this as the job's end.
    #[error("the job was refused: {0}")]
    Refused(Failure),
    /// Another job of the tenant is running: begin it later.
    #[error("job {} of the same tenant is running", .0.job)]
    Busy(SagaRow),
    /// The engine must stop.
    #[error(transparent)]
    Stopped(#[from] EngineError),
}

/// Runs sagas. Threads share it.
#[derive(Debug)]
pub struct Engine {
    journal: Journal,
    host: Arc<Host>,
    stage: Arc<dyn Stage>,
    clock: Arc<dyn Clock>,
    patience: Patience,
    driven: Busy,
    planning: Mutex<()>,
    /// Never cancelled back: from then on no step is begun and none is run once more.
    halt: CancelToken,
}

impl Engine {
    /// Puts an engine together. `clock` is asked for portal time, as well as the host knows it.
    #[must_use]
    pub fn new(
        journal: Journal,
        host: Arc<Host>,
        stage: Arc<dyn Stage>,
        clock: Arc<dyn Clock>,
        patience: Patience,
    ) -> Self {
        Self {
            journal,
            host,
            stage,
            clock,
            patience,
            driven: Busy::default(),
            planning: Mutex::new(()),
            halt: CancelToken::new(),
        }
    }

    /// Has every saga stop after the run or the undo of a step that is under way, for good. What is
    /// left goes on from the journal with another engine.
    pub fn halt(&self) {
        self.halt.cancel();
    }

    /// The journal.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What would be done, without doing or recording it.
    ///
    /// # Errors
    /// When the job cannot be done, or the journal cannot be read.
    pub fn plan(&self, order: &Order) -> Result<Plan, BeginError> {
        let mut tenants = self.journal.tenants().map_err(EngineError::from)?;
        // The names of deploys that are under way count as taken.
        let open = self.journal.open_plans(None).map_err(EngineError::from)?;
        tenants.extend(
            open.iter()
                .filter(|open| open.changed_tenant() != order.work.tenant())
                .filter_map(Plan::coming_record),
        );
        plan::plan(order, &tenants).map_err(BeginError::Refused)
    }

    /// Plans a job and records the plan. From here on [`Self::run`] must be called for it, in this
    /// process or a later one. A second call for the same attempt answers the same saga.
    ///
    /// # Errors
    /// When the job cannot be done, has to wait, or the journal does not work.
    pub fn begin(&self, order: &Order) -> Result<SagaId, BeginError> {
        let known = self.journal.find_saga(order.job, order.attempt).map_err(EngineError::from)?;
        if let Some(row) = known {
            return Ok(row.id);
        }
        // One at a time: two jobs that want the same name must not both find it free.
        let _one = self.planning.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = self.plan(order)?;
        super::app_env::open(&self.host, order).map_err(BeginError::Refused)?;
        match self.journal.begin_saga(&plan, self.clock.now()).map_err(EngineError::from)? {
            Begun::New(saga) | Begun::Known(saga) => Ok(saga),
            Begun::Busy(row) if row.status == "stuck" => {
                Err(BeginError::Refused(plan::refused_by_stuck(&row)))
            }
            Begun::Busy(row) => Err(BeginError::Busy(row)),
        }
    }

    /// The sagas that a stopped process left open, in the order in which they began.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn unfinished(&self) -> Result<Vec<SagaRow>, EngineError> {
        Ok(self.journal.unfinished_sagas()?)
    }

    /// How a saga came to rest; nothing while it is open.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn rest(&self, saga: SagaId) -> Result<Option<Rest>, EngineError> {
        Ok(Saga::load(&self.journal, saga)?.rest())
    }

    /// Takes up a stuck job again, on a person's order: [`Self::run`] then tries what did not work
    /// once more, with the same patience.
    ///
    /// # Errors
    /// When the job is not stuck here, or the journal does not work.
    pub fn resume(&self, job: JobId, by: &str) -> Result<SagaId, BeginError> {
        let stuck = self.journal.stuck_sagas().map_err(EngineError::from)?;
        let Some(row) = stuck.iter().find(|row| row.job == job) else {
            return Err(BeginError::Refused(Failure::new(
                FailureClass::Request,
                format!("job {job} is not stuck on this host"),
                "list the stuck jobs with `freehold-agent status`",
            )));
        };
        let mut saga = Saga::load(&self.journal, row.id)?;
        saga.append(&self.journal, Record::Resumed { by: by.to_owned() }, None, self.clock.now())?;
        Ok(row.id)
    }

    /// Brings a saga to rest, from wherever it stands. `cancel` makes it turn back at any time
    /// before its point of no return. Nothing when another thread of this engine drives it, or when
    /// the engine was halted first.
    ///
    /// # Errors
    /// When the journal does not work; the saga goes on at the next start.
    pub fn run(
        &self,
        saga: SagaId,
        cancel: &CancelToken,
        observer: &dyn Observer,
    ) -> Result<Option<Rest>, EngineError> {
        let Some(_driving) = self.driven.claim(saga.get()) else { return Ok(None) };
        let saga = Saga::load(&self.journal, saga)?;
        let mut drive = drive::Drive::new(self, saga, cancel, observer);
        // Before a step that is open counts as begun once more.
        drive.await_time();
        if !self.halt.is_cancelled() {
            drive.take_up()?;
        }
        while !drive.saga.status.is_at_rest() {
            if self.halt.is_cancelled() && !drive.owes_a_run() {
                return Ok(None);
            }
            if !drive.owes_a_run() {
                drive.await_time();
                if self.halt.is_cancelled() {
                    continue;
                }
            }
            drive.advance()?;
        }
        super::steps::clean_up(&self.host, &drive.saga.plan, drive.saga.id, &drive.saga.status);
        Ok(drive.saga.rest())
    }
}

#[cfg(test)]
mod tests;
