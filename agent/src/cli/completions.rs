//! `freehold-agent completions`

use clap::Args;

use super::{CliError, output};
use crate::exit::Exit;

/// Prints a completion script; for bash: `freehold-agent completions bash >
/// /etc/bash_completion.d/freehold-agent`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(&self, command: &mut clap::Command) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "freehold-agent", &mut script);
        output::out(&String::from_utf8_lossy(&script));
        Ok(Exit::Ok)
    }
}
