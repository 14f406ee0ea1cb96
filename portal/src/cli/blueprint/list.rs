//! `freehold blueprint list`.

use crate::{
    api::{blueprints::BlueprintView, paths},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Table, age},
    },
    exit::Exit,
};

/// List the blueprints with their newest release
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  freehold blueprint list")]
pub(crate) struct Args {
    /// Most blueprints to list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// Lists all pages.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let found: Vec<BlueprintView> =
        ctx.client()?.list(paths::BLUEPRINTS, &Vec::new(), args.limit)?;
    let now = ctx.now();
    ctx.entries(&found, "there is no blueprint yet: `freehold blueprint push FILE`", |found| {
        let mut table = Table::new(["NAME", "RELEASE", "AGE", "BY", "TENANTS", "NOTE"]);
        for blueprint in found {
            let latest = &blueprint.latest;
            table.row([
                blueprint.name.to_string(),
                latest.number.to_string(),
                age(latest.created_at, now),
                latest.created_by.clone(),
                blueprint.tenants.to_string(),
                latest.note.lines().next().unwrap_or_default().to_owned(),
            ]);
        }
        table
    })?;
    Ok(Exit::Ok)
}
