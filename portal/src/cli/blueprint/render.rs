//! `freehold blueprint render`.

use std::path::PathBuf;

use freehold_protocol::ids::{Domain, TenantSlug};

use super::lint::{print, refused, shown_name};
use crate::{
    blueprint::{FILE_LIMIT_BYTES, PreviewError, render_preview, sample_allocation},
    cli::{context::Ctx, error::CliError, parse::read_text},
    exit::Exit,
};

/// Show what a host would get for a blueprint: compose.yaml and .env
///
/// Works on the file alone. Ports are the first of each range, and secrets and required settings
/// are samples: the real ones are picked on the host and never leave it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold blueprint render compose.yaml
  freehold blueprint render compose.yaml --tenant acme --domain acme.example.org --env")]
pub(crate) struct Args {
    /// The Compose file with its x-freehold section; `-` is standard input
    file: PathBuf,
    /// The tenant to show it for
    #[arg(long, value_name = "SLUG", default_value = "sample")]
    tenant: TenantSlug,
    /// That tenant's public address
    #[arg(long, default_value = "sample.example.org")]
    domain: Domain,
    /// Print the .env in place of compose.yaml
    #[arg(long)]
    env: bool,
}

/// Renders it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let name = shown_name(&args.file);
    let text = read_text(&args.file, FILE_LIMIT_BYTES)?;
    let rendered = render_preview(&text, &name, |blueprint| {
        sample_allocation(blueprint, args.tenant.clone(), args.domain.clone())
    });
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(PreviewError::File(problems)) => {
            print(&problems, ctx)?;
            return Err(refused(&name, &problems));
        }
        Err(error @ PreviewError::Render(_)) => {
            let mut shown = CliError::new(Exit::Failed, format!("{name}: {error}"));
            shown.causes = crate::cli::error::causes_of(&error);
            return Err(shown);
        }
    };
    if ctx.json {
        let compose: serde_json::Value =
            serde_json::from_str(&rendered.compose_json).map_err(|error| {
                CliError::new(Exit::Failed, "the rendered file is not JSON").because(&error)
            })?;
        ctx.document(&serde_json::json!({ "compose": compose, "env": rendered.env.expose() }))?;
    } else if args.env {
        ctx.text(rendered.env.expose())?;
    } else {
        ctx.line(rendered.compose_json.trim_end())?;
    }
    Ok(Exit::Ok)
}
