//! `freehold blueprint show`.

use freehold_protocol::ids::BlueprintName;

use crate::{
    api::{
        blueprints::{BlueprintDetail, ReleaseDetail},
        paths,
    },
    cli::{
        context::Ctx,
        error::CliError,
        output::{Fields, Table, age, moment},
    },
    exit::Exit,
};

/// Show a blueprint's releases, or one release
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold blueprint show shop
  freehold blueprint show shop --release 3 --source > compose.yaml")]
pub(crate) struct Args {
    /// The blueprint
    name: BlueprintName,
    /// The number of a release; the newest when only --source is given
    #[arg(long, value_name = "N")]
    release: Option<u32>,
    /// Print the file as it was pushed
    #[arg(long)]
    source: bool,
}

/// Shows one or the other.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let now = ctx.now();
    let detail = |client: &crate::cli::remote::Client| {
        client.get::<BlueprintDetail>(&paths::blueprint(&args.name), &Vec::new())
    };
    let number = match (args.release, args.source) {
        (Some(number), _) => number,
        (None, true) => detail(&client)?.releases.first().map_or(0, |newest| newest.number),
        (None, false) => {
            let found = detail(&client)?;
            if ctx.json {
                ctx.document(&found)?;
                return Ok(Exit::Ok);
            }
            let head = Fields::new()
                .add("name", &found.name)
                .add("tenants", found.tenants)
                .add("created", moment(found.created_at, now))
                .render();
            let mut table = Table::new(["RELEASE", "AGE", "BY", "DIGEST", "NOTE"]);
            for release in &found.releases {
                table.row([
                    release.number.to_string(),
                    age(release.created_at, now),
                    release.created_by.clone(),
                    release.digest.to_string(),
                    release.note.lines().next().unwrap_or_default().to_owned(),
                ]);
            }
            ctx.text(&format!("{head}\n"))?;
            ctx.table(&table)?;
            return Ok(Exit::Ok);
        }
    };
    let found: ReleaseDetail = client.get(&paths::release(&args.name, number), &Vec::new())?;
    if ctx.json {
        ctx.document(&found)?;
    } else if args.source {
        ctx.text(&found.source)?;
    } else {
        let release = &found.release;
        let text = Fields::new()
            .add("blueprint", &release.blueprint)
            .add("release", release.number)
            .add("digest", release.digest)
            .add("note", &release.note)
            .add(
                "created",
                format!("{} by {}", moment(release.created_at, now), release.created_by),
            )
            .add("id", release.id)
            .add_all("services", found.model.services.keys())
            .add_all("volumes", found.model.volumes.keys())
            .render();
        ctx.text(&text)?;
    }
    Ok(Exit::Ok)
}
