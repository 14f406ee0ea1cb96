//! `freehold user reset-password`.

use std::path::PathBuf;

use super::{find::find, view};
use crate::{
    api::{
        paths,
        users::{ResetPassword, UserWithPassword},
    },
    cli::{context::Ctx, error::CliError, password::from_file},
    exit::Exit,
};

/// Give a user a new password and end all its sessions
///
/// The portal draws a password that the user must change at the next login, unless a file gives one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold user reset-password anna@example.org")]
pub(crate) struct Args {
    /// The user's login or identifier
    user: String,
    /// A file with the new password in its first line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The user has chosen that password and need not change it
    #[arg(long, requires = "password_file")]
    keep_password: bool,
}

/// Resets it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let password = args.password_file.as_deref().map(from_file).transpose()?;
    let body = ResetPassword {
        password: password.map(|password| password.expose().to_owned()),
        keep_password: args.keep_password,
    };
    let client = ctx.client()?;
    let user = find(&client, &args.user)?;
    let reset: UserWithPassword =
        client.post(&paths::user_do(user.id, "reset-password"), Some(&body))?;
    view::with_password(&reset, ctx)?;
    Ok(Exit::Ok)
}
