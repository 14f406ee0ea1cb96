//! `freehold license show`.

use super::view;
use crate::{
    api::{licenses::LicenseView, paths},
    cli::{context::Ctx, error::CliError},
    domain::ids::LicenseId,
    exit::Exit,
};

/// Show one license: what it entitles to, its status and its tenants
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license show 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21")]
pub(crate) struct Args {
    /// The license's identifier
    license: LicenseId,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let license: LicenseView = ctx.client()?.get(&paths::license(args.license), &Vec::new())?;
    let now = ctx.now();
    ctx.show(&license, |license| view::details(license, now))?;
    Ok(Exit::Ok)
}
