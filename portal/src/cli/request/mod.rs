//! `freehold request`: tenants that somebody asks for and somebody else approves.

mod approve;
mod create;
mod list;
mod reject;
mod retry;
mod show;
mod view;
mod withdraw;

use super::{context::Ctx, error::CliError, remote::Client, watch};
use crate::{api::requests::RequestView, exit::Exit};

/// Ask for tenants, and approve what others have asked for
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Approve(approve::Args),
    // It has many arguments.
    Create(Box<create::Args>),
    List(list::Args),
    Reject(reject::Args),
    Retry(retry::Args),
    Show(show::Args),
    Withdraw(withdraw::Args),
}

/// Runs one of them.
pub(crate) fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Approve(args) => approve::run(args, ctx),
        Command::Create(args) => create::run(args, ctx),
        Command::List(args) => list::run(args, ctx),
        Command::Reject(args) => reject::run(args, ctx),
        Command::Retry(args) => retry::run(args, ctx),
        Command::Show(args) => show::run(args, ctx),
        Command::Withdraw(args) => withdraw::run(args, ctx),
    }
}

/// Shows a request whose job was queued, or follows the job.
fn queued(
    args: &watch::WatchArgs,
    client: Client,
    request: &RequestView,
    ctx: &mut Ctx,
) -> Result<Exit, CliError> {
    match request.job {
        Some(job) if args.watch => watch::follow(client, job, ctx),
        job => {
            let now = ctx.now();
            ctx.show(request, |request| {
                let next = job
                    .map(|job| format!("\nQueued {job}: `freehold job watch {job}` follows it\n"))
                    .unwrap_or_default();
                format!("{}{next}", view::details(request, now))
            })?;
            Ok(Exit::Ok)
        }
    }
}

/// Shows what became of a request.
fn decided(request: &RequestView, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let now = ctx.now();
    ctx.show(request, |request| view::details(request, now))?;
    Ok(Exit::Ok)
}
