//! `freehold db owner-token`.

use std::{path::Path, sync::Arc};

use crate::{
    api::tokens::MAX_TOKEN_DAYS,
    app::tokens::recover_owner,
    cli::{
        context::Ctx,
        error::{CliError, causes_of},
        serve::ConfigArgs,
    },
    clock::SystemClock,
    context::Portal,
    exit::Exit,
};

/// Make an owner token on the portal's machine, when every owner has lost theirs
///
/// It needs the data folder and the keys, so root or the portal's own account. The portal must not
/// run meanwhile. The token is printed once; the audit log notes that it was made here.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  systemctl stop freehold
  sudo -u freehold freehold db owner-token
  systemctl start freehold")]
pub(crate) struct Args {
    /// The token's name
    #[arg(long, default_value = "recovered-owner")]
    name: String,
    /// Days until it expires
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TOKEN_DAYS)))]
    days: Option<u32>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Makes and prints it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let config = args.config.load()?;
    let failed = |error: &(dyn std::error::Error + 'static)| {
        let mut shown = CliError::new(Exit::Failed, error.to_string());
        shown.causes = causes_of(error);
        shown
    };
    let database = config.database();
    if !database.exists() {
        return Err(no_portal(&database));
    }
    let (portal, first) =
        Portal::open(config, Arc::new(SystemClock)).map_err(|error| failed(&error))?;
    let keys = portal.keys.current();
    let (name, days) = (args.name.clone(), args.days);
    let made = match first {
        // There was none at all: this is the first owner's.
        Some(secret) => Ok(secret),
        None => portal.db.write(move |tx| recover_owner(tx, keys.master(), name, days)),
    };
    portal.db.close();
    portal.ingest.close();
    let secret = made.map_err(|error| {
        let shown = failed(&error);
        let fields = error.fields.iter().map(|field| format!("--name: {}", field.detail));
        let shown = fields.fold(shown, CliError::hint);
        if error.advice.is_empty() { shown } else { shown.hint(error.advice.clone()) }
    })?;
    let document = serde_json::json!({ "ownerToken": secret.expose() });
    ctx.show(&document, |_| {
        format!(
            "owner token: {}\nIt is shown this once; give it to `freehold login`, and revoke what was lost.\n",
            secret.expose()
        )
    })?;
    Ok(Exit::Ok)
}

fn no_portal(database: &Path) -> CliError {
    CliError::new(Exit::Failed, format!("there is no database {}", database.display()))
        .hint("`freehold serve` makes it, and prints the first owner token")
}
