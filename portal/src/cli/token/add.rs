//! `freehold token add`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{
        paths,
        tokens::{CreateToken, MAX_TOKEN_DAYS, TokenCreated},
    },
    cli::{
        context::Ctx,
        error::CliError,
        output::{clean, moment},
        parse::Role,
    },
    exit::Exit,
};

/// Make an API token, shown once
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold token add ci --role operator --expires-in-days 90
  freehold token add shop-acme --role operator --tenant acme
  freehold token add rescue --role owner")]
pub(crate) struct Args {
    /// What it is for, such as `ci` or `anna`
    name: String,
    /// What it may do
    #[arg(long)]
    role: Role,
    /// Limit it to one tenant; an owner cannot be limited
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// Days until it expires; it does not when left out
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TOKEN_DAYS)))]
    expires_in_days: Option<u32>,
}

/// Makes and prints it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = CreateToken {
        name: args.name.clone(),
        role: args.role.as_str().to_owned(),
        tenant: args.tenant.as_ref().map(ToString::to_string),
        expires_in_days: args.expires_in_days,
    };
    let created: TokenCreated = ctx.client()?.post(paths::TOKENS, Some(&body))?;
    let now = ctx.now();
    if ctx.json {
        ctx.document(&created)?;
        return Ok(Exit::Ok);
    }
    let token = &created.token;
    let expires = token
        .expires_at
        .map_or_else(String::new, |at| format!(", valid until {}", moment(at, now)));
    ctx.note(format_args!(
        "Token {} ({}), shown this once{expires}:",
        clean(&token.name),
        clean(&token.role)
    ));
    // Alone on standard output, so that it can be redirected into a file.
    ctx.line(clean(&created.secret))?;
    Ok(Exit::Ok)
}
