//! `freehold host token`.

use freehold_protocol::ids::HostName;

use super::view;
use crate::{
    api::{
        hosts::{CreateEnrollmentToken, EnrollmentTokenCreated},
        paths,
    },
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Make a new one-time enrollment token for a host
///
/// Use it when the first one got lost or expired, or to enroll a reinstalled host again. The
/// present agent works on until the token is used.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold host token web-1
  freehold host token web-1 --ttl-minutes 120")]
pub(crate) struct Args {
    /// The host
    name: HostName,
    /// Minutes for which the token is valid
    #[arg(long, value_name = "N")]
    ttl_minutes: Option<u32>,
}

/// Makes and prints it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let wanted = CreateEnrollmentToken { ttl_minutes: args.ttl_minutes };
    let token: EnrollmentTokenCreated =
        ctx.client()?.post(&paths::host_enrollment_tokens(&args.name), Some(&wanted))?;
    let now = ctx.now();
    ctx.show(&token, |token| view::enrollment(args.name.as_str(), token, now))?;
    Ok(Exit::Ok)
}
