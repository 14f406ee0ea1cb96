//! What a step is given: the plan, the host, and what watches it.

use std::fmt;

use freehold_protocol::time::Timestamp;

use super::locks::Locks;
use super::state::Status;
use super::step::StepOutput;
use crate::journal::Journal;
use crate::journal::sagas::SagaId;
use crate::plan::Plan;
use crate::runner::{Activity, CancelToken, Runner};

/// The host: where things are, who runs commands, and what only one may do.
#[derive(Debug)]
pub struct Host {
    /// Who runs commands.
    pub runner: Box<dyn Runner>,
    /// What only one job at a time may do.
    pub locks: Locks,
}

impl Host {
    #[cfg(test)]
    pub(crate) fn for_tests(runner: Box<dyn Runner>) -> Self {
        Self { runner, locks: Locks::default() }
    }

    /// Deletes the copies of files that a saga at rest no longer needs.
    pub(super) fn discard_saved(&self, _saga: SagaId, _status: &Status) {}
}

/// Everything that a step may use.
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The saga's number.
    pub saga: SagaId,
    /// The host.
    pub host: &'a Host,
    /// The journal: ports and tenants. Records are the engine's alone.
    pub journal: &'a Journal,
    /// Ends what runs when it is cancelled.
    pub cancel: &'a CancelToken,
    /// Is touched at every sign of life.
    pub activity: &'a Activity,
    /// When this run began.
    pub now: Timestamp,
    /// What earlier steps have handed on.
    pub outputs: &'a [StepOutput],
    /// Tells people how it goes.
    pub progress: &'a dyn Fn(&str),
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("saga", &self.saga).finish_non_exhaustive()
    }
}
