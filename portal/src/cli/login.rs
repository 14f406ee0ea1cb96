//! `freehold login`.

use super::{
    context::Ctx,
    error::CliError,
    output::read_secret,
    remote::{Client, Session, parse_url, session_path},
};
use crate::{
    api::{paths, tokens::Me},
    exit::Exit,
};

/// Store a portal's address and a token for it
///
/// The token is asked for without echo, or read from standard input. It is checked with the portal
/// before it is stored, readable by you alone, in ${XDG_CONFIG_HOME:-~/.config}/freehold/remote.toml.
/// An authority given with --ca-file is remembered with it.
///
/// FREEHOLD_URL, FREEHOLD_TOKEN and FREEHOLD_CA_FILE override what is stored.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold login https://portal.example.org
  freehold login https://portal.lan --ca-file /etc/ssl/lan-ca.pem < token.txt")]
pub(crate) struct Args {
    /// The portal's address; http:// is for this machine alone
    #[arg(value_name = "URL")]
    portal: String,
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
        insecure_http: ctx.connect.insecure_http,
    };
    session.check_transport()?;
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
    session.token = Some(token);
    let me: Me = Client::new(&session)?.get(paths::ME, &Vec::new())?;
    session.store(&file)?;
    ctx.show(&me, |me| {
        format!("Logged in to {} as {} ({})\n", session.address, me.actor, me.token.role)
    })?;
    Ok(Exit::Ok)
}
