//! `freehold license reinstate`.

use crate::{
    cli::{context::Ctx, error::CliError},
    domain::ids::LicenseId,
    exit::Exit,
};

/// End the suspension of a license
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license reinstate 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21")]
pub(crate) struct Args {
    /// The license's identifier
    license: LicenseId,
}

/// Reinstates it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    super::act(ctx, args.license, "reinstate", None)
}
