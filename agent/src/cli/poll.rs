//! `freehold-agent poll`

use clap::Args;

use super::{CliError, run};
use crate::{config::Config, exit::Exit, turn};

/// Talks to the portal for the executor. Runs as the unprivileged account `freehold-agent`.
#[derive(Debug, Args)]
pub struct Poll {
    /// End when the parent process ends
    #[arg(long, hide = true)]
    with_parent: bool,
}

impl Poll {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        run::start_logging(config)?;
        if self.with_parent {
            run::end_with_parent()?;
        }
        turn::poll(config)?;
        Ok(Exit::Ok)
    }
}
