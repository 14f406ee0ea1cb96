//! `freehold request create`.

use crate::{
    api::{
        paths,
        requests::{CreateRequest, RequestView},
        tenants::Certificate,
    },
    cli::{
        context::Ctx,
        customer,
        error::CliError,
        parse::{Pair, map, pair},
        tenant::certificate,
    },
    exit::Exit,
};

/// Ask for a tenant; somebody else approves it
///
/// The portal checks it as `tenant add` and `tenant deploy` would. The name and the address are held until somebody has
/// decided.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold request create acme --name 'Acme Ltd' --domain acme.example.org --host web-1 \\
      --blueprint shop --customer acme-org --license 01932c5e-7a10-7c3d-9b1f-5d2c8f0a4e21 \\
      --admin-email anna@acme.example --justification 'order 4711, signed on Monday'")]
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
    /// The customer's identifier or organization id
    #[arg(long)]
    customer: String,
    /// The identifier of a license of that customer
    #[arg(long, value_name = "ID")]
    license: String,
    /// Why the tenant is wanted
    #[arg(long, value_name = "TEXT")]
    justification: String,
    /// How it is set apart from others: `dedicated`, a stack of its own
    #[arg(long, value_name = "MODEL")]
    deployment_model: Option<String>,
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
}

/// Asks for it.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let body = CreateRequest {
        customer: customer::find(&client, &args.customer)?.id.to_string(),
        license: args.license.clone(),
        deployment_model: args.deployment_model.clone(),
        justification: args.justification.clone(),
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
    };
    let request: RequestView = client.post(paths::REQUESTS, Some(&body))?;
    let now = ctx.now();
    ctx.show(&request, |request| {
        let id = request.id;
        format!(
            "{}\nSomebody else approves it: `freehold request approve {id}`\n",
            super::view::details(request, now)
        )
    })?;
    Ok(Exit::Ok)
}
