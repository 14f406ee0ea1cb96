//! `freehold plan remove`.

use freehold_protocol::ids::BlueprintName;

use crate::{
    api::{paths, plans::PlanView},
    cli::{context::Ctx, error::CliError},
    exit::Exit,
};

/// Remove a plan that no license has; one that is used can be archived
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold plan remove pro")]
pub(crate) struct Args {
    /// The plan
    name: BlueprintName,
}

/// Removes the version that was read.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let path = paths::plan(&args.name);
    let plan: PlanView = client.get(&path, &Vec::new())?;
    client.delete(&path, Some(plan.generation))?;
    let document = serde_json::json!({ "removed": args.name });
    ctx.show(&document, |_| format!("Removed plan {}\n", args.name))?;
    Ok(Exit::Ok)
}
