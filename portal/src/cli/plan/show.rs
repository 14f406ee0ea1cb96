//! `freehold plan show`.

use freehold_protocol::ids::BlueprintName;

use super::view;
use crate::{
    api::{paths, plans::PlanView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Show one plan
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold plan show pro")]
pub(crate) struct Args {
    /// The plan
    name: BlueprintName,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let plan: PlanView = ctx.client()?.get(&paths::plan(&args.name), &Vec::new())?;
    let now = ctx.now();
    ctx.show(&plan, |plan| view::details(plan, now))?;
    Ok(Exit::Ok)
}
