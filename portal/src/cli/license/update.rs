//! `freehold license update`.

use super::{add::DifferenceArgs, view};
use crate::{
    api::{
        licenses::{Differences, LicenseView, UpdateLicense},
        paths,
    },
    cli::{context::Ctx, error::CliError},
    domain::ids::LicenseId,
    exit::Exit,
};

/// Change what a license entitles to
///
/// The differences from the plan that are named replace all that the license had.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license update 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --plan enterprise
  freehold license update 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --add-feature api --limit maxUsers=60
  freehold license update 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --as-plan")]
pub(crate) struct Args {
    /// The license's identifier
    license: LicenseId,
    /// The plan from now on
    #[arg(long)]
    plan: Option<String>,
    /// Drop all differences from the plan
    #[arg(long)]
    as_plan: bool,
    #[command(flatten)]
    differences: DifferenceArgs,
}

/// Reads the license's version, then changes exactly that one.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let written = args.differences.read()?;
    let named = written != Differences::default();
    if named && args.as_plan {
        return Err(CliError::new(
            Exit::Usage,
            "differences from the plan are both named and dropped",
        ));
    }
    if !named && !args.as_plan && args.plan.is_none() {
        return Err(CliError::new(Exit::Usage, "say what is to change")
            .hint("--plan, --as-plan, or the differences from the plan"));
    }
    let body = UpdateLicense {
        plan: args.plan.clone(),
        overrides: (named || args.as_plan).then_some(written),
    };
    let client = ctx.client()?;
    let path = paths::license(args.license);
    let before: LicenseView = client.get(&path, &Vec::new())?;
    let license: LicenseView = client.patch(&path, before.generation, &body)?;
    let now = ctx.now();
    ctx.show(&license, |license| view::details(license, now))?;
    Ok(Exit::Ok)
}
