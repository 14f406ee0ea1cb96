//! `freehold customer list`.

use super::view;
use crate::{
    api::{customers::CustomerView, paths},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// List customers
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold customer list")]
pub(crate) struct Args {
    /// Most customers to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let customers: Vec<CustomerView> =
        ctx.client()?.list(paths::CUSTOMERS, &Vec::new(), args.limit)?;
    let now = ctx.now();
    ctx.entries(&customers, "there is no customer", |customers| view::table(customers, now))?;
    Ok(Exit::Ok)
}
