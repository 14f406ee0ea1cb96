//! What `docker inspect` must show of a tenant's containers.
//!
//! The engine is asked after `up`, because what runs is what counts: an engine that ignored a
//! limit, or a container that someone changed by hand, is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::{Allocation, RenderError, port_of, project_name};
use crate::blueprint::limits;
use crate::blueprint::model::{Blueprint, Service};
use crate::blueprint::names::{ContainerPath, ServiceName};
use crate::ids::{ImageRef, Port};

/// What one service's container must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExpectation {
    /// The service.
    pub service: ServiceName,
    /// `Config.Image`.
    pub image: ImageRef,
    /// Keys of `NetworkSettings.Networks`, exactly.
    pub networks: BTreeSet<String>,
    /// Container port → host port, exactly, each on 127.0.0.1.
    pub ports: BTreeMap<u16, Port>,
    /// `HostConfig.CapAdd` without `CAP_`, exactly.
    pub cap_add: BTreeSet<&'static str>,
    /// Where named volumes must be mounted, with the engine's name of each.
    pub volumes: BTreeMap<ContainerPath, String>,
    /// `HostConfig.Memory`.
    pub memory_bytes: u64,
    /// `HostConfig.NanoCpus`.
    pub nano_cpus: u64,
    /// `HostConfig.PidsLimit`.
    pub pids_limit: u32,
    /// `HostConfig.ReadonlyRootfs`.
    pub read_only: bool,
    /// Labels that `Config.Labels` must have among others.
    pub labels: BTreeMap<String, String>,
}

/// A container that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The service.
    pub service: ServiceName,
    /// The field of `docker inspect`.
    pub field: &'static str,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the container of {} has {} {} instead of {}",
            self.service, self.field, self.found, self.expected
        )
    }
}

/// Says what every service's container must look like.
///
/// # Errors
/// When the blueprint is not sound, or the allocation does not fit it.
pub fn expectations(
    blueprint: &Blueprint,
    allocation: &Allocation,
) -> Result<Vec<ContainerExpectation>, RenderError> {
    super::admit(blueprint, allocation)?;
    let services = blueprint.services.iter();
    services.map(|(name, service)| expect(blueprint, allocation, name, service)).collect()
}

fn expect(
    blueprint: &Blueprint,
    allocation: &Allocation,
    name: &ServiceName,
    service: &Service,
) -> Result<ContainerExpectation, RenderError> {
    let project = project_name(blueprint, &allocation.tenant);
    let mut ports = BTreeMap::new();
    for (role, spec) in blueprint.ports_of(name) {
        ports.insert(spec.container_port, port_of(allocation, role)?);
    }
    let limit = &service.limits;
    let memory_mb = limit.memory_mb.unwrap_or(limits::MEMORY_DEFAULT_MB);
    let cpu_millis = limit.cpu_millis.unwrap_or(limits::CPU_DEFAULT_MILLIS);
    let labels = super::compose::labels(blueprint, allocation);
    Ok(ContainerExpectation {
        service: name.clone(),
        image: service.image.clone(),
        networks: blueprint
            .networks_of(name)
            .into_iter()
            .map(|network| format!("{project}_{}", network.as_str()))
            .collect(),
        ports,
        cap_add: service.cap_add.iter().map(|cap| cap.as_str()).collect(),
        volumes: service
            .mounts
            .iter()
            .map(|mount| (mount.target.clone(), format!("{project}_{}", mount.volume)))
            .collect(),
        memory_bytes: u64::from(memory_mb) * 1024 * 1024,
        nano_cpus: u64::from(cpu_millis) * 1_000_000,
        pids_limit: limit.pids.unwrap_or(limits::PIDS_DEFAULT),
        read_only: service.read_only,
        labels: labels
            .into_iter()
            .map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}

/// Collects differences of one container.
struct Comparison<'a> {
    service: &'a ServiceName,
    inspect: &'a Value,
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    fn at(&self, pointer: &str) -> &Value {
        self.inspect.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn same<T: PartialEq + fmt::Debug>(&mut self, field: &'static str, expected: &T, found: &T) {
        if expected != found {
            self.differ(field, format!("{expected:?}"), format!("{found:?}"));
        }
    }

    fn differ(&mut self, field: &'static str, expected: String, found: String) {
        let service = self.service.clone();
        self.differences.push(Difference { service, field, expected, found });
    }

    /// The texts of a list; an absent list is empty.
    fn list(&self, pointer: &str) -> BTreeSet<String> {
        let items = self.at(pointer).as_array().into_iter().flatten();
        items.map(|item| item.as_str().unwrap_or("?").to_owned()).collect()
    }
}

impl ContainerExpectation {
    /// Compares with one element of what `docker inspect CONTAINER` prints.
    ///
    /// A field that is missing is a difference wherever its absence would not be the safe value.
    #[must_use]
    pub fn differences(&self, inspect: &Value) -> Vec<Difference> {
        let mut seen = Comparison { service: &self.service, inspect, differences: Vec::new() };
        let image = seen.at("/Config/Image").as_str().unwrap_or_default().to_owned();
        seen.same("Config.Image", &self.image.to_string(), &image);
        self.compare_privileges(&mut seen);
        self.compare_networks(&mut seen);
        self.compare_mounts(&mut seen);
        for (field, pointer, expected) in [
            ("HostConfig.Memory", "/HostConfig/Memory", self.memory_bytes),
            ("HostConfig.NanoCpus", "/HostConfig/NanoCpus", self.nano_cpus),
            ("HostConfig.PidsLimit", "/HostConfig/PidsLimit", self.pids_limit.into()),
        ] {
            let found = seen.at(pointer).as_u64().unwrap_or(0);
            seen.same(field, &expected, &found);
        }
        for (key, value) in &self.labels {
            let found = seen.at("/Config/Labels").get(key).and_then(Value::as_str);
            let found = found.unwrap_or_default().to_owned();
            if found != *value {
                seen.differ("Config.Labels", format!("{key}={value}"), format!("{key}={found}"));
            }
        }
        seen.differences
    }

    fn compare_privileges(&self, seen: &mut Comparison<'_>) {
        let privileged = seen.at("/HostConfig/Privileged").as_bool().unwrap_or(true);
        seen.same("HostConfig.Privileged", &false, &privileged);
        let read_only = seen.at("/HostConfig/ReadonlyRootfs").as_bool().unwrap_or(false);
        seen.same("HostConfig.ReadonlyRootfs", &self.read_only, &read_only);
        // Engines from 20.10 on print capabilities with and without their prefix.
        let bare = |caps: BTreeSet<String>| -> BTreeSet<String> {
            caps.iter().map(|cap| cap.trim_start_matches("CAP_").to_owned()).collect()
        };
        let added = bare(seen.list("/HostConfig/CapAdd"));
        let expected = self.cap_add.iter().map(|cap| (*cap).to_owned()).collect();
        seen.same("HostConfig.CapAdd", &expected, &added);
        let dropped = bare(seen.list("/HostConfig/CapDrop"));
        seen.same("HostConfig.CapDrop", &BTreeSet::from(["ALL".to_owned()]), &dropped);
        let options = seen.list("/HostConfig/SecurityOpt");
        let wanted = BTreeSet::from(["no-new-privileges:true".to_owned()]);
        seen.same("HostConfig.SecurityOpt", &wanted, &options);
        let devices = seen.at("/HostConfig/Devices").as_array().map_or(0, Vec::len);
        seen.same("the number of HostConfig.Devices", &0, &devices);
        // Empty or `private` is a namespace of the container's own; `shareable` is the engine's
        // default for IPC, which others could join only on the engine's word.
        for (field, pointer) in [
            ("HostConfig.PidMode", "/HostConfig/PidMode"),
            ("HostConfig.IpcMode", "/HostConfig/IpcMode"),
            ("HostConfig.UTSMode", "/HostConfig/UTSMode"),
            ("HostConfig.UsernsMode", "/HostConfig/UsernsMode"),
            ("HostConfig.CgroupnsMode", "/HostConfig/CgroupnsMode"),
        ] {
            let mode = seen.at(pointer).as_str().unwrap_or_default().to_owned();
            // An engine on cgroup version 1 has no private cgroup namespace and says `host`.
            let own = ["", "private", "shareable"].contains(&mode.as_str())
                || field.ends_with("CgroupnsMode");
            if !own {
                seen.differ(field, "a namespace of its own".to_owned(), mode);
            }
        }
    }

    fn compare_networks(&self, seen: &mut Comparison<'_>) {
        let mode = seen.at("/HostConfig/NetworkMode").as_str().unwrap_or_default().to_owned();
        if !self.networks.contains(&mode) {
            seen.differ("HostConfig.NetworkMode", format!("one of {:?}", self.networks), mode);
        }
        let networks: BTreeSet<String> = seen
            .at("/NetworkSettings/Networks")
            .as_object()
            .map(|networks| networks.keys().cloned().collect())
            .unwrap_or_default();
        seen.same("NetworkSettings.Networks", &self.networks, &networks);
        let expected: BTreeSet<String> = self
            .ports
            .iter()
            .map(|(container, host)| format!("127.0.0.1:{host}:{container}/tcp"))
            .collect();
        let mut found = BTreeSet::new();
        for (container, bindings) in
            seen.at("/HostConfig/PortBindings").as_object().into_iter().flatten()
        {
            for binding in bindings.as_array().into_iter().flatten() {
                let text = |key: &str| binding.get(key).and_then(Value::as_str).unwrap_or("?");
                found.insert(format!("{}:{}:{container}", text("HostIp"), text("HostPort")));
            }
        }
        seen.same("HostConfig.PortBindings", &expected, &found);
    }

    /// Named volumes stand where they must, and nothing of the host is mounted.
    ///
    /// Nor may there be an unnamed volume, which the engine makes for a path that the image declares:
    /// what a tenant writes there is in no backup, and no later container finds it.
    fn compare_mounts(&self, seen: &mut Comparison<'_>) {
        let mut volumes = BTreeMap::new();
        let mut foreign = Vec::new();
        for mount in seen.at("/Mounts").as_array().into_iter().flatten() {
            let text =
                |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            match text("Type").as_str() {
                "volume" => {
                    volumes.insert(text("Destination"), text("Name"));
                }
                "tmpfs" => {}
                kind => {
                    foreign.push(format!("{kind} {} at {}", text("Source"), text("Destination")))
                }
            }
        }
        for mount in foreign {
            seen.differ("Mounts", "no part of the host".to_owned(), mount);
        }
        for (target, name) in &self.volumes {
            let found = volumes.remove(target.as_str()).unwrap_or_default();
            if found != *name {
                seen.differ("Mounts", format!("{name} at {target}"), format!("\"{found}\""));
            }
        }
        for (target, name) in volumes {
            seen.differ(
                "Mounts",
                "the blueprint's volumes only".to_owned(),
                format!("{name} at {target}"),
            );
        }
    }
}
