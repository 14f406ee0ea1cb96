//! The Docker engine: what it holds of a project, and removing what is ours.

mod disk;
mod error;
mod image;
mod network;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use freehold_protocol::ids::TenantId;
use serde_json::Value;

use super::names::{ContainerId, ProjectName, ResourceName};
use crate::runner::{Argv, CommandError, Commands, Limits, Output, Program, Word};

pub use disk::disk_used;
pub use error::DockerError;
pub use image::{Image, ImageOutcome, ensure_image, image_present, images};
pub use state::{
    Binding, Container, Info, Versions, compare, parse_containers, parse_info, parse_versions,
};

/// The label that names the tenant on everything we make.
pub const TENANT_LABEL: &str = "io.freehold.tenant";
/// Compose's own label for the project.
pub const PROJECT_LABEL: &str = "com.docker.compose.project";

/// Whether the volumes of a project stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volumes {
    /// They stay.
    Keep,
    /// They are deleted for good.
    Remove,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// Containers.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Somebody else's containers, which stay, with the networks that they were taken off.
    pub disconnected: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
}

/// Not the short `json`, which clients before 23.0 print as it is.
const JSON: &str = "{{json .}}";

/// Longest time of a restart: the longest grace period that a blueprint can give, and some.
const RESTART: Duration = Duration::from_secs(660);

fn docker() -> Argv {
    Argv::new(Program::Docker)
}

/// The versions of client and engine; an error when the engine does not answer.
///
/// # Errors
/// When docker is missing, the engine does not answer, or the answer makes no sense.
pub fn versions(commands: &Commands<'_>) -> Result<Versions, DockerError> {
    let argv = docker().word("version").flag("--format", JSON);
    let output =
        commands.run(&argv, Limits::QUERY).map_err(|source| DockerError::Unreachable { source })?;
    parse_versions(whole(&output, "docker version")?)
}

/// What the engine says of itself.
///
/// # Errors
/// As [`versions`].
pub fn info(commands: &Commands<'_>) -> Result<Info, DockerError> {
    let argv = docker().word("info").flag("--format", JSON);
    let output =
        commands.run(&argv, Limits::QUERY).map_err(|source| DockerError::Unreachable { source })?;
    parse_info(whole(&output, "docker info")?)
}

/// Whether a container of a project runs.
///
/// # Errors
/// As [`containers`].
pub fn runs(commands: &Commands<'_>, project: &ProjectName) -> Result<bool, DockerError> {
    let argv = docker()
        .words(["container", "ls", "--quiet"])
        .flag("--filter", label(PROJECT_LABEL, project));
    let output = commands
        .run(&argv, Limits::QUERY)
        .map_err(|source| DockerError::Command { doing: "list containers", source })?;
    Ok(!output.stdout.head.trim().is_empty())
}

/// A kind of thing that carries labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl Kind {
    /// The word for it, which is the engine's.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// What is in a project, or has one of these names, and does not carry the tenant's mark.
///
/// # Errors
/// As [`containers`].
pub fn strangers(
    commands: &Commands<'_>,
    project: &ProjectName,
    tenant: TenantId,
    names: &BTreeSet<(&'static str, String)>,
) -> Result<Vec<(Kind, String)>, DockerError> {
    let of =
        |kind| move |commands: &Commands<'_>| strangers_of(commands, kind, project, tenant, names);
    let (containers, (networks, volumes)) = commands
        .both(of(Kind::Container), |commands| commands.both(of(Kind::Network), of(Kind::Volume)));
    Ok([containers?, networks?, volumes?].concat())
}

fn strangers_of(
    commands: &Commands<'_>,
    kind: Kind,
    project: &ProjectName,
    tenant: TenantId,
    names: &BTreeSet<(&'static str, String)>,
) -> Result<Vec<(Kind, String)>, DockerError> {
    let named = if kind == Kind::Container { ".Names" } else { ".Name" };
    let format = format!(
        r#"{{{{{named}}}}} {{{{.Label "{PROJECT_LABEL}"}}}} {{{{.Label "{TENANT_LABEL}"}}}}"#
    );
    let mut argv = docker().words([kind.word(), "ls"]).flag("--format", format);
    if kind == Kind::Container {
        argv = argv.word("--all");
    }
    let output = commands.run(&argv, Limits::QUERY).map_err(|source| DockerError::Command {
        doing: "list containers, networks or volumes",
        source,
    })?;
    let mut found = Vec::new();
    for line in whole(&output, "docker ls")?.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let in_project = words.next() == Some(project.as_str());
        let is_ours = words.next() == Some(&*tenant.to_string());
        if (in_project || names.contains(&(kind.word(), name.clone()))) && !is_ours {
            found.push((kind, name));
        }
    }
    Ok(found)
}

/// Every container of a project, also stopped ones and those of hooks.
///
/// # Errors
/// When the engine does not answer, or answers in a form that we do not know.
pub fn containers(
    commands: &Commands<'_>,
    project: &ProjectName,
) -> Result<Vec<Container>, DockerError> {
    inspect(commands, &[label(PROJECT_LABEL, project)])
}

/// Which host ports the engine has promised to containers, running or not, with a container's name.
///
/// # Errors
/// As [`containers`].
pub fn allocated_ports(commands: &Commands<'_>) -> Result<BTreeMap<u16, String>, DockerError> {
    // Only what is needed: the containers of a full host, all of them whole, are megabytes.
    const FORMAT: &str = "{\"Name\":{{json .Name}},\"HostConfig\":{\"PortBindings\":{{json .HostConfig.PortBindings}}},\"NetworkSettings\":{\"Ports\":{{json .NetworkSettings.Ports}}}}";
    let mut ports = BTreeMap::new();
    let Some(text) = inspect_as(commands, &[], Some(FORMAT))? else { return Ok(ports) };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, bindings) = state::parse_ports(line)?;
        ports.extend(bindings.iter().map(|binding| (binding.host_port, name.clone())));
    }
    Ok(ports)
}

/// The networks of a project.
///
/// # Errors
/// As [`containers`].
pub fn networks(
    commands: &Commands<'_>,
    project: &ProjectName,
) -> Result<Vec<ResourceName>, DockerError> {
    list_named(commands, "network", &[label(PROJECT_LABEL, project)])
}

/// The volumes of a project.
///
/// # Errors
/// As [`containers`].
pub fn volumes(
    commands: &Commands<'_>,
    project: &ProjectName,
) -> Result<Vec<ResourceName>, DockerError> {
    list_named(commands, "volume", &[label(PROJECT_LABEL, project)])
}

/// Removes the containers and networks of a project that carry the tenant's mark, with the unnamed
/// volumes of those containers, and its named volumes when told so. What carries another mark, or
/// none, stays, but is taken off the networks.
///
/// # Errors
/// When something that is ours is still there afterwards.
pub fn remove_marked(
    commands: &Commands<'_>,
    project: &ProjectName,
    tenant: TenantId,
    which: Volumes,
) -> Result<Removal, DockerError> {
    let filters = [label(PROJECT_LABEL, project), label(TENANT_LABEL, tenant)];
    let mut removal = Removal::default();
    let containers = inspect(commands, &filters)?;
    let unnamed: BTreeSet<ResourceName> =
        containers.iter().flat_map(Container::unnamed_volumes).collect();
    remove_containers(commands, &containers)?;
    removal.containers = containers.into_iter().map(|container| container.name).collect();
    if !unnamed.is_empty() {
        // When Compose makes a container anew, it hands the old one's unnamed volumes on by their
        // names, and the engine then spares them as it spares named ones. `--force`: most went with
        // their containers, and that is no error.
        let argv = docker().words(["volume", "rm", "--force"]);
        attempt(commands, &unnamed.iter().fold(argv, Argv::arg), "remove unnamed volumes")?;
    }
    let networks = list_named(commands, "network", &filters)?;
    removal.disconnected = network::remove(commands, &networks)?;
    removal.networks = networks.iter().map(ToString::to_string).collect();
    if which == Volumes::Remove {
        let volumes = list_named(commands, "volume", &filters)?;
        if !volumes.is_empty() {
            let argv = volumes.iter().fold(docker().words(["volume", "rm"]), Argv::arg);
            attempt(commands, &argv, "remove volumes")?;
        }
        removal.volumes = volumes.iter().map(ToString::to_string).collect();
    }
    let mut left: Vec<String> =
        inspect(commands, &filters)?.into_iter().map(|c| format!("container {}", c.name)).collect();
    let networks = list_named(commands, "network", &filters)?;
    left.extend(networks.iter().map(|network| format!("network {network}")));
    if !unnamed.is_empty() {
        // One that somebody else uses by now is not ours to remove.
        let unused = list_named(commands, "volume", &["dangling=true".to_owned()])?;
        let still = unused.iter().filter(|volume| unnamed.contains(volume));
        left.extend(still.map(|volume| format!("volume {volume}")));
    }
    if which == Volumes::Remove {
        let volumes = list_named(commands, "volume", &filters)?;
        left.extend(volumes.iter().map(|volume| format!("volume {volume}")));
    }
    if left.is_empty() { Ok(removal) } else { Err(DockerError::Left { what: left }) }
}

/// Removes the one-time containers (`docker compose run`) of a service that carry the tenant's mark.
///
/// # Errors
/// When one of them is still there afterwards.
pub fn remove_one_offs(
    commands: &Commands<'_>,
    project: &ProjectName,
    tenant: TenantId,
    service: &str,
) -> Result<(), DockerError> {
    let filters = [
        label(PROJECT_LABEL, project),
        label(TENANT_LABEL, tenant),
        "label=com.docker.compose.oneoff=True".to_owned(),
    ];
    let found = || -> Result<Vec<Container>, DockerError> {
        let mut found = inspect(commands, &filters)?;
        found.retain(|container| container.one_off && container.service == service);
        Ok(found)
    };
    let before = found()?;
    if before.is_empty() {
        return Ok(());
    }
    for container in &before {
        tracing::warn!(container = %container.name, "removing what an earlier run left behind");
    }
    remove_containers(commands, &before)?;
    let left: Vec<String> =
        found()?.into_iter().map(|container| format!("container {}", container.name)).collect();
    if left.is_empty() { Ok(()) } else { Err(DockerError::Left { what: left }) }
}

/// Ends containers and removes them, with the volumes that have no name.
fn remove_containers(commands: &Commands<'_>, containers: &[Container]) -> Result<(), DockerError> {
    if containers.is_empty() {
        return Ok(());
    }
    let argv = docker().words(["container", "rm", "--force", "--volumes"]);
    let argv = containers.iter().fold(argv, |argv, container| argv.arg(&container.id));
    attempt(commands, &argv, "remove containers")?;
    Ok(())
}

/// Restarts the running containers of a service that carry the tenant's mark: whatever ran inside
/// them has ended then.
///
/// # Errors
/// When the engine does not do it.
pub fn restart_service(
    commands: &Commands<'_>,
    project: &ProjectName,
    tenant: TenantId,
    service: &str,
) -> Result<(), DockerError> {
    let filters = [label(PROJECT_LABEL, project), label(TENANT_LABEL, tenant)];
    let mut found = inspect(commands, &filters)?;
    found.retain(|one| !one.one_off && one.service == service && one.state == "running");
    if found.is_empty() {
        return Ok(());
    }
    let argv = docker().words(["container", "restart"]);
    let argv = found.iter().fold(argv, |argv, container| argv.arg(&container.id));
    commands
        .run(&argv, Limits::within(RESTART))
        .map_err(|source| DockerError::Command { doing: "restart a container", source })?;
    Ok(())
}

/// The last lines that a container printed, both streams.
///
/// # Errors
/// When the engine does not give them.
pub fn log_tail(
    commands: &Commands<'_>,
    container: &ContainerId,
    lines: u32,
) -> Result<String, DockerError> {
    let argv = docker().words(["container", "logs"]).flag("--tail", lines).arg(container);
    let limits = Limits { output_bytes: 64 << 10, ..Limits::QUERY };
    let output = commands
        .run(&argv, limits)
        .map_err(|source| DockerError::Command { doing: "read a container's log", source })?;
    Ok(format!("{}{}", output.stdout, output.stderr).trim().to_owned())
}

fn label(name: &str, value: impl Word) -> String {
    format!("label={name}={value}")
}

/// Runs a removal: whether it worked. That the thing went away by itself is as good; the caller looks
/// again at the end.
fn attempt(commands: &Commands<'_>, argv: &Argv, doing: &'static str) -> Result<bool, DockerError> {
    match commands.run(argv, Limits::CHANGE) {
        Ok(_) => Ok(true),
        Err(error @ CommandError::NonZero { .. }) => {
            tracing::warn!(error = %error.detail(), "cannot {doing}; looking again");
            Ok(false)
        }
        Err(source) => Err(DockerError::Command { doing, source }),
    }
}

fn list_named(
    commands: &Commands<'_>,
    kind: &'static str,
    filters: &[String],
) -> Result<Vec<ResourceName>, DockerError> {
    let mut argv = docker().words([kind, "ls"]).flag("--format", "{{.Name}}");
    for filter in filters {
        argv = argv.flag("--filter", filter);
    }
    let output = commands
        .run(&argv, Limits::QUERY)
        .map_err(|source| DockerError::Command { doing: "list networks or volumes", source })?;
    whole(&output, "docker ls")?
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.parse().map_err(|bad: super::names::BadName| DockerError::Answer {
                command: "docker ls",
                why: bad.to_string(),
            })
        })
        .collect()
}

fn inspect(commands: &Commands<'_>, filters: &[String]) -> Result<Vec<Container>, DockerError> {
    inspect_as(commands, filters, None)?.map_or(Ok(Vec::new()), |json| parse_containers(&json))
}

/// What `docker container inspect` prints of all containers that the filters let through; nothing
/// when there is none.
fn inspect_as(
    commands: &Commands<'_>,
    filters: &[String],
    format: Option<&'static str>,
) -> Result<Option<String>, DockerError> {
    /// A container can vanish between the list and the look; a new list does not have it.
    const ATTEMPTS: u32 = 3;
    let mut argv = docker().words(["container", "ls", "--all", "--quiet", "--no-trunc"]);
    for filter in filters {
        argv = argv.flag("--filter", filter);
    }
    let mut attempt = 1;
    loop {
        let output = commands
            .run(&argv, Limits::QUERY)
            .map_err(|source| DockerError::Command { doing: "list containers", source })?;
        let mut ids = BTreeSet::new();
        for line in whole(&output, "docker container ls")?.lines().filter(|line| !line.is_empty()) {
            ids.insert(line.parse::<ContainerId>().map_err(|bad| DockerError::Answer {
                command: "docker container ls",
                why: bad.to_string(),
            })?);
        }
        if ids.is_empty() {
            return Ok(None);
        }
        let mut look = docker().words(["container", "inspect"]);
        if let Some(format) = format {
            look = look.flag("--format", format);
        }
        match commands.run(&ids.iter().fold(look, Argv::arg), Limits::QUERY) {
            Ok(output) => {
                return Ok(Some(whole(&output, "docker container inspect")?.to_owned()));
            }
            Err(CommandError::NonZero { .. }) if attempt < ATTEMPTS => attempt += 1,
            Err(source) => {
                return Err(DockerError::Command { doing: "look at containers", source });
            }
        }
    }
}

fn whole<'a>(output: &'a Output, command: &'static str) -> Result<&'a str, DockerError> {
    output.stdout.whole().ok_or_else(|| DockerError::Answer {
        command,
        why: format!("it is longer than {} bytes", Limits::QUERY.output_bytes),
    })
}

fn parse_json(text: &str, command: &'static str) -> Result<Value, DockerError> {
    serde_json::from_slice(text.as_bytes())
        .map_err(|error| DockerError::Answer { command, why: error.to_string() })
}

#[cfg(test)]
mod tests;
