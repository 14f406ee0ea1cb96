//! Sagas: a job as a line of steps that each can be run twice and undone, with a journal that is
//! written before the host is changed. A saga ends done, rolled back, or stuck with advice.
//!
//! A step obeys six rules:
//!
//! 1. `run` means *ensure*: a second run is harmless.
//! 2. Names, ports and identities are chosen by an **earlier** step or by the plan, so that a second
//!    run uses the same ones.
//! 3. `Failed` says that another run would not help; a timeout or a lost answer is `Unclear`, and
//!    the engine runs the step again a bounded number of times before it turns back.
//! 4. `undo` accepts that the thing was never there.
//! 5. A step reads no clock and no environment, and decides nothing by chance. What it draws at
//!    random (a secret) is written to disk first and read back by every later run.
//! 6. Whatever a step makes carries the tenant's mark, and `undo` touches **only** what carries it.
//!
//! Unwinding includes the step that failed, because a command that failed may have changed
//! something; so undo works from the plan and from what [`Action::look`] recorded before, never
//! from the step's output.
//!
//! | module | what it holds |
//! |---|---|
//! | [`step`] | the closed set of steps, and what they journal |
//! | [`state`] | the one pure function from status and record to status |
//! | `app_env` | opens what a job brings for the tenant's app |
//! | [`engine`] | brings a saga to rest |
//! | [`recover`] | from the journal to where to go on |
//! | [`context`] | what a step is given |
//! | [`host`] | the host as the configuration describes it |
//! | [`watch`] | deadlines, cancellation, silence |
//! | [`locks`] | what only one job at a time may do |
//! | [`steps`] | one file per step, `run` and `undo` side by side |

mod app_env;
pub mod context;
pub mod engine;
pub mod host;
pub mod locks;
pub mod recover;
pub mod state;
pub mod step;
pub mod steps;
pub mod watch;

use std::fmt;
use std::time::Duration;

use freehold_protocol::failure::Failure;
use freehold_protocol::ids::JobId;
use freehold_protocol::job::JobKind;
use freehold_protocol::report::{Event, EventKind, JobResult, Outcome, StepReport};
use freehold_protocol::time::Timestamp;

use context::Context;
use step::{Before, RunEnd, Step};

/// A named pair of run and undo.
pub trait Action: fmt::Debug + Sync {
    /// What undo will need to know of the host. Changes nothing but copies in the saga's own folder.
    ///
    /// # Errors
    /// When the host cannot be looked at; the saga turns back without running the step.
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure>;

    /// Makes it so.
    fn run(&self, context: &Context<'_>) -> RunEnd;

    /// Makes it as `before` says.
    ///
    /// # Errors
    /// When it is not certain that everything is undone.
    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure>;

    /// Longest time of one run.
    fn deadline(&self, _context: &Context<'_>) -> Duration {
        Duration::from_secs(300)
    }
}

/// Where steps are really carried out: [`steps::Actions`], or a test's own.
pub trait Stage: fmt::Debug + Send + Sync {
    /// The action of a step.
    fn action(&self, step: Step) -> &dyn Action;
}

/// Hears what happens while a saga runs.
pub trait Observer: Sync {
    /// Something happened. `step` is empty for the job as a whole.
    fn event(&self, step: &str, what: EventKind, message: &str);

    /// The event that tells of a record, to be kept in the record's own commit: a stop between the two
    /// would leave it untold for ever. Nothing when nobody is to be told.
    fn event_of(&self, step: &str, what: EventKind, message: &str) -> Option<Event>;

    /// Such an event is kept.
    fn kept(&self, step: &str, what: EventKind);
}

/// An observer that does not listen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deaf;

impl Observer for Deaf {
    fn event(&self, _step: &str, _what: EventKind, _message: &str) {}

    fn event_of(&self, _step: &str, _what: EventKind, _message: &str) -> Option<Event> {
        None
    }

    fn kept(&self, _step: &str, _what: EventKind) {}
}

/// A saga at rest: what a report is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: u32,
    /// The kind.
    pub kind: JobKind,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    pub failure: Option<Failure>,
    /// Every step that was started.
    pub steps: Vec<StepReport>,
    /// What it found or made.
    pub result: Option<JobResult>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it came to rest.
    pub ended_at: Timestamp,
}
