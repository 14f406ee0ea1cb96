//! `freehold token add`.

use clap::ValueEnum;

use crate::{
    api::{
        paths,
        tokens::{CreateToken, MAX_TOKEN_DAYS, TokenCreated},
    },
    cli::{
        context::Ctx,
        error::CliError,
        output::{clean, moment},
    },
    exit::Exit,
};

/// What a token may do; each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Look at everything but tokens and the audit log
    Viewer,
    /// Publish blueprints; add, deploy, check and remove tenants; follow and cancel jobs
    Operator,
    /// Approve what operators ask for
    Approver,
    /// Everything: hosts, tokens, keys, the audit log
    Owner,
}

/// Make an API token, shown once
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold token add ci --role operator --expires-in-days 90
  freehold token add anna --role owner")]
pub(crate) struct Args {
    /// What it is for, such as `ci` or `anna`
    name: String,
    /// What it may do
    #[arg(long)]
    role: Role,
    /// Days until it expires; it does not when left out
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_TOKEN_DAYS)))]
    expires_in_days: Option<u32>,
}

/// Makes and prints it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let role = args.role.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
    let body = CreateToken { name: args.name.clone(), role, expires_in_days: args.expires_in_days };
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
