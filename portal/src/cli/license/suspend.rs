//! `freehold license suspend`.

use crate::{
    api::licenses::Because,
    cli::{context::Ctx, error::CliError},
    domain::ids::LicenseId,
    exit::Exit,
};

/// Take a license back for a time
///
/// Apps that ask are told so from then on. Leases that they hold already end by themselves, after 24
/// hours at the latest. The tenants keep running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license suspend 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --reason 'invoice 4711 is unpaid'")]
pub(crate) struct Args {
    /// The license's identifier
    license: LicenseId,
    /// Why, in one line
    #[arg(long)]
    reason: String,
}

/// Suspends it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    super::act(ctx, args.license, "suspend", Some(&Because { reason: args.reason.clone() }))
}
