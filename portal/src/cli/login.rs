//! `freehold login`.

use std::path::{Path, PathBuf};

use freehold_protocol::secret::Secret;

use super::{
    context::Ctx,
    error::CliError,
    logout,
    output::{clean, read_secret},
    password,
    remote::{Client, Session, StoreLock, UserTokens, parse_url, session_path},
};
use crate::{
    api::{
        paths,
        users::{Login, Me, SessionTokens},
    },
    exit::Exit,
};

/// Store a portal's address and a token for it, or log in as a user
///
/// The token, or the user's password, is asked for without echo, or read from standard input. It is checked
/// with the portal before anything is stored, readable by you alone, in
/// ${XDG_CONFIG_HOME:-~/.config}/freehold/remote.toml. Of a user, the tokens of a session are stored and
/// never the password; commands renew them by themselves, for up to 30 days, or until 7 days without use.
/// An authority given with --ca-file is remembered with it. What was stored before is replaced, and a
/// user's session in it ended.
///
/// FREEHOLD_URL, FREEHOLD_TOKEN and FREEHOLD_CA_FILE override what is stored.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold login https://portal.example.org --user anna@example.org
  freehold login https://portal.example.org --user anna@example.org --password-file secret.txt
  freehold login https://portal.lan --ca-file /etc/ssl/lan-ca.pem < token.txt")]
pub(crate) struct Args {
    /// The portal's address; http:// is for this machine alone
    #[arg(value_name = "URL")]
    portal: String,
    /// Log in as this user, with a password instead of a token
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// A file with the password in its first line; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

/// Asks, checks, stores.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let file = session_path()?;
    let ca_file = match &ctx.connect.ca_file {
        None => None,
        // Remembered for commands that run in another folder.
        Some(ca_file) => Some(std::path::absolute(ca_file).map_err(|error| {
            CliError::new(Exit::Usage, format!("--ca-file {} is not usable", ca_file.display()))
                .because(&error)
        })?),
    };
    let mut session = Session {
        address: parse_url(&args.portal)?,
        ca_file,
        token: None,
        user: None,
        insecure_http: ctx.connect.insecure_http,
    };
    session.check_transport()?;
    let me = match &args.user {
        Some(login) => {
            let file_with_password = args.password_file.as_deref();
            as_user(&mut session, &file, login, file_with_password, ctx)?
        }
        None => {
            session.token = Some(ask_token(&session, ctx)?);
            let me: Me = Client::new(&session)?.get(paths::ME, &Vec::new())?;
            store(&session, &file, ctx)?;
            me
        }
    };
    ctx.show(&me, |me| {
        format!("Logged in to {} as {} ({})\n", session.address, me.actor, me.role)
    })?;
    Ok(Exit::Ok)
}

/// Stores the login in the place of another one, whose session ends.
fn store(session: &Session, file: &Path, ctx: &mut Ctx) -> Result<(), CliError> {
    let _lock = StoreLock::take(file)?;
    // What cannot be read is replaced.
    let before = Session::load(file).ok().flatten();
    session.store(file)?;
    if let Some(mut before) = before
        && let Some(user) = before.user.take()
        && logout::end(&before, &user).is_err()
    {
        ctx.note(format_args!(
            "The session of {} at {} could not be ended; it ends by itself.",
            clean(&user.login),
            before.address
        ));
    }
    Ok(())
}

/// Opens a session and stores its tokens; then a password that somebody else has chosen is changed.
fn as_user(
    session: &mut Session,
    file: &Path,
    login: &str,
    password_file: Option<&Path>,
    ctx: &mut Ctx,
) -> Result<Me, CliError> {
    let prompt = format!("Password of {login} for {}: ", session.address);
    let password = password::given_or_asked(password_file, &prompt, ctx)?;
    let body = Login { login: login.to_owned(), password: password.expose().to_owned() };
    let tokens: SessionTokens = Client::new(session)?.prove(paths::LOGIN, &body)?;
    let is_due = tokens.user.password_due;
    session.user = Some(UserTokens::from(tokens));
    store(session, file, ctx)?;
    let client = Client::new(session)?;
    if is_due && ctx.terminal.ask {
        ctx.note("The password was chosen by somebody else. Choose your own.");
        password::change(&client, &password, ctx)?;
    } else if is_due {
        ctx.note("The password was chosen by somebody else: change it with `freehold password`.");
    }
    Ok(client.get(paths::ME, &Vec::new())?)
}

fn ask_token(session: &Session, ctx: &Ctx) -> Result<Secret, CliError> {
    let prompt = format!("Token for {}: ", session.address);
    let token = read_secret(ctx.terminal, &prompt)
        .map_err(|error| CliError::new(Exit::Failed, "the token cannot be read").because(&error))?;
    let text = token.expose();
    if text.is_empty() {
        return Err(CliError::new(Exit::Usage, "no token was given").hint(
            "paste it when asked, or give it on standard input; `freehold token add` makes one",
        ));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::new(Exit::Usage, "that is not a token")
            .hint("a token is one line of letters, digits and signs that starts with `fhk_`"));
    }
    Ok(token)
}
