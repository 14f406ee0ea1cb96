//! `freehold blueprint push`.

use std::path::PathBuf;

use freehold_protocol::ids::BlueprintName;

use super::lint::{print, refused, shown_name};
use crate::{
    api::{
        blueprints::{PublishBlueprint, ReleaseView},
        paths,
    },
    blueprint::{FILE_LIMIT_BYTES, lint},
    cli::{context::Ctx, error::CliError, parse::read_text},
    exit::Exit,
};

/// Publish a blueprint as a new release
///
/// The file is checked here first. One that says the same as the newest release makes no new one,
/// so that pushing twice is harmless.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold blueprint push compose.yaml --note 'backend 2.4'
  freehold blueprint push - --name shop < compose.yaml")]
pub(crate) struct Args {
    /// The Compose file with its x-freehold section; `-` is standard input
    file: PathBuf,
    /// Its name; x-freehold.product when left out
    #[arg(long)]
    name: Option<BlueprintName>,
    /// What is new in it
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

/// Checks, then pushes.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let file = shown_name(&args.file);
    let source = read_text(&args.file, FILE_LIMIT_BYTES)?;
    let problems = lint(&source, &file);
    if !problems.is_empty() {
        print(&problems, ctx)?;
        return Err(refused(&file, &problems));
    }
    let body = PublishBlueprint {
        name: args.name.as_ref().map(ToString::to_string),
        source,
        note: args.note.clone(),
    };
    let release: ReleaseView = ctx.client()?.post(paths::BLUEPRINTS, Some(&body))?;
    ctx.show(&release, |release| {
        format!("{} release {} ({})\n", release.blueprint, release.number, release.digest)
    })?;
    Ok(Exit::Ok)
}
