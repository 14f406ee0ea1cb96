//! A tenant's stack, through `docker compose` in the tenant's folder.

mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use freehold_protocol::ids::Port;

use super::docker::{self, Container};
use super::names::{ProjectName, ServiceName};
use super::sockets;
use crate::runner::{Argv, CommandError, Commands, Limits, Output, Program, Stdin};

pub use error::ComposeError;

/// The stack's description inside the tenant's folder.
pub const COMPOSE_FILE: &str = "compose.yaml";
/// The stack's variables inside the tenant's folder.
pub const ENV_FILE: &str = ".env";

/// How many lines of a failing container's log travel in a failure.
const LOG_LINES: u32 = 40;
/// Time for compose itself beyond what it waits for.
const SLACK: Duration = Duration::from_secs(60);
/// How long containers may take to stop; their own grace period is shorter.
const STOP: Duration = Duration::from_secs(300);

/// A project and the folder that describes it.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The project.
    pub project: ProjectName,
    /// The folder with [`COMPOSE_FILE`] and [`ENV_FILE`].
    pub directory: PathBuf,
}

impl Stack {
    /// Puts both together.
    #[must_use]
    pub fn new(project: ProjectName, directory: &Path) -> Self {
        Self { project, directory: directory.to_owned() }
    }

    /// `docker compose` for this stack, without a verb. Nothing is taken from the surroundings: an
    /// `.env` elsewhere or a second compose file would change what runs.
    fn compose(&self) -> Argv {
        Argv::new(Program::Docker)
            .words(["compose", "--ansi=never", "--progress=plain"])
            .flag("--project-name", &self.project)
            .flag_path("--project-directory", &self.directory)
            .flag_path("--file", &self.directory.join(COMPOSE_FILE))
            .flag_path("--env-file", &self.directory.join(ENV_FILE))
            .directory(&self.directory)
    }
}

/// The name that compose gives to the container of a service.
#[must_use]
pub fn container_name(project: &ProjectName, service: &ServiceName) -> String {
    format!("{project}-{service}-1")
}

/// The version of the compose plugin.
///
/// # Errors
/// When the plugin is missing.
pub fn version(commands: &Commands<'_>) -> Result<String, ComposeError> {
    let argv = Argv::new(Program::Docker).words(["compose", "version", "--short"]);
    let output = commands
        .run(&argv, Limits::QUERY)
        .map_err(|source| ComposeError::PluginMissing { source })?;
    Ok(output.stdout.head.trim().to_owned())
}

/// Lets compose read the files, which finds what our own checks could not.
///
/// # Errors
/// When it refuses them.
pub fn check(commands: &Commands<'_>, stack: &Stack) -> Result<(), ComposeError> {
    let argv = stack.compose().words(["config", "--quiet"]);
    commands.run(&argv, Limits::QUERY).map_err(|source| ComposeError::Files { source })?;
    Ok(())
}

/// Starts the stack and waits until every service runs and is healthy. `ports` are the host ports
/// that the stack publishes.
///
/// # Errors
/// When a port is taken, a service does not become healthy, or compose fails otherwise. Containers
/// may be running then: [`docker::remove_marked`] removes them.
pub fn up(
    commands: &Commands<'_>,
    stack: &Stack,
    ports: &BTreeSet<Port>,
    wait: Duration,
) -> Result<(), ComposeError> {
    let argv = stack
        .compose()
        .words(["up", "--detach", "--wait"])
        .flag("--wait-timeout", wait.as_secs().max(1))
        .words(["--pull=never", "--no-build", "--remove-orphans"]);
    match commands.run(&argv, Limits::within(wait + SLACK)) {
        Ok(_) => Ok(()),
        Err(source @ CommandError::Cancelled { .. }) => {
            Err(ComposeError::Command { doing: "start the stack", source })
        }
        Err(source) => Err(why_not_up(commands, stack, ports, source)),
    }
}

/// Finds out by looking at the world, not by reading English, why the stack is not up.
fn why_not_up(
    commands: &Commands<'_>,
    stack: &Stack,
    ports: &BTreeSet<Port>,
    source: CommandError,
) -> ComposeError {
    let containers = match docker::containers(commands, &stack.project) {
        Ok(containers) => containers,
        Err(error) => return ComposeError::Docker { source: error },
    };
    let claimed = docker::allocated_ports(commands).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot ask the engine for its ports");
        BTreeMap::new()
    });
    let listening = sockets::listening().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the table of sockets");
        BTreeSet::new()
    });
    let taken = taken_by_others(ports, &containers, &listening, &claimed);
    if !taken.is_empty() {
        return ComposeError::PortTaken { ports: taken, source };
    }
    let complaints: Vec<(&Container, String)> = containers
        .iter()
        .filter(|container| !container.one_off)
        .filter_map(|container| Some((container, container.complaint()?)))
        // Created but not started is a consequence: another service did not become healthy.
        .filter(|(container, _)| container.state != "created" || !container.error.is_empty())
        .collect();
    if complaints.is_empty() {
        return ComposeError::Command { doing: "start the stack", source };
    }
    let mut detail = String::new();
    for (container, complaint) in &complaints {
        detail.push_str(&format!("{complaint}\n"));
        if !container.health_output.trim().is_empty() {
            detail.push_str(&format!("health check: {}\n", container.health_output.trim()));
        }
        match docker::log_tail(commands, &container.id, LOG_LINES) {
            Ok(log) if log.is_empty() => {}
            Ok(log) => detail.push_str(&format!("log of {}:\n{log}\n", container.name)),
            Err(error) => detail.push_str(&format!("its log cannot be read: {error}\n")),
        }
    }
    let services = complaints.iter().map(|(container, _)| container.service.clone()).collect();
    ComposeError::Unhealthy {
        services,
        detail: crate::runner::printable(detail.as_bytes()),
        source,
    }
}

/// Of the ports that a stack wants, those that somebody else has.
fn taken_by_others(
    wanted: &BTreeSet<Port>,
    own: &[Container],
    listening: &BTreeSet<u16>,
    claimed: &BTreeMap<u16, String>,
) -> Vec<Port> {
    let names: BTreeSet<&str> = own.iter().map(|container| container.name.as_str()).collect();
    let bound: BTreeSet<u16> = own
        .iter()
        .filter(|container| container.state == "running")
        .flat_map(|container| container.ports.iter().map(|binding| binding.host_port))
        .collect();
    wanted
        .iter()
        .copied()
        .filter(|port| {
            let number = port.get();
            let by_container =
                claimed.get(&number).is_some_and(|name| !names.contains(name.as_str()));
            by_container || (listening.contains(&number) && !bound.contains(&number))
        })
        .collect()
}

/// Stops the stack's containers; they stay.
///
/// # Errors
/// When compose fails.
pub fn stop(commands: &Commands<'_>, stack: &Stack) -> Result<(), ComposeError> {
    change(commands, &stack.compose().word("stop"), "stop the stack")
}

/// Starts the stack's stopped containers again, without changing them.
///
/// # Errors
/// When compose fails.
pub fn start(commands: &Commands<'_>, stack: &Stack) -> Result<(), ComposeError> {
    change(commands, &stack.compose().word("start"), "start the stack again")
}

/// Restarts the stack's containers.
///
/// # Errors
/// When compose fails.
pub fn restart(commands: &Commands<'_>, stack: &Stack) -> Result<(), ComposeError> {
    change(commands, &stack.compose().word("restart"), "restart the stack")
}

fn change(commands: &Commands<'_>, argv: &Argv, doing: &'static str) -> Result<(), ComposeError> {
    commands
        .run(argv, Limits::within(STOP))
        .map_err(|source| ComposeError::Command { doing, source })?;
    Ok(())
}

/// Runs a command of the product in a fresh container of a service (its dependencies are running
/// already), and gives what it printed.
///
/// # Errors
/// When it does not exit with status 0 within `deadline`.
pub fn run_in_new<S: AsRef<std::ffi::OsStr>>(
    commands: &Commands<'_>,
    stack: &Stack,
    service: &ServiceName,
    words: impl IntoIterator<Item = S>,
    stdin: Stdin,
    deadline: Duration,
) -> Result<Output, ComposeError> {
    let argv = stack
        .compose()
        .words(["run", "--rm", "--no-deps", "--no-TTY"])
        .arg(service)
        .passed_on(words)
        .stdin(stdin);
    hook(commands, &argv, service, deadline)
}

/// Runs a command of the product inside the running container of a service.
///
/// # Errors
/// When it does not exit with status 0 within `deadline`.
pub fn run_in_running<S: AsRef<std::ffi::OsStr>>(
    commands: &Commands<'_>,
    stack: &Stack,
    service: &ServiceName,
    words: impl IntoIterator<Item = S>,
    stdin: Stdin,
    deadline: Duration,
) -> Result<Output, ComposeError> {
    // Not `docker compose exec`, which takes three times as long to find the same container.
    let mut argv = Argv::new(Program::Docker).words(["container", "exec"]);
    if !matches!(stdin, Stdin::Null) {
        argv = argv.word("--interactive");
    }
    let argv =
        argv.passed_on([container_name(&stack.project, service)]).passed_on(words).stdin(stdin);
    hook(commands, &argv, service, deadline)
}

fn hook(
    commands: &Commands<'_>,
    argv: &Argv,
    service: &ServiceName,
    deadline: Duration,
) -> Result<Output, ComposeError> {
    commands
        .run(argv, Limits::within(deadline))
        .map_err(|source| ComposeError::Hook { service: service.clone(), source })
}

#[cfg(test)]
mod tests;
