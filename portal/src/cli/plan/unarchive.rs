//! `freehold plan unarchive`.

use freehold_protocol::ids::BlueprintName;

use super::view;
use crate::{
    api::{paths, plans::PlanView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Let an archived plan take new licenses again
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold plan unarchive pro")]
pub(crate) struct Args {
    /// The plan
    name: BlueprintName,
}

/// Brings back it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let path = paths::plan_do(&args.name, "unarchive");
    let plan: PlanView = ctx.client()?.post(&path, None::<&()>)?;
    let now = ctx.now();
    ctx.show(&plan, |plan| view::details(plan, now))?;
    Ok(Exit::Ok)
}
