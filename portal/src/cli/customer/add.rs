//! `freehold customer add`.

use super::view;
use crate::{
    api::{
        customers::{CreateCustomer, CustomerView},
        paths,
    },
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Add a customer
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold customer add 'Acme GmbH' --email billing@acme.example --organization acme
  freehold customer add 'Beta Ltd'")]
pub(crate) struct Args {
    /// The name as people write it
    name: String,
    /// An address to write to
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// What the customer's apps send as organizationId; the customer's identifier when left out
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// Free text for the admins
    #[arg(long)]
    notes: Option<String>,
}

/// Adds it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = CreateCustomer {
        name: args.name.clone(),
        email: args.email.clone(),
        organization_id: args.organization.clone(),
        notes: args.notes.clone(),
    };
    let customer: CustomerView = ctx.client()?.post(paths::CUSTOMERS, Some(&body))?;
    let now = ctx.now();
    ctx.show(&customer, |customer| view::details(customer, now))?;
    Ok(Exit::Ok)
}
