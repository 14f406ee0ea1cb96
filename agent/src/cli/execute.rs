//! `freehold-agent execute`

use std::time::Duration;

use clap::Args;

use super::{CliError, run};
use crate::{
    config::Config,
    executor::build,
    exit::Exit,
    identity,
    lock::StateLock,
    socket::{Listener, Peers},
    turn,
};

/// Verifies and carries out what the portal orders. Runs as root.
#[derive(Debug, Args)]
pub struct Execute {
    /// Take the listening socket from systemd as standard input
    #[arg(long)]
    socket_activation: bool,
    /// End when the parent process ends
    #[arg(long, hide = true)]
    with_parent: bool,
}

impl Execute {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        run::start_logging(config)?;
        if self.with_parent {
            run::end_with_parent()?;
        }
        // What we and our programs make is nobody else's, unless it is made otherwise on purpose.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        // Before the socket: only whoever holds the folder may take a dead executor's socket away.
        let _lock = StateLock::take(&config.state_dir)?;
        let poller = identity::account(&config.poller_user).map(|account| account.uid);
        let listener = if self.socket_activation {
            Listener::passed()?
        } else {
            Listener::bind(&config.socket, poller)?
        };
        let executor = build::executor(config)?;
        let grace = Duration::from_secs(config.stop_grace_secs.into());
        turn::execute(&executor, listener, Peers { poller }, config.workers, grace)?;
        Ok(Exit::Ok)
    }
}
