//! `freehold tenant add`.

use super::view;
use crate::{
    api::{
        paths,
        tenants::{Certificate, CreateTenant, TenantCreated},
    },
    cli::{
        context::Ctx,
        error::CliError,
        parse::{Pair, map, pair},
        watch,
    },
    exit::Exit,
};

/// Add a tenant, and deploy it if you say so
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold tenant add acme --name 'Acme Ltd' --domain acme.example.org --host web-1 \\
      --blueprint shop --set THEME=dark --admin-email anna@acme.example --deploy --watch
  freehold tenant add intern --name Internal --domain intern.example.org --host web-2 \\
      --blueprint shop --release 3 --certificate installed:wildcard")]
pub(crate) struct Args {
    /// Its short name; it can never be changed
    slug: String,
    /// Its name as people write it
    #[arg(long)]
    name: String,
    /// The public address
    #[arg(long)]
    domain: String,
    /// The host that it is for
    #[arg(long)]
    host: String,
    /// The blueprint
    #[arg(long)]
    blueprint: String,
    /// The number of the release; the newest when left out
    #[arg(long, value_name = "N")]
    release: Option<u32>,
    /// The value of a setting that the blueprint declares, repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<Pair>,
    /// Address of its first admin, who gets a temporary password
    #[arg(long, value_name = "ADDRESS")]
    admin_email: Option<String>,
    /// That person's name
    #[arg(long, value_name = "NAME", requires = "admin_email")]
    admin_name: Option<String>,
    /// Where its certificate comes from: `acme` or `installed:NAME`
    #[arg(long, value_name = "SOURCE", value_parser = certificate)]
    certificate: Option<Certificate>,
    /// The identifier of the license that it runs under
    #[arg(long, value_name = "ID")]
    license: Option<String>,
    /// Queue its deployment at once
    #[arg(long)]
    deploy: bool,
    /// Follow the deployment until it ends; the exit code tells how
    #[arg(long, requires = "deploy")]
    watch: bool,
}

/// Reads `acme` or `installed:NAME`.
pub(crate) fn certificate(text: &str) -> Result<Certificate, String> {
    match text.split_once(':') {
        None if text == "acme" => Ok(Certificate { source: "acme".into(), name: None }),
        Some(("installed", name)) if !name.is_empty() => {
            Ok(Certificate { source: "installed".into(), name: Some(name.into()) })
        }
        _ => Err("write acme, or installed:NAME".into()),
    }
}

/// Adds it, and goes on to its deployment.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let body = CreateTenant {
        slug: args.slug.clone(),
        name: args.name.clone(),
        domain: args.domain.clone(),
        host: args.host.clone(),
        blueprint: args.blueprint.clone(),
        release: args.release,
        settings: map(&args.settings, "setting")?,
        admin_email: args.admin_email.clone(),
        admin_name: args.admin_name.clone(),
        certificate: args.certificate.clone(),
        license: args.license.clone(),
        deploy: args.deploy,
    };
    let client = ctx.client()?;
    let created: TenantCreated = client.post(paths::TENANTS, Some(&body))?;
    let slug = &created.tenant.slug;
    match created.job {
        Some(job) if args.watch => {
            ctx.note(format_args!("Added tenant {slug}"));
            watch::follow(client, job, ctx)
        }
        job => {
            let now = ctx.now();
            ctx.show(&created, |created| {
                let next = match job {
                    Some(job) => format!("Queued {job}: `freehold job watch {job}` follows it\n"),
                    None => format!("`freehold tenant deploy {slug}` brings it to its host\n"),
                };
                format!("{}\n{next}", view::details(&created.tenant, now))
            })?;
            Ok(Exit::Ok)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates() {
        assert_eq!(certificate("acme").unwrap().source, "acme");
        assert_eq!(certificate("installed:wild").unwrap().name.unwrap(), "wild");
        for bad in ["", "acme:x", "installed", "installed:", "other"] {
            assert!(certificate(bad).is_err(), "{bad}");
        }
    }
}
