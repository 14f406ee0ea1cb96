//! `freehold api openapi`.

use super::super::{context::Ctx, error::CliError};
use crate::{exit::Exit, http::openapi};

/// Print the OpenAPI 3.1 document of this program's portal
///
/// It is what `GET /api/v1/openapi.json` answers. No portal is asked.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold api openapi > openapi.json")]
pub(crate) struct Args {}

/// Prints it.
pub(crate) fn run(_: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    ctx.document(&openapi::document())?;
    Ok(Exit::Ok)
}
