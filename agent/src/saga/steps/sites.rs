//! `site-http`, `site-https` and `site-off`: the tenant's site in nginx.

use std::time::Duration;

use freehold_protocol::failure::Failure;
use freehold_protocol::ids::TenantId;
use freehold_protocol::job::CertificateSource;

use super::{bug, deploy, ended, journal};
use crate::host::nginx::{self, CertificateFiles, Route, Site, Stage};
use crate::host::{certbot, certificate, probe};
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

/// Longest time of one look at what nginx serves.
const REQUEST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct SiteHttp;

impl Action for SiteHttp {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        look(context)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let run = || put(context, before_certificate(context)?);
        ended(run())
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        put_back(context, before)
    }
}

#[derive(Debug)]
pub(super) struct SiteHttps;

impl Action for SiteHttps {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        look(context)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let run = || {
            let stage = Stage::Https(certificate(context)?);
            if is_served(context, &stage)? {
                (context.say)("the site is as it should be, and nginx is left alone");
                return Ok(StepOutput::Nothing);
            }
            put(context, stage)
        };
        ended(run())
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        put_back(context, before)
    }
}

#[derive(Debug)]
pub(super) struct SiteOff;

impl Action for SiteOff {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        look(context)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let run = || -> Result<StepOutput, Failure> {
            let lock = context.nginx_lock()?;
            let tenant = tenant(context)?;
            context.with_commands(|commands| {
                nginx::remove_site(commands, &lock, &context.config().nginx, tenant)
            })?;
            Ok(StepOutput::Nothing)
        };
        ended(run())
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        put_back(context, before)
    }
}

fn tenant(context: &Context<'_>) -> Result<TenantId, Failure> {
    context.plan.order.work.tenant().ok_or_else(|| bug("the job has no tenant"))
}

fn look(context: &Context<'_>) -> Result<Before, Failure> {
    let text = nginx::read_site(&context.config().nginx, tenant(context)?)?;
    Ok(Before::Site { text })
}

/// Whether nginx serves this very site already. It had loaded what the step's look found: whoever
/// wrote that also had it loaded, or put it back. A certificate may be newer than that.
fn is_served(context: &Context<'_>, stage: &Stage) -> Result<bool, Failure> {
    let config = context.config();
    let site = site(context, stage.clone())?;
    let Before::Site { text: Some(text) } = context.before else { return Ok(false) };
    if *text != nginx::render_site(&config.nginx, &site) || !nginx::is_placed(&config.nginx, &site)?
    {
        return Ok(false);
    }
    let expires = context.outputs.iter().find_map(|output| match output {
        StepOutput::Certificate { expires, .. } => Some(*expires),
        _ => None,
    });
    let Some(roots) = &config.roots else { return Ok(false) };
    let shown = probe::certificate_expiry(&site.domain, config.public, roots, context.now, REQUEST);
    Ok(shown.ok() == expires)
}

fn put(context: &Context<'_>, stage: Stage) -> Result<StepOutput, Failure> {
    let site = site(context, stage)?;
    let lock = context.nginx_lock()?;
    context.with_commands(|commands| {
        nginx::ensure_site(commands, &lock, &context.config().nginx, &site)
    })?;
    Ok(StepOutput::Nothing)
}

fn put_back(context: &Context<'_>, before: &Before) -> Result<(), Failure> {
    let Before::Site { text } = before else { return Err(bug("a site step has no record")) };
    let lock = context.nginx_lock()?;
    let tenant = tenant(context)?;
    context.with_commands(|commands| {
        nginx::undo_site(commands, &lock, &context.config().nginx, tenant, text.as_deref())
    })?;
    Ok(())
}

/// The tenant's site, from the blueprint's routes and the journal's ports.
pub(super) fn site(context: &Context<'_>, stage: Stage) -> Result<Site, Failure> {
    let deploy = deploy(context)?;
    let ports = context.journal.tenant_ports(deploy.tenant).map_err(journal)?;
    let routes = deploy
        .blueprint
        .freehold
        .routes
        .iter()
        .map(|route| {
            let path = route.path.clone();
            let port =
                *ports.get(&route.port).ok_or_else(|| bug("a route's port is not reserved"))?;
            Ok(Route { path, port, websocket: route.websocket })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Site {
        tenant: deploy.tenant,
        slug: deploy.slug.clone(),
        domain: deploy.domain.clone(),
        stage,
        routes,
        body_limit_mib: Site::BODY_LIMIT_MIB,
        answer_timeout_secs: Site::ANSWER_TIMEOUT_SECS,
    })
}

/// What the site does until there is a certificate. A tenant that moves to another domain goes on
/// serving its visitors under the former one.
fn before_certificate(context: &Context<'_>) -> Result<Stage, Failure> {
    let deploy = deploy(context)?;
    let former = context.plan.running_before().filter(|former| former.domain != deploy.domain);
    let Some(former) = former else { return Ok(Stage::Http) };
    let config = context.config();
    let folder = match &former.certificate {
        CertificateSource::Acme => certbot::folder(&config.certbot, former.tenant, &former.domain),
        CertificateSource::Installed { name } => config.certificates_dir.join(name.as_str()),
    };
    let files = certificate::check_folder(&folder, &former.domain, context.now)
        .and_then(|_| certificate::files_in(&folder));
    match files {
        Ok(files) => Ok(Stage::Moving(Box::new(Site {
            domain: former.domain.clone(),
            ..site(context, Stage::Https(files))?
        }))),
        Err(error) => {
            // Then visitors cannot use it now either.
            (context.say)(&format!("{} is off from now on: {error}", former.domain));
            Ok(Stage::Http)
        }
    }
}

/// The certificate that an earlier step has found or made.
fn certificate(context: &Context<'_>) -> Result<CertificateFiles, Failure> {
    let found = context.outputs.iter().find_map(|output| match output {
        StepOutput::Certificate { chain, key, .. } => Some((chain, key)),
        _ => None,
    });
    let (chain, key) = found.ok_or_else(|| bug("no certificate was found or made before"))?;
    let plain = |path: &std::path::Path| {
        path.to_string_lossy()
            .parse()
            .map_err(|error: crate::host::names::BadName| bug(&error.to_string()))
    };
    Ok(CertificateFiles { chain: plain(chain)?, key: plain(key)? })
}
