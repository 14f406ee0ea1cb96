//! The `freehold` command line: one file per command, one folder per noun.
//!
//! A command file holds its arguments, whose doc comments are the help, and one `run`. Commands
//! print through [`context::Ctx`] and fail with [`error::CliError`]; nothing else prints.

#![expect(clippy::result_large_err, reason = "an error is made once, to be printed at the end")]

mod api;
mod audit;
mod blueprint;
mod completions;
mod confirm;
mod context;
mod customer;
mod db;
mod error;
mod host;
mod id_part;
mod job;
mod key;
mod license;
mod login;
mod logout;
mod logs;
mod man;
mod output;
mod parse;
mod password;
mod plan;
mod remote;
mod request;
mod serve;
mod tenant;
mod token;
mod usage;
mod user;
mod version;
mod watch;
mod whoami;

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod docs;

use clap::{CommandFactory, Parser, Subcommand};

use self::{context::Ctx, error::CliError, remote::ConnectArgs};
use crate::exit::Exit;

/// Run a SaaS product as separate tenants on hosts behind NAT
///
/// `freehold serve` is the portal. Every other command talks to a portal as an admin, or works on
/// local files.
#[derive(Debug, Parser)]
#[command(
    name = "freehold",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_long_help = "Documentation: docs/cli.md. Start with `freehold login URL`."
)]
struct Cli {
    /// Print JSON for programs: documents on standard output, errors on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Login(login::Args),
    Logout(logout::Args),
    Whoami(whoami::Args),
    Password(password::Args),
    #[command(subcommand)]
    Host(host::Command),
    #[command(subcommand)]
    Blueprint(blueprint::Command),
    #[command(subcommand)]
    Tenant(tenant::Command),
    #[command(subcommand)]
    Job(job::Command),
    #[command(subcommand)]
    Plan(plan::Command),
    #[command(subcommand)]
    Customer(customer::Command),
    #[command(subcommand)]
    License(license::Command),
    #[command(subcommand)]
    Request(request::Command),
    Logs(logs::Args),
    Usage(usage::Args),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Db(db::Command),
    #[command(subcommand)]
    Api(api::Command),
    Completions(completions::Args),
    Man(man::Args),
    Version(version::Args),
}

/// Runs the command that the process's arguments name.
#[must_use]
pub fn main() -> Exit {
    // Also without a subcommand and with a wrong one, clap prints and picks the code (0 or 2).
    let cli = Cli::parse();
    let mut ctx = Ctx::of_process(cli.json, cli.connect);
    run(&cli.command, &mut ctx).unwrap_or_else(|error| {
        ctx.fail(&error);
        error.exit
    })
}

fn run(command: &Command, ctx: &mut Ctx) -> Result<Exit, CliError> {
    match command {
        Command::Serve(args) => serve::run(args, ctx),
        Command::Login(args) => login::run(args, ctx),
        Command::Logout(args) => logout::run(args, ctx),
        Command::Whoami(args) => whoami::run(args, ctx),
        Command::Password(args) => password::run(args, ctx),
        Command::Host(command) => host::run(command, ctx),
        Command::Blueprint(command) => blueprint::run(command, ctx),
        Command::Tenant(command) => tenant::run(command, ctx),
        Command::Job(command) => job::run(command, ctx),
        Command::Plan(command) => plan::run(command, ctx),
        Command::Customer(command) => customer::run(command, ctx),
        Command::License(command) => license::run(command, ctx),
        Command::Request(command) => request::run(command, ctx),
        Command::Logs(args) => logs::run(args, ctx),
        Command::Usage(args) => usage::run(args, ctx),
        Command::User(command) => user::run(command, ctx),
        Command::Token(command) => token::run(command, ctx),
        Command::Key(command) => key::run(command, ctx),
        Command::Audit(command) => audit::run(command, ctx),
        Command::Db(command) => db::run(command, ctx),
        Command::Api(command) => api::run(command, ctx),
        Command::Completions(args) => completions::run(args, ctx),
        Command::Man(args) => man::run(args, ctx),
        Command::Version(args) => version::run(args, ctx),
    }
}

/// The whole command tree, for completions, manual pages and the documentation.
fn tree() -> clap::Command {
    Cli::command()
}
