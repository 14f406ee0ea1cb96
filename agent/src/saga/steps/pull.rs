//! `pull-images`: every image on the host before anything that runs is touched.

use std::collections::BTreeSet;
use std::time::Duration;

use freehold_protocol::failure::Failure;

use super::{deploy, ended};
use crate::host::docker::{self, ImageOutcome};
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

#[derive(Debug)]
pub(super) struct PullImages;

impl Action for PullImages {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(pull(context).map(|()| StepOutput::Nothing))
    }

    /// Images stay: they change nothing that runs, and the next attempt needs them.
    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }

    fn deadline(&self, context: &Context<'_>) -> Duration {
        let images = context.plan.blueprint().map_or(1, |blueprint| blueprint.services.len());
        context.config().waits.pull * u32::try_from(images.max(1)).unwrap_or(1)
    }
}

fn pull(context: &Context<'_>) -> Result<(), Failure> {
    let blueprint = &deploy(context)?.blueprint;
    let mut seen = BTreeSet::new();
    for service in blueprint.services.values() {
        if !seen.insert(service.image.to_string()) {
            continue;
        }
        let image = &service.image;
        let outcome = context.with_commands(&[], |commands| {
            docker::ensure_image(commands, image, context.config().waits.pull)
        })?;
        (context.progress)(&match outcome {
            ImageOutcome::WasThere => format!("{image} is here"),
            ImageOutcome::Pulled => format!("{image} was pulled"),
        });
    }
    Ok(())
}
