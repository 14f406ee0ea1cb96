//! `freehold plan archive`.

use freehold_protocol::ids::BlueprintName;

use super::view;
use crate::{
    api::{paths, plans::PlanView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Take a plan out of use: it gets no new licenses, those that it has go on
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold plan archive pro")]
pub(crate) struct Args {
    /// The plan
    name: BlueprintName,
}

/// Archives it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let path = paths::plan_do(&args.name, "archive");
    let plan: PlanView = ctx.client()?.post(&path, None::<&()>)?;
    let now = ctx.now();
    ctx.show(&plan, |plan| view::details(plan, now))?;
    Ok(Exit::Ok)
}
