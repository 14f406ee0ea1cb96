//! Why keys of Compose are not allowed, and what to do instead.
//!
//! Nothing depends on this list for safety: a key that the model lacks is refused anyway. It is
//! here so that an author learns the reason.

/// A kind of map in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    File,
    Service,
    Volume,
    Network,
    Section,
}

impl Scope {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "the file",
            Self::Service => "a service",
            Self::Volume => "a volume",
            Self::Network => "a network",
            Self::Section => "x-freehold",
        }
    }
}

const HOST: &str = "it gives the container a part of the host, which other tenants share";
const REMOVE: &str = "Remove it.";

/// The reason and the remedy, where there is one of its own.
pub(super) fn explain(scope: Scope, key: &str) -> Option<(&'static str, &'static str)> {
    match scope {
        Scope::File => file(key),
        Scope::Service => service(key),
        Scope::Volume => volume(key),
        Scope::Network => network(key),
        Scope::Section => None,
    }
}

fn file(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "include" => (
            "a blueprint is one file, so that what was reviewed is what runs",
            "Copy the included services into this file.",
        ),
        "secrets" | "configs" => (
            "they can read any file of the host",
            "Declare generated secrets in x-freehold.secrets and pass values in `environment`.",
        ),
        "models" => ("it delegates to a component outside the stack", REMOVE),
        _ => return None,
    })
}

fn volume(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "driver" => {
            ("volumes live in the engine's local storage", "Remove it; `local` is the default.")
        }
        "driver_opts" => ("with it a volume can be any folder of the host in disguise", REMOVE),
        "external" => (
            "it would use a volume that is not the tenant's",
            "Remove it; Freehold makes the volume per tenant.",
        ),
        "name" => (
            "Freehold names the volume `<tenant>_<product>_<volume>`, so that tenants stay apart",
            REMOVE,
        ),
        "labels" => ("Freehold sets its own labels", REMOVE),
        _ => return None,
    })
}

fn network(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "driver" | "driver_opts" => {
            ("drivers such as host and macvlan leave the tenant's isolation", REMOVE)
        }
        "external" | "name" => ("it would join a network that is not the tenant's", REMOVE),
        "labels" => ("Freehold sets its own labels", REMOVE),
        "ipam" | "enable_ipv4" | "enable_ipv6" | "attachable" => {
            ("addresses are given by the engine, so that many tenants fit on one host", REMOVE)
        }
        _ => return None,
    })
}

fn service(key: &str) -> Option<(&'static str, &'static str)> {
    Some(match key {
        "privileged" => (
            "a privileged container is root on the host",
            "Remove it; ask for single capabilities with `cap_add`.",
        ),
        "ports" => (
            "Freehold chooses the host port of each tenant, on the loopback address",
            "Remove it and declare the port in x-freehold, for example `ports: {backend: {service: web, containerPort: 8080}}`.",
        ),
        "devices" | "device_cgroup_rules" | "gpus" | "blkio_config" => (HOST, REMOVE),
        "runtime" | "isolation" => ("the runtime is the host owner's choice", REMOVE),
        "network_mode" => (
            "it would leave the tenant's networks for the host's or another container's",
            "Remove it; services of the stack reach each other by their names.",
        ),
        "pid" | "ipc" | "uts" | "userns_mode" | "cgroup" | "cgroup_parent" => (
            "it would share a namespace or control group with the host or another container",
            REMOVE,
        ),
        "security_opt" => (
            "it can switch off the confinement of the container",
            "Remove it; Freehold sets no-new-privileges.",
        ),
        "cap_drop" => {
            ("Freehold drops all capabilities", "Remove it; add back single ones with `cap_add`.")
        }
        "sysctls" => ("it changes settings of the kernel", REMOVE),
        "group_add" => (
            "a group of the host can open files and devices of the host",
            "Remove it; set `user` as `UID:GID`.",
        ),
        "volumes_from" => {
            ("it mounts whatever another container has", "Name the volumes in `volumes`.")
        }
        "external_links" | "links" => (
            "it reaches containers outside the tenant's networks",
            "Remove it; services reach each other by their names.",
        ),
        "extra_hosts" | "dns" | "dns_search" | "dns_opt" => (
            "it can lead the tenant's traffic to the host or elsewhere",
            "Remove it; use DNS names.",
        ),
        "use_api_socket" => {
            ("it hands over the engine's socket, which is root on the host", REMOVE)
        }
        "provider" | "models" => ("it delegates to a component outside the stack", REMOVE),
        "post_start" | "pre_stop" => (
            "hooks of Compose can run privileged",
            "Remove it; use x-freehold.hooks for migrations and onboarding.",
        ),
        "build" | "develop" => (
            "hosts run finished images and build none",
            "Remove it; build and push the image, and name it in `image`.",
        ),
        "extends" => (
            "a blueprint is one file, and does not name others",
            "Use a YAML anchor and `<<: *anchor` instead.",
        ),
        "env_file" | "label_file" => (
            "it reads files of the host",
            "Write the values in `environment`, with variables declared in x-freehold.",
        ),
        "credential_spec" => ("it reads credentials of the host", REMOVE),
        "secrets" | "configs" => (
            "they can read any file of the host",
            "Declare generated secrets in x-freehold.secrets and pass values in `environment`.",
        ),
        "pull_policy" => ("Freehold pulls before it starts anything", REMOVE),
        "oom_kill_disable" | "oom_score_adj" | "mem_swappiness" => {
            ("it would let one tenant starve the host", REMOVE)
        }
        "logging" => ("Freehold forces local logs that rotate", REMOVE),
        "labels" | "annotations" => (
            "other programs on the host, such as proxies, obey labels",
            "Remove it; routes are declared in x-freehold.routes.",
        ),
        "container_name" => ("names are per tenant; a fixed one would fit one tenant only", REMOVE),
        "platform" => ("the image must fit the host", REMOVE),
        "profiles" => ("every service of a blueprint runs", "Remove it, or remove the service."),
        "scale" | "deploy" => (
            "a service has one container per tenant",
            "Remove it; set `mem_limit`, `cpus` and `pids_limit` on the service.",
        ),
        "domainname" | "mac_address" => ("it can collide with another tenant's", REMOVE),
        "mem_reservation" | "memswap_limit" | "cpu_shares" | "cpu_quota" | "cpu_period"
        | "cpuset" | "cpu_count" | "cpu_percent" | "cpu_rt_runtime" | "cpu_rt_period"
        | "storage_opt" => (
            "limits are set in one way, so that capacity can be added up",
            "Use `mem_limit` and `cpus`.",
        ),
        "tty" | "stdin_open" | "attach" => ("nobody sits at the container's terminal", REMOVE),
        _ => return None,
    })
}
