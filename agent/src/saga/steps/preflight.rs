//! `preflight`: can it work at all? Changes nothing, so that what fails here costs nothing.

use std::collections::BTreeSet;

use freehold_protocol::blueprint::Blueprint;
use freehold_protocol::blueprint::model::Resources;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::job::CertificateSource;
use freehold_protocol::report::HostFacts;

use super::{decided, deploy, ended, journal, stack};
use crate::host::docker::{self, Kind};
use crate::host::facts::{self, Need};
use crate::host::names::ProjectName;
use crate::host::{certificate, compose, nginx};
use crate::runner::{Commands, Program};
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
        match context.with_commands(|commands| check(context, commands)) {
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
    let project = stack::project(context).map_err(Refusal::Decided)?;
    let names = names(&deploy.blueprint, &project);
    let (strangers, (facts, site_config)) = commands.both(
        |commands| docker::strangers(commands, &project, deploy.tenant, &names),
        |commands| {
            facts::without_certbot(commands, &config.nginx, &config.tenants_dir, context.now)
        },
    );
    if let Some(failure) = facts.problems.first() {
        return Err(Refusal::Tools(failure.clone()));
    }
    // Without a configuration there is a problem, which has been told.
    let site_config = site_config.unwrap_or_default();
    nginx::refuse_name_clash(&site_config, &config.nginx, deploy.tenant, &deploy.domain)
        .map_err(|error| Refusal::Decided(error.into()))?;
    room(context, &facts).map_err(Refusal::Decided)?;
    match &deploy.certificate {
        CertificateSource::Installed { name } => {
            certificate::installed(&config.certificates_dir, name, &deploy.domain, context.now)
                .map_err(|error| Refusal::Decided(error.into()))?;
        }
        // That it is there is enough: its version costs more than a second.
        CertificateSource::Acme if !commands.runner.has(Program::Certbot) => {
            return Err(Refusal::Tools(Failure::new(
                FailureClass::Host,
                "certbot is not installed",
                "install the package certbot, or deploy with an installed certificate",
            )));
        }
        CertificateSource::Acme => {}
    }
    project_is_ours(&project, &strangers.map_err(|error| Refusal::Tools(error.into()))?)
}

/// Whether the tenant fits, with what earlier jobs that are still open will take.
fn room(context: &Context<'_>, facts: &HostFacts) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    let wanted = deploy.blueprint.freehold.resources;
    // What the tenant has already is in the host's numbers.
    let has = context.plan.running_before().map(|before| before.blueprint.freehold.resources);
    let open = context.journal.open_plans(Some(context.saga)).map_err(journal)?;
    let others = open.iter().filter_map(|open| {
        let has = open.running_before().map(|before| before.blueprint.freehold.resources);
        Some(more(open.deploy()?.blueprint.freehold.resources, has))
    });
    let need = sum(more(wanted, has), others);
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

/// What several deploys take together: none of them may count on what another was promised.
fn sum(first: Need, others: impl Iterator<Item = Need>) -> Need {
    others.fold(first, |sum, other| Need {
        memory_mib: sum.memory_mib.saturating_add(other.memory_mib),
        cpu_millis: sum.cpu_millis.saturating_add(other.cpu_millis),
        disk_mib: sum.disk_mib.saturating_add(other.disk_mib),
    })
}

/// Refuses a project of which something is somebody else's: a container, a network, or a volume,
/// whose data compose would take over without a word.
fn project_is_ours(project: &ProjectName, strangers: &[(Kind, String)]) -> Result<(), Refusal> {
    let Some((kind, name)) = strangers.first() else { return Ok(()) };
    let all: Vec<_> =
        strangers.iter().map(|(kind, name)| format!("{} {name}", kind.word())).collect();
    let kind = kind.word();
    Err(Refusal::Decided(
        Failure::new(
            FailureClass::Request,
            format!("the project {project} belongs to something else: {kind} {name}"),
            format!(
                "look at it with `docker {kind} inspect {name}`, and remove it; or choose another short name"
            ),
        )
        .with_detail(all.join("\n")),
    ))
}

/// The names that compose will give to what the blueprint describes.
fn names(blueprint: &Blueprint, project: &ProjectName) -> BTreeSet<(&'static str, String)> {
    let containers = blueprint
        .services
        .keys()
        .map(|service| ("container", compose::container_name(project, service)));
    let networks = ["front", "internal"].map(|network| ("network", format!("{project}_{network}")));
    let volumes = blueprint.volumes.keys().map(|volume| ("volume", format!("{project}_{volume}")));
    containers.chain(networks).chain(volumes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deploys_at_the_same_time_are_counted_together() {
        let resources =
            |gb: u32| Resources { memory_mb: gb * 1024, cpu_millis: gb * 500, disk_gb: gb };
        let need = sum(
            more(resources(4), None),
            [more(resources(2), None), more(resources(8), Some(resources(5)))].into_iter(),
        );
        assert_eq!(need, Need { memory_mib: 9 * 1024, cpu_millis: 4_500, disk_mib: 9 * 1024 });
        // One that takes less than it has gives nothing to the others before it is done.
        assert_eq!(more(resources(1), Some(resources(3))).memory_mib, 0);
    }
}
