//! `freehold password`, and how passwords are asked for.

use std::path::Path;

use freehold_protocol::secret::Secret;
use serde_json::Value;

use super::{
    context::Ctx, error::CliError, output::read_password, parse::read_text, remote::Client,
};
use crate::{
    api::{paths, users::ChangePassword},
    exit::Exit,
};

/// Largest file with a password, in bytes.
const MAX_FILE_BYTES: usize = 4096;

/// Change your own password
///
/// The old and the new password are asked for without echo, or read from standard input as two lines. All
/// your other sessions end.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold password")]
pub(crate) struct Args {}

/// Asks and changes it.
pub(crate) fn run(_args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let old = ask(ctx, "Old password: ")?;
    change(&client, &old, ctx)?;
    let document = serde_json::json!({ "changed": true });
    ctx.show(&document, |_| "Changed the password; your other sessions have ended\n".to_owned())?;
    Ok(Exit::Ok)
}

/// Asks for a new password and sets it.
///
/// # Errors
/// When it cannot be read or is refused.
pub(super) fn change(client: &Client, old: &Secret, ctx: &mut Ctx) -> Result<(), CliError> {
    let new = ask_new(ctx)?;
    let body = ChangePassword { old: old.expose().to_owned(), new: new.expose().to_owned() };
    let _nothing: Value = client.post(paths::ME_PASSWORD, Some(&body))?;
    Ok(())
}

/// A password from a file, the terminal or standard input.
///
/// # Errors
/// When it cannot be read.
pub(super) fn given_or_asked(
    file: Option<&Path>,
    prompt: &str,
    ctx: &Ctx,
) -> Result<Secret, CliError> {
    match file {
        Some(file) => from_file(file),
        None => ask(ctx, prompt),
    }
}

/// The first line of a file.
///
/// # Errors
/// When it cannot be read or is empty.
pub(super) fn from_file(file: &Path) -> Result<Secret, CliError> {
    let text = Secret::new(read_text(file, MAX_FILE_BYTES)?);
    let line = text.expose().lines().next().unwrap_or_default();
    not_empty(Secret::new(line.to_owned()))
}

fn ask(ctx: &Ctx, prompt: &str) -> Result<Secret, CliError> {
    let password = read_password(ctx.terminal, prompt).map_err(|error| {
        CliError::new(Exit::Failed, "the password cannot be read").because(&error)
    })?;
    not_empty(password)
}

/// A new password; a person types it twice.
fn ask_new(ctx: &Ctx) -> Result<Secret, CliError> {
    let new = ask(ctx, "New password: ")?;
    if ctx.terminal.ask && ask(ctx, "New password again: ")? != new {
        return Err(CliError::new(Exit::Usage, "the two are not the same: nothing was changed"));
    }
    Ok(new)
}

fn not_empty(password: Secret) -> Result<Secret, CliError> {
    if password.expose().is_empty() {
        return Err(CliError::new(Exit::Usage, "no password was given")
            .hint("type it when asked, or give it in a file or on standard input"));
    }
    Ok(password)
}
