//! `freehold user add`.

use std::path::PathBuf;

use freehold_protocol::ids::TenantSlug;

use super::view;
use crate::{
    api::{
        paths,
        users::{CreateUser, UserWithPassword},
    },
    cli::{context::Ctx, error::CliError, parse::Role, password::from_file},
    exit::Exit,
};

/// Add a user, and show the first password once
///
/// The portal draws a password that the user must change at the first login, unless a file gives one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold user add anna@example.org --name 'Anna Example' --role owner
  freehold user add shop@acme.example --role operator --tenant acme
  freehold user add bob@example.org --role viewer --password-file first.txt")]
pub(crate) struct Args {
    /// The e-mail address that the user logs in with
    #[arg(value_name = "EMAIL")]
    login: String,
    /// The name as people write it
    #[arg(long)]
    name: Option<String>,
    /// What the user may do
    #[arg(long)]
    role: Role,
    /// Limit the user to one tenant; an owner cannot be limited
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// A file with the first password in its first line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The user has chosen that password and need not change it
    #[arg(long, requires = "password_file")]
    keep_password: bool,
}

/// Adds it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let password = args.password_file.as_deref().map(from_file).transpose()?;
    let body = CreateUser {
        login: args.login.clone(),
        name: args.name.clone(),
        role: args.role.as_str().to_owned(),
        tenant: args.tenant.as_ref().map(ToString::to_string),
        password: password.map(|password| password.expose().to_owned()),
        keep_password: args.keep_password,
    };
    let made: UserWithPassword = ctx.client()?.post(paths::USERS, Some(&body))?;
    view::with_password(&made, ctx)?;
    Ok(Exit::Ok)
}
