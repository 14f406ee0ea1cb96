//! `preflight`: can it work at all? Changes nothing, so that what fails here costs nothing.

use freehold_protocol::blueprint::model::Resources;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::job::CertificateSource;
use freehold_protocol::report::HostFacts;

use super::{decided, deploy, ended, journal, stack};
use crate::host::facts::{self, Need};
use crate::host::{certificate, docker};
use crate::runner::Commands;
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

#[derive(Debug)]
pub(super) struct Preflight;

impl Action for Preflight {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        match context.with_commands(&[], |commands| check(context, commands)) {
            Ok(()) => RunEnd::Done(StepOutput::Nothing),
            // The engine or nginx may be restarting just now; a full disk stays full.
            Err(Refusal::Tools(failure)) => ended(Err(failure)),
            Err(Refusal::Decided(failure)) => decided(Err(failure)),
        }
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }
}

enum Refusal {
    Tools(Failure),
    Decided(Failure),
}

fn check(context: &Context<'_>, commands: &Commands<'_>) -> Result<(), Refusal> {
    let config = context.config();
    let deploy = deploy(context).map_err(Refusal::Decided)?;
    let facts = facts::collect(commands, &config.nginx, &config.tenants_dir, context.now);
    let acme = deploy.certificate == CertificateSource::Acme;
    // certbot matters only to those who use it.
    let unfit = facts.problems.iter().find(|failure| acme || !failure.what.contains("certbot"));
    if let Some(failure) = unfit {
        return Err(Refusal::Tools(failure.clone()));
    }
    room(context, &facts).map_err(Refusal::Decided)?;
    if let CertificateSource::Installed { name } = &deploy.certificate {
        certificate::installed(&config.certificates_dir, name, &deploy.domain, context.now)
            .map_err(|error| Refusal::Decided(error.into()))?;
    }
    project_is_ours(context, commands)
}

/// Whether the tenant fits, with what earlier jobs that are still open will take.
fn room(context: &Context<'_>, facts: &HostFacts) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    let wanted = deploy.blueprint.freehold.resources;
    // What the tenant has already is in the host's numbers.
    let has = context.plan.running_before().map(|before| before.blueprint.freehold.resources);
    let mut need = more(wanted, has);
    for open in context.journal.open_plans(Some(context.saga)).map_err(journal)? {
        if let Some(other) = open.deploy() {
            let has = open.running_before().map(|before| before.blueprint.freehold.resources);
            let other = more(other.blueprint.freehold.resources, has);
            need = Need {
                memory_mib: need.memory_mib.saturating_add(other.memory_mib),
                cpu_millis: need.cpu_millis.saturating_add(other.cpu_millis),
                disk_mib: need.disk_mib.saturating_add(other.disk_mib),
            };
        }
    }
    let mut thresholds = context.config().thresholds;
    // A redeploy that takes no more of something is welcome also on a full host: it may be the cure.
    if context.plan.running_before().is_some() {
        let unless = |none: bool, limit: u32| if none { u32::MAX } else { limit };
        thresholds.memory_percent = unless(need.memory_mib == 0, thresholds.memory_percent);
        thresholds.cpu_percent = unless(need.cpu_millis == 0, thresholds.cpu_percent);
        thresholds.disk_percent = unless(need.disk_mib == 0, thresholds.disk_percent);
    }
    let lacks = facts::lacks(facts, need, thresholds);
    let Some(first) = lacks.first() else { return Ok(()) };
    let all: Vec<_> = lacks.iter().map(|lack| lack.what.clone()).collect();
    Err(first.clone().with_detail(all.join("\n")))
}

fn more(wanted: Resources, has: Option<Resources>) -> Need {
    let has = has.unwrap_or(Resources { memory_mb: 0, cpu_millis: 0, disk_gb: 0 });
    Need {
        memory_mib: wanted.memory_mb.saturating_sub(has.memory_mb).into(),
        cpu_millis: wanted.cpu_millis.saturating_sub(has.cpu_millis),
        disk_mib: u64::from(wanted.disk_gb.saturating_sub(has.disk_gb)) * 1024,
    }
}

/// Refuses a project that somebody else runs under our name.
fn project_is_ours(context: &Context<'_>, commands: &Commands<'_>) -> Result<(), Refusal> {
    let deploy = deploy(context).map_err(Refusal::Decided)?;
    let project = stack::project(context).map_err(Refusal::Decided)?;
    let containers =
        docker::containers(commands, &project).map_err(|error| Refusal::Tools(error.into()))?;
    let ours = deploy.tenant.to_string();
    match containers.iter().find(|container| container.tenant_mark != ours) {
        Some(foreign) => Err(Refusal::Decided(Failure::new(
            FailureClass::Request,
            format!("the project {project} belongs to something else: container {}", foreign.name),
            format!(
                "choose another short name, or remove it with `docker compose --project-name={project} down`"
            ),
        ))),
        None => Ok(()),
    }
}
