//! Rules of one service, and the order in which services start.

use std::collections::{BTreeMap, BTreeSet};

use super::Problems;
use crate::blueprint::delivered::Delivered;
use crate::blueprint::limits::{self, PIDS_MAX};
use crate::blueprint::model::{Blueprint, HealthTest, Healthcheck, Network, Service};
use crate::blueprint::names::{ServiceName, VarName};
use crate::blueprint::template::Template;

pub(super) fn check(
    problems: &mut Problems,
    blueprint: &Blueprint,
    name: &ServiceName,
    service: &Service,
) {
    let at = |key: &str| format!("services.{name}.{key}");
    for (key, argv) in [("command", &service.command), ("entrypoint", &service.entrypoint)] {
        if let Some(argv) = argv {
            check_argv(problems, blueprint, &at(key), argv);
        }
    }
    problems.at_most(at("environment"), service.environment.len(), limits::ENVIRONMENT);
    for (variable, value) in &service.environment {
        check_variables(problems, blueprint, &at(&format!("environment.{variable}")), value);
    }
    if let Some(healthcheck) = &service.healthcheck {
        check_health(problems, blueprint, &at("healthcheck"), healthcheck);
    }
    for other in service.depends_on.keys() {
        if !blueprint.services.contains_key(other) {
            problems.add(
                at(&format!("depends_on.{other}")),
                "names a service that does not exist",
                "Name a key of `services`.",
            );
        }
    }
    check_mounts(problems, blueprint, &at, service);
    check_limits(problems, &at, service);
    problems.at_most(at("expose"), service.expose.len(), limits::EXPOSED);
    if service.expose.contains(&0) {
        problems.add(at("expose"), "holds port 0", "Use 1 to 65535.");
    }
    if let Some(secs) = service.stop_grace_secs {
        problems.within(at("stop_grace_period"), secs, 1, limits::STOP_GRACE_MAX_SECS, " s");
    }
    check_networks(problems, blueprint, name, &at);
}

fn check_argv(problems: &mut Problems, blueprint: &Blueprint, path: &str, argv: &[Template]) {
    if argv.is_empty() {
        problems.add(
            path,
            "is empty",
            "Name a program, or leave the key out to use the image's own.",
        );
    }
    problems.at_most(path, argv.len(), limits::ARGUMENTS);
    for (index, argument) in argv.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check_variables(problems, blueprint, &path, argument);
        check_no_secret(problems, blueprint, &path, argument);
    }
}

/// A process's arguments are readable to every user of the host; its environment is not.
fn check_no_secret(problems: &mut Problems, blueprint: &Blueprint, path: &str, value: &Template) {
    for name in value.variables().filter_map(Delivered::of_name) {
        problems.add(
            path,
            format!("uses {name}, which the portal delivers for the environment of services alone"),
            "Set a variable in `environment` from it; a shell in the container reads that as $$VARIABLE.",
        );
    }
    for name in value.variables().filter(|name| blueprint.freehold.secrets.contains_key(*name)) {
        problems.add(
            path,
            format!("would show the secret {name} in the list of processes"),
            format!(
                "Pass it as an environment variable; a shell in the container reads it as $${name}."
            ),
        );
    }
}

fn check_variables(problems: &mut Problems, blueprint: &Blueprint, path: &str, value: &Template) {
    for name in value.variables().filter(|name| !is_declared(blueprint, name)) {
        let remedy = if name.is_fact() {
            format!(
                "Use one of {}, {}, or FREEHOLD_PORT_ and a role of x-freehold.ports in upper case.",
                super::section::FACTS.join(", "),
                Delivered::ALL.map(Delivered::name).join(", ")
            )
        } else {
            format!(
                "Declare {name} in x-freehold.settings or x-freehold.secrets, or write $${name} for the text itself."
            )
        };
        problems.add(path, format!("uses the variable {name}, which is not declared"), remedy);
    }
}

fn is_declared(blueprint: &Blueprint, name: &VarName) -> bool {
    let freehold = &blueprint.freehold;
    freehold.secrets.contains_key(name)
        || freehold.settings.contains_key(name)
        || super::section::FACTS.contains(&name.as_str())
        || Delivered::of_name(name).is_some()
        || freehold.ports.keys().any(|role| VarName::of_port(role) == *name)
}

fn check_health(problems: &mut Problems, blueprint: &Blueprint, path: &str, health: &Healthcheck) {
    let test = format!("{path}.test");
    match &health.test {
        HealthTest::Exec(argv) => check_argv(problems, blueprint, &test, argv),
        HealthTest::Shell(line) => {
            check_variables(problems, blueprint, &test, line);
            check_no_secret(problems, blueprint, &test, line);
        }
    }
    // The engine refuses anything under a millisecond and reads 0 as its default.
    for (key, value) in [("interval", health.interval_ms), ("timeout", health.timeout_ms)] {
        if let Some(ms) = value {
            problems.within(format!("{path}.{key}"), ms, 1, limits::HEALTH_MAX_MS, " ms");
        }
    }
    if let Some(ms) = health.start_period_ms {
        problems.within(format!("{path}.start_period"), ms, 0, limits::HEALTH_MAX_MS, " ms");
    }
    if let Some(retries) = health.retries {
        problems.within(format!("{path}.retries"), retries, 1, limits::HEALTH_MAX_RETRIES, "");
    }
}

fn check_mounts(
    problems: &mut Problems,
    blueprint: &Blueprint,
    at: &impl Fn(&str) -> String,
    service: &Service,
) {
    problems.at_most(at("volumes"), service.mounts.len() + service.tmpfs.len(), limits::MOUNTS);
    for mount in service.mounts.iter().filter(|m| !blueprint.volumes.contains_key(&m.volume)) {
        problems.add(
            at("volumes"),
            format!("mounts the volume {}, which is not declared", mount.volume),
            format!("Add `{}:` to the `volumes` of the file.", mount.volume),
        );
    }
    let mut targets = BTreeSet::new();
    let mounted = service.mounts.iter().map(|m| &m.target);
    for target in mounted.chain(service.tmpfs.iter().map(|t| &t.target)) {
        if !targets.insert(target) {
            problems.add(
                at("volumes"),
                format!("mounts {target} twice"),
                "Keep one of the mounts.",
            );
        }
    }
    let memory = service.limits.memory_mb.unwrap_or(limits::MEMORY_DEFAULT_MB);
    for size in service.tmpfs.iter().filter_map(|tmpfs| tmpfs.size_mb) {
        problems.within(at("tmpfs"), size, 1, memory, " MiB");
    }
    if let Some(size) = service.shm_mb {
        problems.within(at("shm_size"), size, 1, memory, " MiB");
    }
}

fn check_limits(problems: &mut Problems, at: &impl Fn(&str) -> String, service: &Service) {
    let limit = &service.limits;
    if let Some(mb) = limit.memory_mb {
        let (low, high) = (limits::MEMORY_MIN_MB, limits::TENANT_MEMORY_MAX_MB);
        problems.within(at("mem_limit"), mb, low, high, " MiB");
    }
    if let Some(millis) = limit.cpu_millis {
        problems.within(at("cpus"), millis, 10, limits::CPU_MAX_MILLIS, " thousandths");
    }
    if let Some(pids) = limit.pids {
        problems.within(at("pids_limit"), pids, 1, PIDS_MAX, "");
    }
    if let Some(nofile) = limit.nofile {
        problems.within(at("ulimits.nofile"), nofile.hard, 64, limits::NOFILE_MAX, "");
        if nofile.soft > nofile.hard {
            problems.add(
                at("ulimits.nofile"),
                "has a soft limit above its hard limit",
                "Lower `soft` or raise `hard`.",
            );
        }
    }
}

fn check_networks(
    problems: &mut Problems,
    blueprint: &Blueprint,
    name: &ServiceName,
    at: &impl Fn(&str) -> String,
) {
    let networks = blueprint.networks_of(name);
    let has_port = blueprint.ports_of(name).next().is_some();
    let is_database = blueprint.freehold.database.as_ref().is_some_and(|db| db.service == *name);
    if networks.is_empty() {
        problems.add(at("networks"), "is empty", "Leave it out, or name `front` or `internal`.");
    } else if has_port && !networks.contains(&Network::Front) {
        problems.add(
            at("networks"),
            "lacks `front`, which a service with a port in x-freehold.ports needs",
            "Add `front`, or leave `networks` out.",
        );
    } else if is_database && !has_port && networks.contains(&Network::Front) {
        problems.add(
            at("networks"),
            "puts the database on a network that reaches the world",
            "Keep only `internal`.",
        );
    }
}

/// Refuses a circle of services that wait for each other: nothing of it would ever start.
pub(super) fn check_order(problems: &mut Problems, blueprint: &Blueprint) {
    let mut waiting: BTreeMap<&ServiceName, BTreeSet<&ServiceName>> = blueprint
        .services
        .iter()
        .map(|(name, service)| {
            let known = service.depends_on.keys().filter(|n| blueprint.services.contains_key(n));
            (name, known.collect())
        })
        .collect();
    // Takes away what can start until nothing more can; at most one round per service.
    for _ in 0..blueprint.services.len() {
        let ready: Vec<_> =
            waiting.iter().filter(|(_, on)| on.is_empty()).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            break;
        }
        for name in ready {
            waiting.remove(name);
            waiting.values_mut().for_each(|on| {
                on.remove(name);
            });
        }
    }
    for (name, on) in waiting {
        let others: Vec<_> = on.iter().map(|name| name.as_str()).collect();
        problems.add(
            format!("services.{name}.depends_on"),
            format!("waits in a circle, through {}", others.join(", ")),
            "Remove one of the dependencies.",
        );
    }
}
