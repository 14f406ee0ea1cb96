//! `freehold license renew`.

use freehold_protocol::time::Timestamp;

use super::view;
use crate::{
    api::{
        licenses::{LicenseView, RenewLicense},
        paths,
    },
    cli::{context::Ctx, error::CliError, parse::moment},
    domain::ids::LicenseId,
    exit::Exit,
};

/// Give a license another end
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold license renew 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --expires 2028-12-31")]
#[command(group(clap::ArgGroup::new("end").required(true)))]
pub(crate) struct Args {
    /// The license's identifier
    license: LicenseId,
    /// When its time is over: a day (its end, UTC) or a time (RFC 3339)
    #[arg(long, value_name = "WHEN", value_parser = moment, group = "end")]
    expires: Option<Timestamp>,
    /// Let it never end
    #[arg(long, group = "end")]
    forever: bool,
}

/// Renews it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = RenewLicense { expires_at: args.expires.map(Timestamp::as_millis) };
    let path = paths::license_do(args.license, "renew");
    let license: LicenseView = ctx.client()?.post(&path, Some(&body))?;
    let now = ctx.now();
    ctx.show(&license, |license| view::details(license, now))?;
    Ok(Exit::Ok)
}
