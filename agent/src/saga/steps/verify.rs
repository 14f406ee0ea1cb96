//! `verify`: everything works as a visitor would find it, and nobody else can reach in.

use std::collections::BTreeMap;
use std::time::Duration;

use freehold_protocol::blueprint::Blueprint;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::{Domain, TenantId};
use freehold_protocol::report::{Deployed, EndpointHealth, HealthStatus, JobResult, TenantHealth};
use freehold_protocol::time::Timestamp;

use super::{bug, deploy, ended, isolation, journal, stack};
use crate::host::docker::{self, Container};
use crate::host::files::Folder;
use crate::host::probe;
use crate::journal::ports::TenantPorts;
use crate::runner::Commands;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};
use crate::saga::{Action, app_env};

/// Longest time of one request.
const REQUEST: Duration = Duration::from_secs(10);
/// A certificate that expires sooner is worth a word.
const SOON_DAYS: i64 = 14;

#[derive(Debug)]
pub(super) struct Verify;

impl Action for Verify {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(context.with_commands(|commands| verify(context, commands)))
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }
}

fn verify(context: &Context<'_>, commands: &Commands<'_>) -> Result<StepOutput, Failure> {
    let deploy = deploy(context)?;
    let ports = context.journal.tenant_ports(deploy.tenant).map_err(journal)?;
    let subject = Subject {
        tenant: deploy.tenant,
        domain: &deploy.domain,
        blueprint: &deploy.blueprint,
        ports: &ports,
    };
    let (health, containers) = until_healthy(context, commands, &subject)?;
    super::start::compare(context, &containers, &Folder::open(&context.tenant_dir())?)?;
    isolation::check(context, commands, &containers)?;
    let sealed_password = context.outputs.iter().find_map(|output| match output {
        StepOutput::Onboarded { sealed_password } => sealed_password.clone(),
        _ => None,
    });
    let mut endpoints =
        BTreeMap::from([("public".to_owned(), public_url(context, &deploy.domain))]);
    for (role, port) in &ports {
        endpoints.insert(role.to_string(), format!("http://127.0.0.1:{port}"));
    }
    Ok(StepOutput::Result(Box::new(JobResult::Deployed(Box::new(Deployed {
        project: stack::project(context)?.to_string(),
        release: deploy.release.clone(),
        domain: deploy.domain.clone(),
        endpoints,
        ports: ports.iter().map(|(role, port)| (role.to_string(), *port)).collect(),
        health,
        sealed_password,
        app_key: app_env::open(context.host, &context.plan.order)?.key_mark(context.plan.order.job),
    })))))
}

/// What is looked at.
pub(super) struct Subject<'a> {
    pub(super) tenant: TenantId,
    pub(super) domain: &'a Domain,
    pub(super) blueprint: &'a Blueprint,
    pub(super) ports: &'a TenantPorts,
}

/// Looks until all is well. nginx takes a moment to follow a reload, and apps to warm up.
fn until_healthy(
    context: &Context<'_>,
    commands: &Commands<'_>,
    subject: &Subject<'_>,
) -> Result<(TenantHealth, Vec<Container>), Failure> {
    let mut looks = context.looks(context.config().waits.answer);
    let last = loop {
        let (health, containers) = look_closely(context, commands, subject)?;
        if health.status == HealthStatus::Healthy {
            return Ok((health, containers));
        }
        (context.progress)(health.problems.first().map_or("not healthy yet", String::as_str));
        if !looks.again(context) {
            break health.problems;
        }
    };
    Err(Failure::new(
        FailureClass::App,
        format!(
            "{} is not healthy: {}",
            subject.domain,
            last.first().map_or("no reason is known", String::as_str)
        ),
        "read the containers' logs with `docker compose logs` in the tenant's folder, mend the release, and deploy again",
    )
    .with_detail(last.join("\n")))
}

fn public_url(context: &Context<'_>, domain: &Domain) -> String {
    match context.config().nginx.https_port {
        443 => format!("https://{domain}/"),
        port => format!("https://{domain}:{port}/"),
    }
}

/// Looks at a tenant from all sides, once.
pub(super) fn look(
    context: &Context<'_>,
    commands: &Commands<'_>,
    subject: &Subject<'_>,
) -> Result<TenantHealth, Failure> {
    look_closely(context, commands, subject).map(|(health, _)| health)
}

/// As [`look`], with the containers.
fn look_closely(
    context: &Context<'_>,
    commands: &Commands<'_>,
    subject: &Subject<'_>,
) -> Result<(TenantHealth, Vec<Container>), Failure> {
    let project = stack::project(context)?;
    let containers = docker::containers(commands, &project)?;
    let lasting: Vec<_> = containers.iter().filter(|container| !container.one_off).collect();
    let mut problems: Vec<String> =
        lasting.iter().filter_map(|container| container.complaint()).collect();
    for service in subject.blueprint.services.keys() {
        if !lasting.iter().any(|container| container.service == service.as_str()) {
            problems.push(format!("{service} has no container"));
        }
    }
    let serves = problems.is_empty();
    let backend = ask_backend(subject)?;
    let (public, expires) = ask_public(context, subject)?;
    let mut answers = true;
    for endpoint in [Some(&backend), public.as_ref()].into_iter().flatten() {
        if !endpoint.error.is_empty() {
            answers = false;
            problems.push(format!("{}: {}", endpoint.url, endpoint.error));
        }
    }
    let soon = context.now.plus_secs(SOON_DAYS * 86_400);
    let expiring = expires.is_some_and(|at| at < soon);
    if expiring {
        problems.push(format!(
            "the certificate of {} expires in less than {SOON_DAYS} days",
            subject.domain
        ));
    }
    let status = match (serves && answers, expiring) {
        (true, false) => HealthStatus::Healthy,
        (true, true) => HealthStatus::Degraded,
        (false, _) if lasting.is_empty() => HealthStatus::Absent,
        (false, _) => HealthStatus::Unhealthy,
    };
    let health = TenantHealth {
        tenant: subject.tenant,
        at: context.now,
        status,
        containers: lasting.iter().map(|container| container.report()).collect(),
        backend: Some(backend),
        public,
        certificate_expires: expires,
        disk: None,
        problems,
    };
    Ok((health, containers))
}

fn ask_backend(subject: &Subject<'_>) -> Result<EndpointHealth, Failure> {
    let health = &subject.blueprint.freehold.health;
    let path = &health.path;
    let Some(port) = subject.ports.get(&health.port).copied() else {
        return Ok(EndpointHealth {
            url: health.path.to_string(),
            status: None,
            millis: 0,
            error: format!("no port is reserved for {}", health.port),
        });
    };
    let url = format!("http://127.0.0.1:{port}{path}");
    Ok(probe::report(&url, &probe::loopback(port, subject.domain, path, REQUEST)))
}

/// The public address, through nginx on this host, with the certificate checked.
fn ask_public(
    context: &Context<'_>,
    subject: &Subject<'_>,
) -> Result<(Option<EndpointHealth>, Option<Timestamp>), Failure> {
    let config = context.config();
    let Some(roots) = &config.roots else { return Ok((None, None)) };
    let url = public_url(context, subject.domain);
    let path = "/".parse().map_err(|_| bug("the root is no path"))?;
    let now = context.now;
    let answer = probe::public(subject.domain, &path, config.public, roots, now, REQUEST);
    let expires = answer.as_ref().ok().and_then(|answer| answer.expires);
    Ok((Some(probe::report(&url, &answer)), expires))
}
