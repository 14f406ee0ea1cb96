//! `freehold customer update`.

use super::{find, view};
use crate::{
    api::{
        customers::{CustomerView, UpdateCustomer},
        paths,
    },
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Change a customer
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold customer update acme --email finance@acme.example
  freehold customer update acme --organization acme-group")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct Args {
    /// The identifier or the organization id
    customer: String,
    /// The new name
    #[arg(long, group = "change")]
    name: Option<String>,
    /// The new address; an empty text takes it away
    #[arg(long, value_name = "ADDRESS", group = "change")]
    email: Option<String>,
    /// What the customer's apps send as organizationId; apps that still send the old one are
    /// refused from then on
    #[arg(long, value_name = "ID", group = "change")]
    organization: Option<String>,
    /// The new notes
    #[arg(long, group = "change")]
    notes: Option<String>,
}

/// Reads the customer's version, then changes exactly that one.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = UpdateCustomer {
        name: args.name.clone(),
        email: args.email.clone(),
        organization_id: args.organization.clone(),
        notes: args.notes.clone(),
    };
    let client = ctx.client()?;
    let before = find(&client, &args.customer)?;
    let path = paths::customer(before.id);
    let customer: CustomerView = client.patch(&path, before.generation, &body)?;
    let now = ctx.now();
    ctx.show(&customer, |customer| view::details(customer, now))?;
    Ok(Exit::Ok)
}
