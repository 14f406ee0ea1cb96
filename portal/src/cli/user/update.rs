//! `freehold user update`.

use freehold_protocol::ids::TenantSlug;

use super::{find::find, view};
use crate::{
    api::{
        paths,
        users::{UpdateUser, UserView},
    },
    cli::{context::Ctx, error::CliError, parse::Role},
    exit::Exit,
};

/// Change a user's login, name, role or limit; it holds from the next request on
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold user update anna@example.org --role approver
  freehold user set anna@example.org --role operator --tenant acme
  freehold user set anna@example.org --no-tenant --login anna@example.com")]
pub(crate) struct Args {
    /// The user's login or identifier
    user: String,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// The e-mail address to log in with from now on
    #[arg(long, value_name = "EMAIL")]
    login: Option<String>,
    /// The name as people write it
    #[arg(long)]
    name: Option<String>,
    /// What the user may do; nobody changes their own role
    #[arg(long)]
    role: Option<Role>,
    /// Limit the user to one tenant
    #[arg(long, value_name = "SLUG", conflicts_with = "no_tenant")]
    tenant: Option<TenantSlug>,
    /// Let the user look after the whole portal
    #[arg(long)]
    no_tenant: bool,
}

/// Changes the version that was read.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let client = ctx.client()?;
    let user = find(&client, &args.user)?;
    let Changes { login, name, role, tenant, no_tenant } = &args.changes;
    let body = UpdateUser {
        login: login.clone(),
        name: name.clone(),
        role: role.map(|role| role.as_str().to_owned()),
        tenant: match tenant {
            Some(slug) => Some(Some(slug.to_string())),
            None => no_tenant.then_some(None),
        },
    };
    let user: UserView = client.patch(&paths::user(user.id), user.generation, &body)?;
    let now = ctx.now();
    ctx.show(&user, |user| view::details(user, now))?;
    Ok(Exit::Ok)
}
