//! `freehold license revoke`.

use crate::{
    api::licenses::Because,
    cli::{context::Ctx, error::CliError},
    domain::ids::LicenseId,
    exit::Exit,
};

/// Take a license back for good
///
/// It never comes back. Apps that ask are told so from then on; leases that they hold already end by
/// themselves, after 24 hours at the latest. The tenants keep running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license revoke 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --reason 'the contract has ended'")]
pub(crate) struct Args {
    /// The license's identifier
    license: LicenseId,
    /// Why, in one line
    #[arg(long)]
    reason: String,
}

/// Revokes it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    super::act(ctx, args.license, "revoke", Some(&Because { reason: args.reason.clone() }))
}
