//! `freehold-agent doctor`
use clap::Args;
use super::CliError;
use crate::{config::Config, exit::Exit};
/// x
#[derive(Debug, Args)]
pub struct Doctor {}
impl Doctor { pub(super) fn run(&self, _config: &Config) -> Result<Exit, CliError> { Ok(Exit::Ok) } }
