//! `freehold plan update`.

use std::collections::BTreeMap;

use freehold_protocol::ids::BlueprintName;

use super::view;
use crate::{
    api::{
        paths,
        plans::{PlanView, UpdatePlan},
    },
    cli::{
        context::Ctx,
        error::CliError,
        parse::{Count, count, counts},
    },
    exit::Exit,
};

/// Change a plan, and with it every license of it at once
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold plan update pro --max-users 50 --limit jobs=100
  freehold plan update pro --feature export --feature sso --feature api")]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct Args {
    /// The plan
    name: BlueprintName,
    /// The new title
    #[arg(long, group = "change")]
    title: Option<String>,
    /// A product, repeatable: all that are named replace those that were there
    #[arg(long = "product", value_name = "NAME", group = "change")]
    products: Vec<String>,
    /// A feature, repeatable: all that are named replace those that were there
    #[arg(long = "feature", value_name = "NAME", group = "change")]
    features: Vec<String>,
    /// Leave it without features
    #[arg(long, group = "change", conflicts_with = "features")]
    no_features: bool,
    /// A limit to set, repeatable; others stay
    #[arg(long = "limit", value_name = "NAME=N", value_parser = count, group = "change")]
    limits: Vec<Count>,
    /// A limit to take away, repeatable
    #[arg(long, value_name = "NAME", group = "change")]
    unlimit: Vec<String>,
    /// Most users; 0 takes the limit away
    #[arg(long, value_name = "N", group = "change")]
    max_users: Option<u32>,
    /// Most API keys of a tenant
    #[arg(long, value_name = "N", group = "change")]
    max_api_keys: Option<u32>,
    /// Most memory that a tenant may want, in MiB; 0 takes the bound away
    #[arg(long, value_name = "MIB", group = "change")]
    memory_mb: Option<u32>,
    /// Most processor time that a tenant may want, in thousandths of a processor; 0 takes the bound away
    #[arg(long, value_name = "N", group = "change")]
    cpu_millis: Option<u32>,
    /// Most disk that a tenant may want, in GiB; 0 takes the bound away
    #[arg(long, value_name = "GIB", group = "change")]
    disk_gb: Option<u32>,
    /// What happens when a license's time is over: `restrict`, `grace` or `allow`
    #[arg(long, value_name = "STRATEGY", group = "change")]
    expiry: Option<String>,
    /// With grace: for how many days a license works on
    #[arg(long, value_name = "DAYS", group = "change")]
    grace_days: Option<u32>,
}

/// Reads the plan's version, then changes exactly that one.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let mut limits: BTreeMap<String, Option<u64>> =
        counts(&args.limits)?.into_iter().map(|(name, value)| (name, Some(value))).collect();
    for name in &args.unlimit {
        if limits.insert(name.clone(), None).is_some() {
            return Err(CliError::new(
                Exit::Usage,
                format!("the limit {name} is both set and taken away"),
            ));
        }
    }
    let some = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    let features = if args.no_features { Some(Vec::new()) } else { some(&args.features) };
    let body = UpdatePlan {
        title: args.title.clone(),
        products: some(&args.products),
        features,
        limits,
        max_users: args.max_users,
        max_api_keys: args.max_api_keys,
        memory_mb: args.memory_mb,
        cpu_millis: args.cpu_millis,
        disk_gb: args.disk_gb,
        expiry_strategy: args.expiry.clone(),
        grace_days: args.grace_days,
    };
    let client = ctx.client()?;
    let path = paths::plan(&args.name);
    let before: PlanView = client.get(&path, &Vec::new())?;
    let plan: PlanView = client.patch(&path, before.generation, &body)?;
    let now = ctx.now();
    ctx.show(&plan, |plan| view::details(plan, now))?;
    Ok(Exit::Ok)
}
