//! `freehold-agent resume`

use clap::Args;
use freehold_protocol::ids::JobId;

use super::{CliError, output};
use crate::{
    config::Config,
    exit::Exit,
    socket::{Client, Request},
};

/// Tries again what a stuck job could not do or undo. Follow the job's advice first (`freehold-agent
/// status` shows it).
#[derive(Debug, Args)]
pub struct Resume {
    /// The job's id
    job: JobId,
}

impl Resume {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        Client::new(&config.socket).call(&Request::Resume { job: self.job })?;
        output::out(&format!("Resumed {}. Watch it with `freehold-agent status`.\n", self.job));
        Ok(Exit::Ok)
    }
}
