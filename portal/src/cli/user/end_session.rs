//! `freehold user end-session`.

use super::{find::find, sessions::open};
use crate::{
    api::paths,
    cli::{
        context::Ctx,
        error::CliError,
        id_part::{IdPart, id_part},
    },
    domain::ids::SessionId,
    exit::Exit,
};

/// Where sessions are shown.
const HINT: &str = "`freehold user sessions` shows those that are open";

/// End a session at once, on whatever machine it is
///
/// Its client is asked to log in again. `freehold logout` ends the session that is stored here, `freehold password`
/// all but that one, and `freehold user disable` all of a user.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold user end-session 5d2c8f0a4e21
  freehold user end-session 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 --user anna@example.org")]
pub(crate) struct Args {
    /// The session: its identifier, or six or more signs of its start or end
    #[arg(value_parser = id_part)]
    session: IdPart,
    /// Whose session it is, by login or identifier, for owners; an own one when left out
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Finds and ends it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let user = args.user.as_deref().map(|user| find(&client, user)).transpose()?;
    let user = user.map(|user| user.id);
    let id: SessionId = match args.session.whole() {
        Some(id) => id,
        None => {
            let sessions = open(&client, user)?;
            args.session.pick(sessions.iter().map(|session| session.id), "session", HINT)?
        }
    };
    let path = user.map_or_else(|| paths::own_session(id), |user| paths::user_session(user, id));
    client.delete(&path, None)?;
    let document = serde_json::json!({ "ended": id });
    ctx.show(&document, |_| format!("Ended session {id}\n"))?;
    Ok(Exit::Ok)
}
