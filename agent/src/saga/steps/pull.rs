//! `pull-images`: every image on the host before anything that runs is touched.

use std::collections::BTreeMap;
use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::ImageRef;

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
        ended(pull(context))
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

fn pull(context: &Context<'_>) -> Result<StepOutput, Failure> {
    let blueprint = &deploy(context)?.blueprint;
    let images: BTreeMap<String, &ImageRef> = blueprint
        .services
        .values()
        .map(|service| (service.image.to_string(), &service.image))
        .collect();
    let list: Vec<&ImageRef> = images.values().copied().collect();
    let look = || context.with_commands(&[], |commands| docker::image_ids(commands, &list));
    let mut ids = look()?;
    if ids.is_none() {
        for image in &list {
            let outcome = context.with_commands(&[], |commands| {
                docker::ensure_image(commands, image, context.config().waits.pull)
            })?;
            (context.progress)(&match outcome {
                ImageOutcome::WasThere => format!("{image} is here"),
                ImageOutcome::Pulled => format!("{image} was pulled"),
            });
        }
        ids = look()?;
    } else {
        (context.progress)("every image is here");
    }
    let ids = ids.ok_or_else(|| {
        Failure::new(
            FailureClass::Host,
            "an image vanished from the host while others were pulled",
            "see whether something prunes images (`docker system events`), then queue the job again",
        )
    })?;
    Ok(StepOutput::Images { ids: images.into_keys().zip(ids).collect() })
}
