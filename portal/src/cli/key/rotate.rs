//! `freehold key rotate`.

use super::show::details;
use crate::{
    api::{
        keys::{KeysView, RotateKeys},
        paths,
    },
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Make a new job key, or new lease keys; no host has to be touched
///
/// The old key is still accepted until the next rotation, unless it is compromised.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold key rotate
  freehold key rotate --compromised
  freehold key rotate --lease")]
pub(crate) struct Args {
    /// The old key may be in other hands: agents refuse it at once, and every job that was not yet
    /// accepted is signed anew
    #[arg(long)]
    compromised: bool,
    /// The keys that sign leases for tenants' apps, instead of the job key. By routine the next one,
    /// which is published already, moves up; with --compromised apps must fetch the key set anew
    #[arg(long)]
    lease: bool,
}

/// Rotates.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = RotateKeys { compromised: args.compromised };
    let path = if args.lease { paths::KEYS_ROTATE_LEASE } else { paths::KEYS_ROTATE };
    let keys: KeysView = ctx.client()?.post(path, Some(&body))?;
    let now = ctx.now();
    ctx.show(&keys, |keys| details(keys, now))?;
    ctx.note("Back up the key folder again: it holds a new key.");
    Ok(Exit::Ok)
}
