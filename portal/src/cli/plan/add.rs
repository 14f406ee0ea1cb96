//! `freehold plan add`.

use super::view;
use crate::{
    api::{
        paths,
        plans::{CreatePlan, PlanView, Quotas},
    },
    cli::{
        context::Ctx,
        error::CliError,
        parse::{Count, count, counts},
    },
    exit::Exit,
};

/// Add a plan: what its licenses entitle to, and what its tenants may want of their hosts
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold plan add pro --product ats --feature export --feature sso --limit jobs=50 \\
      --max-users 25 --memory-mb 4096 --expiry grace --grace-days 14
  freehold plan add trial --product ats --max-users 3 --expiry restrict")]
pub(crate) struct Args {
    /// Its short name, which apps see as the license's tier; it can never be changed
    name: String,
    /// Its name as people write it; the short name when left out
    #[arg(long)]
    title: Option<String>,
    /// A product, repeatable
    #[arg(long = "product", value_name = "NAME", required = true)]
    products: Vec<String>,
    /// A feature, repeatable
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// A limit, repeatable; what has no limit is not limited
    #[arg(long = "limit", value_name = "NAME=N", value_parser = count)]
    limits: Vec<Count>,
    /// Most users; not limited when left out
    #[arg(long, value_name = "N")]
    max_users: Option<u32>,
    /// Most API keys of a tenant; 5 when left out
    #[arg(long, value_name = "N")]
    max_api_keys: Option<u32>,
    /// Most memory that a tenant may want, in MiB
    #[arg(long, value_name = "MIB")]
    memory_mb: Option<u32>,
    /// Most processor time that a tenant's services may take, in thousandths of a processor
    #[arg(long, value_name = "N")]
    cpu_millis: Option<u32>,
    /// Most disk that a tenant may want, in GiB
    #[arg(long, value_name = "GIB")]
    disk_gb: Option<u32>,
    /// What happens when a license's time is over: `restrict`, `grace` or `allow`
    #[arg(long, value_name = "STRATEGY", default_value = "restrict")]
    expiry: String,
    /// With `--expiry grace`: for how many days it works on
    #[arg(long, value_name = "DAYS")]
    grace_days: Option<u32>,
}

/// Adds it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = CreatePlan {
        name: args.name.clone(),
        title: args.title.clone(),
        products: args.products.clone(),
        features: args.features.clone(),
        limits: counts(&args.limits)?,
        max_users: args.max_users,
        max_api_keys: args.max_api_keys,
        quotas: Quotas {
            memory_mb: args.memory_mb,
            cpu_millis: args.cpu_millis,
            disk_gb: args.disk_gb,
        },
        expiry_strategy: args.expiry.clone(),
        grace_days: args.grace_days,
    };
    let plan: PlanView = ctx.client()?.post(paths::PLANS, Some(&body))?;
    let now = ctx.now();
    ctx.show(&plan, |plan| view::details(plan, now))?;
    Ok(Exit::Ok)
}
