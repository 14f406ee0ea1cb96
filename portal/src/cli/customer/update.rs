//! `freehold customer update`.

use std::collections::BTreeSet;

use freehold_protocol::ids::TenantSlug;

use super::{find, view};
use crate::{
    api::{
        customers::{CustomerView, UpdateCustomer},
        licenses::LicenseView,
        paths,
    },
    cli::{context::Ctx, error::CliError, remote::Client},
    domain::ids::CustomerId,
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
    /// refused from then on. Which tenants to deploy again is printed
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
    let other = args.organization.as_ref().is_some_and(|id| *id != before.organization_id);
    let tenants = if other { tenants(&client, before.id)? } else { BTreeSet::new() };
    let path = paths::customer(before.id);
    let customer: CustomerView = client.patch(&path, before.generation, &body)?;
    let now = ctx.now();
    ctx.show(&customer, |customer| view::details(customer, now))?;
    if !tenants.is_empty() {
        ctx.note("The apps of these tenants are refused until they send the new organization id. Those that get it with a deploy (FREEHOLD_ORGANIZATION_ID) have it after:");
        for slug in tenants {
            ctx.note(format_args!("  freehold tenant deploy {slug}"));
        }
    }
    Ok(Exit::Ok)
}

/// The tenants that run under licenses of a customer.
fn tenants(client: &Client, customer: CustomerId) -> Result<BTreeSet<TenantSlug>, CliError> {
    let query = vec![("customer", customer.to_string())];
    let licenses: Vec<LicenseView> = client.list(paths::LICENSES, &query, None)?;
    Ok(licenses.into_iter().flat_map(|license| license.tenants).collect())
}
