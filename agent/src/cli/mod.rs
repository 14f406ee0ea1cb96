//! The command line: one file per command.

mod certificates;
mod completions;
mod doctor;
mod drain;
mod enroll;
mod error;
mod execute;
mod install_nginx;
mod journal;
mod man;
mod output;
mod plan;
mod poll;
mod ports;
mod resume;
mod run;
mod status;
mod tenants;
#[cfg(test)]
mod tests;
mod unenroll;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};

pub use error::CliError;

use crate::{
    config::{self, Config},
    exit::Exit,
    journal::{Journal, Missing},
};

/// Freehold's agent: carries out signed jobs on this host.
///
/// Two services come with the package: freehold-executor (root; verifies and carries out) and
/// freehold-agent (unprivileged; talks to the portal). The other commands are for the operator.
#[derive(Debug, Parser)]
#[command(name = "freehold-agent", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  freehold-agent enroll --token-file /root/token     enroll this host
  freehold-agent status                              contact, jobs, tenants
  freehold-agent doctor                              check the host and say what to do
  freehold-agent journal 0197…                       what a job did, step by step

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not enrolled, 4 no executor, 5 portal,
6 refused, 7 not found, 8 journal. docs/agent.md explains each.";

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Configuration file
    #[arg(long, global = true, env = "FREEHOLD_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one setting, for example --set nginx.http_port=8080
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Common {
    fn load(&self) -> Result<Config, CliError> {
        Ok(config::load(self.config.as_deref(), std::env::vars(), &self.set)?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enroll this host with its portal by a one-time token
    Enroll(enroll::Enroll),
    /// Leave the portal; says what stays on the host
    Unenroll(unenroll::Unenroll),
    /// Show contact with the portal, running jobs and tenants
    Status(status::Status),
    /// Check everything the agent needs, with a remedy for what is wrong
    Doctor(doctor::Doctor),
    /// List the jobs of this host, or show what one did
    Journal(journal::JournalArgs),
    /// Show what a job would do, without doing it
    Plan(plan::PlanArgs),
    /// List the tenants of this host
    Tenants(tenants::Tenants),
    /// List the reserved ports
    Ports(ports::Ports),
    /// Take no further jobs; running ones end
    Drain,
    /// Take jobs again
    Undrain,
    /// Try again what a stuck job could not do or undo
    Resume(resume::Resume),
    /// Have nginx include the folder of tenant sites
    InstallNginx(install_nginx::InstallNginx),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Write the manual pages, one for each command
    Man(man::Man),
    /// Run both halves, for development
    Run(run::Run),
    /// The unprivileged half (freehold-agent.service)
    Poll(poll::Poll),
    /// The root half (freehold-executor.service)
    Execute(execute::Execute),
}

/// Runs the command line of the process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::err(&error.render());
            error.exit.into()
        }
    }
}

fn dispatch(cli: &Cli) -> Result<Exit, CliError> {
    match &cli.command {
        Command::Completions(args) => return args.run(&mut Cli::command()),
        Command::Man(args) => return args.run(Cli::command()),
        _ => {}
    }
    let config = cli.common.load()?;
    match &cli.command {
        Command::Enroll(args) => args.run(&config),
        Command::Unenroll(args) => args.run(&config),
        Command::Status(args) => args.run(&config),
        Command::Doctor(args) => args.run(&config),
        Command::Journal(args) => args.run(&config),
        Command::Plan(args) => args.run(&config),
        Command::Tenants(args) => args.run(&config),
        Command::Ports(args) => args.run(&config),
        Command::Drain => drain::run(&config, true),
        Command::Undrain => drain::run(&config, false),
        Command::Resume(args) => args.run(&config),
        Command::InstallNginx(args) => args.run(&config),
        Command::Run(args) => args.run(&config, &cli.common),
        Command::Poll(args) => args.run(&config),
        Command::Execute(args) => args.run(&config),
        Command::Completions(_) | Command::Man(_) => Ok(Exit::Ok),
    }
}

/// The journal of an enrolled host.
fn open_journal(config: &Config) -> Result<Journal, CliError> {
    Ok(Journal::open(&config.journal_path(), Missing::Refuse)?)
}

/// An error with its causes on one line.
#[must_use]
pub fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Transparent errors repeat their source.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
