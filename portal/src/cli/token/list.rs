//! `freehold token list`.

use crate::{
    api::{paths, tokens::TokenView},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Table, age, moment},
    },
    exit::Exit,
};

/// List the API tokens, without their secrets
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold token list")]
pub(crate) struct Args {
    /// Most tokens to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let tokens: Vec<TokenView> = ctx.client()?.list(paths::TOKENS, &Vec::new(), args.limit)?;
    let now = ctx.now();
    ctx.entries(&tokens, "there is no token", |tokens| {
        let mut table = Table::new(["ID", "NAME", "ROLE", "TENANT", "HINT", "BY", "USED", "STATE"]);
        for token in tokens {
            let state = match (token.revoked_at, token.expires_at) {
                (Some(at), _) => format!("revoked {} ago", age(at, now)),
                (None, Some(at)) if at <= now => format!("expired {} ago", age(at, now)),
                (None, Some(at)) => format!("until {}", moment(at, now)),
                (None, None) => "valid".into(),
            };
            table.row([
                token.id.to_string(),
                token.name.clone(),
                token.role.clone(),
                token.tenant.clone().unwrap_or_else(|| "-".into()),
                token.hint.clone(),
                token.created_by.clone(),
                token.last_used_at.map_or_else(|| "never".into(), |at| age(at, now)),
                state,
            ]);
        }
        table
    })?;
    Ok(Exit::Ok)
}
