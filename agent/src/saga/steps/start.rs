//! `start`: the containers, healthy, and exactly as the blueprint says.

use std::collections::BTreeSet;
use std::time::Duration;

use freehold_protocol::blueprint::expectations;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Port;
use serde_json::Value;

use super::stack::{self, Applied, FILES};
use super::{bug, deploy, ended, journal, ports};
use crate::host::compose::{self, ComposeError};
use crate::host::docker::{self, Container, Volumes};
use crate::host::files::Folder;
use crate::runner::{Argv, Commands, Limits, Program};
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

/// How often other ports are chosen when somebody takes ours between the look and the start.
const PORT_ROUNDS: u32 = 10;

#[derive(Debug)]
pub(super) struct Start;

impl Action for Start {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        look_at_project(context)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(context.with_commands(|commands| start(context, commands)))
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        let Before::Project { volumes, .. } = before else {
            return Err(bug("start has no record of the project"));
        };
        context.with_commands(|commands| {
            if context.plan.running_before().is_some() {
                start_previous(context, commands)?;
            } else {
                remove_containers(context, commands)?;
            }
            remove_new_volumes(context, commands, volumes)
        })
    }

    fn deadline(&self, context: &Context<'_>) -> Duration {
        context.config().waits.start.saturating_mul(3)
    }
}

/// What of the project is there now.
pub(super) fn look_at_project(context: &Context<'_>) -> Result<Before, Failure> {
    let project = stack::project(context)?;
    context.with_commands(|commands| {
        let (ran, volumes) = commands.both(
            |commands| docker::runs(commands, &project),
            |commands| docker::volumes(commands, &project),
        );
        let volumes = volumes?;
        Ok(Before::Project {
            ran: ran?,
            volumes: volumes.iter().map(ToString::to_string).collect(),
        })
    })
}

fn start(context: &Context<'_>, commands: &Commands<'_>) -> Result<StepOutput, Failure> {
    let deploy = deploy(context)?;
    let stack = stack::stack(context)?;
    let folder = Folder::open(&stack.directory)?;
    let wait = context.config().waits.start;
    if runs_already(context, commands, &folder)? {
        (context.say)("what is wanted runs already, and is left alone");
        return Ok(StepOutput::Running { untouched: true });
    }
    let mut avoid: BTreeSet<Port> = BTreeSet::new();
    for round in 1.. {
        // Also on a second run of the step: the files follow the journal, whose ports may be newer.
        stack::write_files(context, &folder)?;
        let ports = context.journal.tenant_ports(deploy.tenant).map_err(journal)?;
        let ports: BTreeSet<Port> = ports.into_values().collect();
        match compose::up(commands, &stack, &ports, wait) {
            Ok(()) => break,
            Err(ComposeError::PortTaken { ports: taken, .. }) if round < PORT_ROUNDS => {
                (context.say)(&format!(
                    "taken by something else: {}; choosing others",
                    taken.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                ));
                avoid.extend(taken);
                ports::reserve(context, commands, &avoid)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let containers = docker::containers(commands, &stack.project)?;
    compare(context, &containers, &folder)?;
    Applied::now(&folder, &containers)?.write(&folder)?;
    Ok(StepOutput::Running { untouched: false })
}

/// Whether compose would find nothing to do: the containers are those that were made of the files as
/// they are to be, from the images as they are now, and serve.
fn runs_already(
    context: &Context<'_>,
    commands: &Commands<'_>,
    folder: &Folder,
) -> Result<bool, Failure> {
    let Some(applied) = Applied::read(folder)? else { return Ok(false) };
    stack::write_files(context, folder)?;
    let containers = docker::containers(commands, &stack::project(context)?)?;
    if applied != Applied::now(folder, &containers)? {
        return Ok(false);
    }
    let images = context.outputs.iter().find_map(|output| match output {
        StepOutput::Images { ids } => Some(ids),
        _ => None,
    });
    let is_of_image = |container: &Container| {
        images.and_then(|ids| ids.get(&container.image)).map(String::as_str)
            == container.inspect.get("Image").and_then(Value::as_str)
    };
    Ok(containers.iter().filter(|one| !one.one_off).all(|one| one.is_well() && is_of_image(one))
        && compare(context, &containers, folder).is_ok())
}

/// Compares what runs with what was asked for: an engine that ignored a limit is found here.
pub(super) fn compare(
    context: &Context<'_>,
    containers: &[Container],
    folder: &Folder,
) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    let allocation = stack::allocation(context, folder)?;
    let expected =
        expectations(&deploy.blueprint, &allocation).map_err(|error| bug(&error.to_string()))?;
    let wrong = docker::compare(containers, &expected);
    let Some(first) = wrong.first() else { return Ok(()) };
    Err(Failure::new(
        FailureClass::Host,
        format!("what runs is not what was asked for: {first}"),
        "update Docker and the compose plugin; see which versions are known to work with `freehold-agent doctor`",
    )
    .with_detail(wrong.join("\n")))
}

/// The previous files, and the stack that they describe.
fn start_previous(context: &Context<'_>, commands: &Commands<'_>) -> Result<(), Failure> {
    let stack = stack::stack(context)?;
    let folder = Folder::open(&stack.directory)?;
    // `write-stack` was done before this step, so every file of a running tenant has a copy. Its own
    // undo, which comes later, finds them restored already.
    for name in FILES {
        stack::restore(&folder, name, context.saga)?;
    }
    // The old ports are in those files; in the journal they come back with `reserve-ports`.
    compose::up(commands, &stack, &BTreeSet::new(), context.config().waits.start)?;
    Ok(())
}

/// Stops the stack in its order, and removes its containers, their unnamed volumes, and its networks.
///
/// Not `docker compose down`: it would leave unnamed volumes behind that no mark leads to any more.
pub(super) fn remove_containers(
    context: &Context<'_>,
    commands: &Commands<'_>,
) -> Result<(), Failure> {
    let stack = stack::stack(context)?;
    let tenant = context.plan.order.work.tenant().ok_or_else(|| bug("the job has no tenant"))?;
    if stack.directory.join(compose::COMPOSE_FILE).exists()
        && let Err(error) = compose::stop(commands, &stack)
    {
        // The order is kinder to the product; what counts is that the containers are gone.
        tracing::warn!(%error, "docker compose stop did not work; removing the containers as they run");
    }
    let removal = docker::remove_marked(commands, &stack.project, tenant, Volumes::Keep)?;
    for one in removal.disconnected {
        (context.say)(&format!("somebody else's container was disconnected: {one}"));
    }
    Ok(())
}

/// Removes the project's volumes that were not there before.
fn remove_new_volumes(
    context: &Context<'_>,
    commands: &Commands<'_>,
    before: &[String],
) -> Result<(), Failure> {
    let project = stack::project(context)?;
    let tenant = context.plan.order.work.tenant().ok_or_else(|| bug("the job has no tenant"))?;
    if before.is_empty() && context.plan.running_before().is_none() {
        docker::remove_marked(commands, &project, tenant, Volumes::Remove)?;
        return Ok(());
    }
    // The project is this tenant's alone: `preflight` refuses one with other marks.
    for volume in docker::volumes(commands, &project)? {
        if before.iter().any(|known| known == volume.as_str()) {
            continue;
        }
        let argv = Argv::new(Program::Docker).words(["volume", "rm"]).arg(&volume);
        commands.run(&argv, Limits::CHANGE).map_err(|error| {
            error.failure(
                FailureClass::Host,
                &format!("the volume {volume} of the undone release cannot be removed"),
                &format!("see what uses it with `docker ps --all --filter=volume={volume}`"),
            )
        })?;
    }
    Ok(())
}
