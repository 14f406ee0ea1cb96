//! `freehold tenant key list`.

use freehold_protocol::ids::TenantSlug;

use crate::{
    api::{paths, tenant_keys::TenantKeyView},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Table, age, moment},
    },
    exit::Exit,
};

/// List the API keys of a tenant's app, without their secrets
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold tenant key list acme")]
pub(crate) struct Args {
    /// The tenant
    slug: TenantSlug,
    /// Most keys to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Who has the key: the app by a deploy, or whoever was shown it.
fn holder(key: &TenantKeyView) -> String {
    match key.delivery.as_deref() {
        Some("pending") => "app, not yet".into(),
        Some(_) => "app".into(),
        None => "other".into(),
    }
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let path = paths::tenant_keys(&args.slug);
    let keys: Vec<TenantKeyView> = ctx.client()?.list(&path, &Vec::new(), args.limit)?;
    let now = ctx.now();
    ctx.entries(&keys, "the tenant has no key", |keys| {
        let mut table = Table::new(["ID", "HINT", "BY", "AGE", "USED", "IN", "STATE"]);
        for key in keys {
            let state = match (key.state.as_str(), key.valid_until) {
                ("replaced", Some(until)) => format!("replaced, good until {}", moment(until, now)),
                (state, _) => state.to_owned(),
            };
            table.row([
                key.id.to_string(),
                key.hint.clone(),
                key.created_by.clone(),
                age(key.created_at, now),
                key.last_used_at.map_or_else(|| "never".into(), |at| age(at, now)),
                holder(key),
                state,
            ]);
        }
        table
    })?;
    Ok(Exit::Ok)
}
