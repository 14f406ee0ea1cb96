//! `freehold version`.

use freehold_protocol::PROTOCOL_VERSION;

use super::{context::Ctx, error::CliError};
use crate::{
    api::{paths, tokens::VersionInfo},
    exit::Exit,
};

/// Show the version of this program, and of the portal
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold version
  freehold version --portal")]
pub(crate) struct Args {
    /// Ask the portal for its version, too
    #[arg(long)]
    portal: bool,
}

/// Prints one or both.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let own = VersionInfo { version: env!("CARGO_PKG_VERSION").into(), protocol: PROTOCOL_VERSION };
    let portal: Option<VersionInfo> =
        if args.portal { Some(ctx.client()?.get(paths::VERSION, &Vec::new())?) } else { None };
    let document = serde_json::json!({ "program": own, "portal": portal });
    ctx.show(&document, |_| {
        let line = |what: &str, info: &VersionInfo| {
            format!("{what} {} (protocol {})\n", info.version, info.protocol)
        };
        let mut text = line("freehold", &own);
        if let Some(portal) = &portal {
            text.push_str(&super::output::clean(&line("portal", portal).replace('\n', "")));
            text.push('\n');
        }
        text
    })?;
    Ok(Exit::Ok)
}
