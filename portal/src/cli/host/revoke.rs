//! `freehold host revoke`.

use freehold_protocol::ids::HostName;

use crate::{
    api::{
        hosts::{HostView, RevokeHost},
        paths,
    },
    cli::{confirm::Confirm, context::Ctx, error::CliError},
    exit::Exit,
};

/// Give up a host that never returns
///
/// Its agent's keys are refused from then on. Jobs that it had in hand end as failed, jobs that
/// wait for it are cancelled, and its tenants are shown as unknown. Nothing on the machine itself
/// changes. The host can be enrolled anew with `freehold host token`. docs/operations.md says more.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold host revoke web-1
  freehold host revoke web-1 --yes web-1")]
pub(crate) struct Args {
    /// The host
    name: HostName,
    /// The host's name once more, in place of typing it
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
}

/// Asks, then does it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let name = &args.name;
    Confirm {
        name: name.as_str(),
        given: args.yes.as_deref(),
        option: "--yes",
        warning: format!(
            "This shuts the agent of {name} out for good; what it was doing is given up."
        ),
        act: format!("revoking {name}"),
    }
    .ask(ctx)?;
    let body = RevokeHost { confirm: name.to_string() };
    let host: HostView = client.post(&paths::host_revoke(name), Some(&body))?;
    ctx.show(&host, |host| {
        format!(
            "Host {name} is revoked; its {} tenants are unknown: `freehold tenant list --host {name}`\n",
            host.tenants
        )
    })?;
    Ok(Exit::Ok)
}
