//! `freehold completions`.

use clap_complete::Shell;

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold completions bash > ~/.local/share/bash-completion/completions/freehold
  freehold completions zsh > ~/.zfunc/_freehold
  freehold completions fish > ~/.config/fish/completions/freehold.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Generates and prints.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::tree(), "freehold", &mut script);
    ctx.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
