//! The engine's JSON as types. Only what we use is read; everything else may change.

use freehold_protocol::blueprint::render::ContainerExpectation;
use freehold_protocol::report::ContainerHealth;
use serde_json::Value;

use super::{DockerError, PROJECT_LABEL, TENANT_LABEL, parse_json};
use crate::host::names::{ContainerId, ResourceName};

/// Versions of the two sides of docker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The command line's.
    pub client: String,
    /// The engine's.
    pub engine: String,
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The engine's version.
    pub engine: String,
    /// Where it keeps images and volumes.
    pub root_dir: String,
    /// Processors that it sees.
    pub cpus: u32,
    /// Memory that it sees, in bytes.
    pub memory_bytes: u64,
    /// The version of the compose plugin, where the client tells.
    pub compose: Option<String>,
    /// Whether it can limit memory, processors and processes; without, isolation is not given.
    pub limits: bool,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The address on the host.
    pub address: String,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the container, such as `3000/tcp`.
    pub container_port: String,
}

/// One container as the engine holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Its identifier.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// The compose project, or empty.
    pub project: String,
    /// The compose service, or empty.
    pub service: String,
    /// Whether it is a hook's (`docker compose run`).
    pub one_off: bool,
    /// The tenant's identifier in our mark, or empty.
    pub tenant_mark: String,
    /// The image as it was asked for.
    pub image: String,
    /// The engine's word for the state: `created`, `running`, `restarting`, `exited`, …
    pub state: String,
    /// The engine's word for the health, or `none`.
    pub health: String,
    /// What the last health check printed.
    pub health_output: String,
    /// The exit status, when it is not running.
    pub exit_code: i64,
    /// Whether the kernel killed it for its memory.
    pub out_of_memory: bool,
    /// What the engine says about a failed start.
    pub error: String,
    /// How often the engine restarted it.
    pub restarts: u32,
    /// Its published ports: what was asked for and what is bound now.
    pub ports: Vec<Binding>,
    /// Whether it runs with all privileges of the host.
    pub privileged: bool,
    /// The whole of `docker container inspect` but the environment, for
    /// `freehold_protocol::blueprint::render::ContainerExpectation::differences`.
    pub inspect: Value,
}

impl Container {
    /// Whether it serves: running, and healthy if it has a health check.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.state == "running" && matches!(self.health.as_str(), "none" | "healthy")
    }

    /// Whether it did its work and ended, as a one-time service should.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == "exited" && self.exit_code == 0
    }

    /// One sentence about what is wrong, when something is.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let name = if self.service.is_empty() { &self.name } else { &self.service };
        if !self.error.is_empty() {
            return Some(format!("{name} could not be started: {}", self.error));
        }
        if self.out_of_memory {
            return Some(format!("{name} was killed because it needs more memory than its limit"));
        }
        match (self.state.as_str(), self.health.as_str()) {
            ("running", "unhealthy") => Some(format!("{name} runs, but its health check fails")),
            ("running", "starting") => Some(format!("{name} runs, but is not healthy yet")),
            ("running", _) => None,
            ("exited", _) if self.exit_code == 0 => None,
            ("exited", _) => Some(format!("{name} exited with status {}", self.exit_code)),
            ("restarting", _) => Some(format!(
                "{name} exits again and again, last with status {} ({} restarts)",
                self.exit_code, self.restarts
            )),
            (state, _) => Some(format!("{name} is {state}")),
        }
    }

    /// The volumes that the engine made for paths which the image declares and nothing else mounts.
    /// Nobody gave them a name, so nobody would find them again.
    pub fn unnamed_volumes(&self) -> impl Iterator<Item = ResourceName> {
        let mounts = self.inspect.get("Mounts").and_then(Value::as_array).into_iter().flatten();
        mounts
            .filter(|mount| text(mount, "/Type") == "volume")
            .map(|mount| text(mount, "/Name"))
            .filter(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .filter_map(|name| name.parse().ok())
    }

    /// As the portal is told.
    #[must_use]
    pub fn report(&self) -> ContainerHealth {
        ContainerHealth {
            service: self.service.clone(),
            name: self.name.clone(),
            image: self.image.clone(),
            state: self.state.clone(),
            health: self.health.clone(),
            restarts: self.restarts,
        }
    }
}

/// How the containers of a stack differ from what they must be, one sentence each; empty when they
/// do not. Those of hooks do not count.
#[must_use]
pub fn compare(containers: &[Container], expected: &[ContainerExpectation]) -> Vec<String> {
    let mut differences = Vec::new();
    let running = || containers.iter().filter(|container| !container.one_off);
    for expectation in expected {
        let service = expectation.service.as_str();
        let mut own = running().filter(|container| container.service == service).peekable();
        if own.peek().is_none() {
            differences.push(format!("{service} has no container"));
        }
        for container in own {
            let found = expectation.differences(&container.inspect);
            differences.extend(found.iter().map(ToString::to_string));
        }
    }
    for container in running() {
        if !expected.iter().any(|expectation| expectation.service.as_str() == container.service) {
            differences.push(format!("{} belongs to no service", container.name));
        }
    }
    differences
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn missing(command: &'static str, field: &str) -> DockerError {
    DockerError::Answer { command, why: format!("it has no {field}") }
}

/// Reads `docker version --format=json`.
///
/// # Errors
/// When it is not JSON or has no versions.
pub fn parse_versions(json: &str) -> Result<Versions, DockerError> {
    const COMMAND: &str = "docker version";
    let value = parse_json(json, COMMAND)?;
    let versions = Versions {
        client: text(&value, "/Client/Version"),
        engine: text(&value, "/Server/Version"),
    };
    if versions.engine.is_empty() {
        return Err(missing(COMMAND, "Server.Version"));
    }
    Ok(versions)
}

/// Reads `docker info --format=json`.
///
/// # Errors
/// When it is not JSON, or comes from a client that could not reach its engine.
pub fn parse_info(json: &str) -> Result<Info, DockerError> {
    const COMMAND: &str = "docker info";
    let value = parse_json(json, COMMAND)?;
    // Older clients exit with status 0 without an engine, and say so only here.
    if let Some(errors) = value.get("ServerErrors").and_then(Value::as_array)
        && !errors.is_empty()
    {
        let why = errors.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ");
        return Err(DockerError::Down { why });
    }
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    let info = Info {
        engine: text(&value, "/ServerVersion"),
        root_dir: text(&value, "/DockerRootDir"),
        cpus: value.get("NCPU").and_then(Value::as_u64).unwrap_or(0).try_into().unwrap_or(u32::MAX),
        memory_bytes: value.get("MemTotal").and_then(Value::as_u64).unwrap_or(0),
        compose: value
            .pointer("/ClientInfo/Plugins")
            .and_then(Value::as_array)
            .and_then(|plugins| plugins.iter().find(|plugin| plugin["Name"] == "compose"))
            .map(|plugin| text(plugin, "/Version"))
            .filter(|version| !version.is_empty()),
        limits: flag("MemoryLimit") && flag("CpuCfsQuota") && flag("PidsLimit"),
    };
    if info.engine.is_empty() || info.root_dir.is_empty() {
        return Err(missing(COMMAND, "ServerVersion or DockerRootDir"));
    }
    Ok(info)
}

/// Reads `docker container inspect`.
///
/// # Errors
/// When it is not a JSON list of containers.
pub fn parse_containers(json: &str) -> Result<Vec<Container>, DockerError> {
    const COMMAND: &str = "docker container inspect";
    match parse_json(json, COMMAND)? {
        Value::Array(items) => items.into_iter().map(parse_container).collect(),
        _ => Err(DockerError::Answer { command: COMMAND, why: "it is not a list".to_owned() }),
    }
}

/// Reads the name and the ports of a container, from a part of what `docker container inspect` shows.
pub(super) fn parse_ports(json: &str) -> Result<(String, Vec<Binding>), DockerError> {
    let part = parse_json(json, "docker container inspect")?;
    Ok((text(&part, "/Name").trim_start_matches('/').to_owned(), bindings(&part)))
}

fn parse_container(mut inspect: Value) -> Result<Container, DockerError> {
    const COMMAND: &str = "docker container inspect";
    // The environment holds the tenant's secrets, and a value like this ends up in some log.
    if let Some(config) = inspect.get_mut("Config").and_then(Value::as_object_mut) {
        config.remove("Env");
    }
    let id =
        text(&inspect, "/Id").parse().map_err(|_| missing(COMMAND, "Id that is a container's"))?;
    let state = text(&inspect, "/State/Status");
    if state.is_empty() {
        return Err(missing(COMMAND, "State.Status"));
    }
    let labels = inspect.pointer("/Config/Labels");
    let label = |name: &str| {
        labels.and_then(|l| l.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let health = text(&inspect, "/State/Health/Status");
    let last_check = inspect.pointer("/State/Health/Log").and_then(Value::as_array);
    Ok(Container {
        id,
        name: text(&inspect, "/Name").trim_start_matches('/').to_owned(),
        project: label(PROJECT_LABEL),
        service: label("com.docker.compose.service"),
        one_off: label("com.docker.compose.oneoff").eq_ignore_ascii_case("true"),
        tenant_mark: label(TENANT_LABEL),
        image: text(&inspect, "/Config/Image"),
        health: if health.is_empty() { "none".to_owned() } else { health },
        health_output: last_check
            .and_then(|log| log.last())
            .map(|entry| text(entry, "/Output"))
            .unwrap_or_default(),
        exit_code: inspect.pointer("/State/ExitCode").and_then(Value::as_i64).unwrap_or(0),
        out_of_memory: inspect
            .pointer("/State/OOMKilled")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        error: text(&inspect, "/State/Error"),
        restarts: inspect
            .get("RestartCount")
            .and_then(Value::as_u64)
            .unwrap_or(0)
            .try_into()
            .unwrap_or(u32::MAX),
        ports: bindings(&inspect),
        privileged: inspect
            .pointer("/HostConfig/Privileged")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        state,
        inspect,
    })
}

/// Both the ports that were asked for (a stopped container keeps its claim) and those bound now (the
/// engine chose a number when 0 was asked for).
fn bindings(inspect: &Value) -> Vec<Binding> {
    let mut found = std::collections::BTreeSet::new();
    for pointer in ["/HostConfig/PortBindings", "/NetworkSettings/Ports"] {
        let ports = inspect.pointer(pointer).and_then(Value::as_object);
        for (container_port, list) in ports.into_iter().flatten() {
            for binding in list.as_array().into_iter().flatten() {
                if let Ok(host_port @ 1..) = text(binding, "/HostPort").parse::<u16>() {
                    let address = text(binding, "/HostIp");
                    let container_port = container_port.clone();
                    found.insert(Binding { address, host_port, container_port });
                }
            }
        }
    }
    found.into_iter().collect()
}
