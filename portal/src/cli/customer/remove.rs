//! `freehold customer remove`.

use super::find;
use crate::{
    api::paths,
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Remove a customer whose licenses are all revoked or expired and who has no tenant
///
/// Those licenses go with the customer; the audit log keeps what was done.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold customer remove acme")]
pub(crate) struct Args {
    /// The identifier or the organization id
    customer: String,
}

/// Removes the version that was read.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let customer = find(&client, &args.customer)?;
    client.delete(&paths::customer(customer.id), Some(customer.generation))?;
    let document = serde_json::json!({ "removed": customer.id });
    ctx.show(&document, |_| format!("Removed customer {}\n", customer.id))?;
    Ok(Exit::Ok)
}
