//! `freehold user remove`.

use super::find::find;
use crate::{
    api::paths,
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Remove a user for good; the audit log keeps what it has done
///
/// `freehold user disable` keeps the user, so that nobody else can be given its login.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold user remove anna@example.org")]
pub(crate) struct Args {
    /// The user's login or identifier
    user: String,
}

/// Removes the version that was read.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let user = find(&client, &args.user)?;
    client.delete(&paths::user(user.id), Some(user.generation))?;
    let document = serde_json::json!({ "removed": user.id });
    ctx.show(&document, |_| format!("Removed user {}\n", user.login))?;
    Ok(Exit::Ok)
}
