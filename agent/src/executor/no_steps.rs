//! A stage without steps: every job fails at its first one, having changed nothing. In place only
//! until `saga::steps` holds the real ones.

use freehold_protocol::failure::{Failure, FailureClass};

use crate::saga::{
    Action, Stage,
    context::Context,
    step::{Before, RunEnd, Step},
};

/// See the module.
#[derive(Debug)]
pub(super) struct NoSteps;

impl Stage for NoSteps {
    fn action(&self, _step: Step) -> &dyn Action {
        self
    }
}

impl Action for NoSteps {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }
    fn run(&self, _context: &Context<'_>) -> RunEnd {
        RunEnd::Failed(Failure::new(
            FailureClass::Bug,
            "this build of the agent has no steps",
            "install a released package of freehold-agent",
        ))
    }
    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }
}
