//! `freehold token revoke`.

use freehold_protocol::ids::TokenId;

use crate::{
    api::{paths, tokens::TokenView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Revoke an API token for good
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold token revoke ci
  freehold token revoke 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21")]
pub(crate) struct Args {
    /// Its name, or its identifier as `freehold token list` shows it
    token: String,
}

/// Finds and revokes it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let id = match args.token.parse::<TokenId>() {
        Ok(id) => id,
        Err(_) => by_name(&args.token, &client.list(paths::TOKENS, &Vec::new(), None)?)?,
    };
    client.delete(&paths::token(id), None)?;
    let document = serde_json::json!({ "revoked": id });
    ctx.show(&document, |_| format!("Revoked token {id}\n"))?;
    Ok(Exit::Ok)
}

fn by_name(name: &str, tokens: &[TokenView]) -> Result<TokenId, CliError> {
    // Names are unique among tokens that are not revoked.
    let found = tokens.iter().find(|token| token.name == name && token.revoked_at.is_none());
    found.map(|token| token.id).ok_or_else(|| {
        CliError::new(Exit::NotFound, format!("no valid token is named {name}"))
            .hint("`freehold token list` shows them")
    })
}
