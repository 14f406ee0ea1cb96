//! `freehold customer show`.

use super::{find, view};
use crate::{
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Show one customer
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold customer show acme")]
pub(crate) struct Args {
    /// The identifier or the organization id
    customer: String,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let customer = find(&ctx.client()?, &args.customer)?;
    let now = ctx.now();
    ctx.show(&customer, |customer| view::details(customer, now))?;
    Ok(Exit::Ok)
}
