//! What would lose something is done only when its name is typed, or given once more as an option.

use std::io::{self, BufRead as _, Read as _};

use super::{context::Ctx, error::CliError};
use crate::exit::Exit;

/// What has to be confirmed.
#[derive(Debug)]
pub(crate) struct Confirm<'a> {
    /// The name to repeat.
    pub(crate) name: &'a str,
    /// The name as the option gave it.
    pub(crate) given: Option<&'a str>,
    /// The option.
    pub(crate) option: &'static str,
    /// What is about to happen, as a sentence with full stop.
    pub(crate) warning: String,
    /// The same as a noun, for the refusal.
    pub(crate) act: String,
}

impl Confirm<'_> {
    /// Asks on a terminal unless the option says it.
    ///
    /// # Errors
    /// [`Exit::Unconfirmed`] when the name is another one, or nobody can be asked.
    pub(crate) fn ask(&self, ctx: &mut Ctx) -> Result<(), CliError> {
        let Self { name, option, warning, act, .. } = self;
        let given = match self.given {
            Some(given) => given.to_owned(),
            None if ctx.terminal.ask => {
                ctx.note(format_args!("{warning} Type {name} to go on:"));
                let mut line = String::new();
                io::stdin().lock().take(1024).read_line(&mut line).map_err(|error| {
                    CliError::new(Exit::Failed, "the answer cannot be read").because(&error)
                })?;
                line.trim().to_owned()
            }
            None => {
                return Err(CliError::new(Exit::Unconfirmed, format!("{act} is not confirmed"))
                    .hint(format!("without a terminal, confirm with {option} {name}")));
            }
        };
        if given == *name {
            return Ok(());
        }
        Err(CliError::new(
            Exit::Unconfirmed,
            format!("\"{}\" is not {name}: nothing was done", given.escape_debug()),
        ))
    }
}
