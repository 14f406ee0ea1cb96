//! `freehold host add`.

use super::view;
use crate::{
    api::{
        hosts::{CreateEnrollmentToken, CreateHost, EnrollmentTokenCreated, HostView},
        paths,
    },
    cli::{
        context::Ctx,
        error::CliError,
        parse::{Pair, map, pair},
    },
    exit::Exit,
};

/// Add a host and print its one-time enrollment token
///
/// The token goes to the host on standard input of `freehold-agent enroll`. If it gets lost or
/// expires, `freehold host token NAME` makes another one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold host add web-1
  freehold host add web-2 --label region=eu --label disk=ssd --tenant-limit 40")]
pub(crate) struct Args {
    /// Its name: lower-case letters, digits and hyphens
    name: String,
    /// A label, repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<Pair>,
    /// Most tenants that it may carry
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tenant_limit: Option<u32>,
    /// Minutes for which the token is valid
    #[arg(long, value_name = "N")]
    ttl_minutes: Option<u32>,
}

/// Creates the host, then its token.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = CreateHost {
        name: args.name.clone(),
        labels: map(&args.labels, "label")?,
        tenant_limit: args.tenant_limit,
    };
    let client = ctx.client()?;
    let host: HostView = client.post(paths::HOSTS, Some(&body)).map_err(|error| {
        let shown = CliError::from(error);
        if shown.exit == Exit::Conflict {
            let name = &args.name;
            return shown.hint(format!("for an existing host use `freehold host token {name}`"));
        }
        shown
    })?;
    let wanted = CreateEnrollmentToken { ttl_minutes: args.ttl_minutes };
    let token: EnrollmentTokenCreated = client
        .post(&paths::host_enrollment_tokens(&host.name), Some(&wanted))
        .map_err(|error| {
            let name = &host.name;
            CliError::from(error).hint(format!(
                "the host is there; `freehold host token {name}` makes its enrollment token"
            ))
        })?;
    if ctx.json {
        ctx.document(&serde_json::json!({ "host": host, "enrollment": token }))?;
    } else {
        let now = ctx.now();
        ctx.line(format_args!("Added host {}", host.name))?;
        ctx.text(&view::enrollment(host.name.as_str(), &token, now))?;
    }
    Ok(Exit::Ok)
}
