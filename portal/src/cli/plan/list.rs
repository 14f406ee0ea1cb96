//! `freehold plan list`.

use super::view;
use crate::{
    api::{paths, plans::PlanView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// List plans
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold plan list")]
pub(crate) struct Args {
    /// Most plans to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let plans: Vec<PlanView> = ctx.client()?.list(paths::PLANS, &Vec::new(), args.limit)?;
    ctx.entries(&plans, "there is no plan", view::table)?;
    Ok(Exit::Ok)
}
