//! `freehold license reveal`.

use crate::{
    api::{licenses::LicenseKeyShown, paths},
    cli::{context::Ctx, error::CliError, output::clean},
    domain::ids::LicenseId,
    exit::Exit,
};

/// Show the key of a license again; the audit log says who has seen it
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license reveal 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21")]
pub(crate) struct Args {
    /// The license's identifier
    license: LicenseId,
}

/// Shows it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let path = paths::license_do(args.license, "reveal");
    let shown: LicenseKeyShown = ctx.client()?.post(&path, None::<&()>)?;
    ctx.show(&shown, |shown| format!("{}\n", clean(&shown.key)))?;
    Ok(Exit::Ok)
}
