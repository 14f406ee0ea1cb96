//! `freehold serve`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use tracing_subscriber::EnvFilter;

use super::{
    context::Ctx,
    error::{CliError, causes_of},
};
use crate::{
    config::{Config, LogFormat},
    exit::Exit,
    serve::{self, Started},
};

/// Run the portal
///
/// Serves until SIGTERM or SIGINT; requests in hand are finished. SIGHUP reads a renewed
/// certificate. At the first start it makes its keys and prints the owner's token, once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold serve --config /etc/freehold/portal.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Where the portal's configuration is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigArgs {
    /// The configuration; every value in it has an environment variable, too
    ///
    /// Without it, /etc/freehold/portal.toml is read where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Loads it.
    ///
    /// # Errors
    /// A usage error that names the key.
    pub(crate) fn load(&self) -> Result<Config, CliError> {
        // A variable that is not text cannot be one of ours.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Config::load(self.config.as_deref(), environment).map_err(|error| {
            let mut shown = CliError::new(Exit::Usage, error.to_string());
            shown.causes = causes_of(&error);
            shown
        })
    }
}

/// Serves.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let config = args.config.load()?;
    start_log(&config)?;
    let json = ctx.json;
    serve::run(config, |started| announce(&started, json, &mut io::stdout())).map_err(|error| {
        let mut shown = CliError::new(Exit::Failed, error.to_string());
        shown.causes = causes_of(&error);
        shown
    })?;
    Ok(Exit::Ok)
}

/// Says where the portal is, and the owner's token at the first start. All in one write: whoever reads
/// as far as the token and closes the pipe has it.
fn announce(started: &Started<'_>, json: bool, out: &mut impl Write) -> io::Result<()> {
    let token = started.owner_token.as_ref();
    let text = if json {
        let document = serde_json::json!({
            "address": started.address.to_string(),
            "url": started.url,
            "keysDir": started.keys_dir,
            "ownerToken": token.map(|token| token.expose()),
        });
        format!("{document}\n")
    } else {
        let first =
            token.map(|token| first_start(token.expose(), started.keys_dir)).unwrap_or_default();
        format!("listening on {}\naddress: {}\n{first}", started.address, started.url)
    };
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn first_start(token: &str, keys_dir: &Path) -> String {
    // On a line of its own, so that it can be picked out and copied whole.
    format!(
        "owner token: {token}\n\
         It is shown this once; give it to `freehold login`.\n\
         Back up the key folder {}: docs/operations.md says why.\n",
        keys_dir.display()
    )
}

/// The log goes to standard error, so that standard output holds the announcement alone.
fn start_log(config: &Config) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| {
        CliError::new(Exit::Usage, format!("log = \"{}\" is not a filter", config.log.escape_debug()))
            .because(&error)
            .hint("use error, warn, info, debug or trace, or a filter such as info,freehold_portal::http=debug")
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match config.log_format {
        LogFormat::Text => log.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started
        .map_err(|error| CliError::new(Exit::Failed, format!("the log cannot be started: {error}")))
}

#[cfg(test)]
mod tests {
    use freehold_protocol::secret::Secret;

    use super::*;

    fn announced(token: Option<&str>, json: bool) -> String {
        let started = Started {
            address: "127.0.0.1:8600".parse().unwrap(),
            url: "https://portal.example.org".into(),
            keys_dir: Path::new("/keys"),
            owner_token: token.map(|token| Secret::new(token.into())),
        };
        let mut out = Vec::new();
        announce(&started, json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_owner_token_is_announced_at_the_first_start_only() {
        assert!(announced(Some("fhk_abc"), false).lines().any(|l| l == "owner token: fhk_abc"));
        assert!(!announced(None, false).contains("token"));
        let document: serde_json::Value =
            serde_json::from_str(&announced(Some("x"), true)).unwrap();
        assert_eq!(document["ownerToken"], "x");
    }
}
