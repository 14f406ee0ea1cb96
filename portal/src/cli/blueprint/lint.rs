//! `freehold blueprint lint`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    blueprint::{FILE_LIMIT_BYTES, Problem, lint},
    cli::{context::Ctx, error::CliError, output::clean, parse::read_text},
    exit::Exit,
};

/// Check a blueprint and list all its problems, each with its line and a remedy
///
/// Works on the file alone, without a portal. The exit code is 1 when there is a problem.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold blueprint lint compose.yaml
  docker compose config | freehold blueprint lint -")]
pub(crate) struct Args {
    /// The Compose file with its x-freehold section; `-` is standard input
    file: PathBuf,
}

/// A problem for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Found<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    path: &'a str,
    what: &'a str,
    remedy: &'a str,
}

/// The name under which problems are shown.
pub(crate) fn shown_name(file: &Path) -> String {
    if file == Path::new("-") { "stdin".into() } else { file.display().to_string() }
}

/// Prints problems: documents for programs, else a line each, as compilers do.
pub(crate) fn print(problems: &[Problem], ctx: &mut Ctx) -> Result<(), CliError> {
    if ctx.json {
        let found: Vec<_> = problems
            .iter()
            .map(|problem| Found {
                file: &problem.file,
                line: problem.line,
                column: problem.column,
                path: &problem.path,
                what: &problem.what,
                remedy: &problem.remedy,
            })
            .collect();
        return ctx.document(&found);
    }
    for problem in problems {
        ctx.line(clean(&problem.to_string()))?;
    }
    Ok(())
}

/// The error after problems were printed.
pub(crate) fn refused(file: &str, problems: &[Problem]) -> CliError {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        more => format!("{more} problems"),
    };
    CliError::new(Exit::Failed, format!("{file} has {count}"))
        .hint("docs/blueprint.md describes every key")
}

/// Reads and judges the file.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let name = shown_name(&args.file);
    let text = read_text(&args.file, FILE_LIMIT_BYTES)?;
    let problems = lint(&text, &name);
    print(&problems, ctx)?;
    if problems.is_empty() {
        ctx.note(format_args!("{name} can be published"));
        return Ok(Exit::Ok);
    }
    Err(refused(&name, &problems))
}
