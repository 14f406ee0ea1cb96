//! Rules of the `x-freehold` section.

use std::collections::{BTreeMap, BTreeSet};

use super::Problems;
use crate::blueprint::limits;
use crate::blueprint::model::{Argument, Blueprint, Database};
use crate::blueprint::names::{RoleName, ServiceName, VarName};

/// The variables that Freehold sets for every tenant, beside `FREEHOLD_PORT_<ROLE>`.
pub(crate) const FACTS: [&str; 4] =
    ["FREEHOLD_TENANT", "FREEHOLD_TENANT_ID", "FREEHOLD_DOMAIN", "FREEHOLD_PUBLIC_URL"];

/// The role that alone may lead to the database.
const DATABASE_ROLE: &str = "database";

pub(super) fn check(problems: &mut Problems, blueprint: &Blueprint) {
    check_ports(problems, blueprint);
    check_routes(problems, blueprint);
    check_variables(problems, blueprint);
    for (name, hook) in blueprint.freehold.hooks.iter() {
        let at = |key: &str| format!("x-freehold.hooks.{name}.{key}");
        service_exists(problems, blueprint, at("service"), &hook.service);
        check_command(problems, at("command"), &hook.command);
        problems.within(at("timeoutSeconds"), hook.timeout_seconds, 1, limits::HOOK_MAX_SECS, " s");
    }
    if let Some(database) = &blueprint.freehold.database {
        check_database(problems, blueprint, database);
    }
    let health = &blueprint.freehold.health;
    role_exists(problems, blueprint, "x-freehold.health.port".into(), &health.port);
    not_database(problems, blueprint, "x-freehold.health.port".into(), &health.port);
    check_resources(problems, blueprint);
}

fn service_exists(
    problems: &mut Problems,
    blueprint: &Blueprint,
    path: String,
    name: &ServiceName,
) {
    if !blueprint.services.contains_key(name) {
        problems.add(
            path,
            format!("names the service {name}, which does not exist"),
            "Name a key of `services`.",
        );
    }
}

fn role_exists(problems: &mut Problems, blueprint: &Blueprint, path: String, role: &RoleName) {
    if !blueprint.freehold.ports.contains_key(role) {
        problems.add(
            path,
            format!("names the port {role}, which does not exist"),
            "Name a key of x-freehold.ports.",
        );
    }
}

/// A database does not speak HTTP, and must not face the world.
fn not_database(problems: &mut Problems, blueprint: &Blueprint, path: String, role: &RoleName) {
    let Some(database) = &blueprint.freehold.database else { return };
    if blueprint.freehold.ports.get(role).is_some_and(|spec| spec.service == database.service) {
        problems.add(path, "leads to the database", "Name the port of a service that speaks HTTP.");
    }
}

fn check_command(problems: &mut Problems, path: String, command: &[Argument]) {
    if command.first().is_none_or(|program| program.as_str().is_empty()) {
        problems.add(path, "names no program", "Start the list with a program in the container.");
    } else {
        problems.at_most(path, command.len(), limits::ARGUMENTS);
    }
}

fn check_ports(problems: &mut Problems, blueprint: &Blueprint) {
    let ports = &blueprint.freehold.ports;
    if ports.is_empty() {
        problems.add(
            "x-freehold.ports",
            "is empty",
            "Declare the port that the tenant's site leads to, for example `backend: {service: web, containerPort: 8080}`.",
        );
    }
    problems.at_most("x-freehold.ports", ports.len(), limits::PORTS);
    let mut behind: BTreeMap<(&ServiceName, u16), &RoleName> = BTreeMap::new();
    for (role, spec) in ports {
        let at = |key: &str| format!("x-freehold.ports.{role}.{key}");
        service_exists(problems, blueprint, at("service"), &spec.service);
        if spec.container_port == 0 {
            problems.add(at("containerPort"), "is 0", "Use 1 to 65535.");
        }
        if blueprint.range_of(role).is_none() {
            problems.add(
                format!("x-freehold.ports.{role}"),
                "has no range, and there is none for this role by default",
                "Add `range: FIRST-LAST`, for example `range: 8000-8999`.",
            );
        }
        if let Some(other) = behind.insert((&spec.service, spec.container_port), role) {
            problems.add(
                format!("x-freehold.ports.{role}"),
                format!("leads to the same container port as {other}"),
                "Keep one of the two roles.",
            );
        }
        let database = blueprint.freehold.database.as_ref();
        if database.is_some_and(|db| db.service == spec.service) && role.as_str() != DATABASE_ROLE {
            problems.add(
                format!("x-freehold.ports.{role}"),
                "gives the database a host port",
                "Remove it: the stack's services reach the database by its service name. If programs on the host need it, call the role `database`.",
            );
        }
    }
}

fn check_routes(problems: &mut Problems, blueprint: &Blueprint) {
    let routes = &blueprint.freehold.routes;
    if routes.is_empty() {
        problems.add(
            "x-freehold.routes",
            "is empty",
            "Add a route, for example `- {path: /, port: backend}`.",
        );
    }
    problems.at_most("x-freehold.routes", routes.len(), limits::ROUTES);
    let mut seen = BTreeSet::new();
    for (index, route) in routes.iter().enumerate() {
        let at = |key: &str| format!("x-freehold.routes[{index}].{key}");
        role_exists(problems, blueprint, at("port"), &route.port);
        not_database(problems, blueprint, at("port"), &route.port);
        let path = route.path.as_str().trim_end_matches('/');
        if !seen.insert(path) {
            problems.add(
                at("path"),
                format!("repeats the route {}", route.path),
                "Remove one of them.",
            );
        }
        if path.starts_with("/.well-known/acme-challenge") {
            problems.add(
                at("path"),
                "is where certificate authorities ask",
                "Choose another path: Freehold answers this one itself.",
            );
        }
    }
}

fn check_variables(problems: &mut Problems, blueprint: &Blueprint) {
    let freehold = &blueprint.freehold;
    problems.at_most(
        "x-freehold.settings",
        freehold.settings.len() + freehold.secrets.len(),
        limits::VARIABLES,
    );
    for (name, spec) in &freehold.secrets {
        let path = format!("x-freehold.secrets.{name}");
        let (low, high) = (*limits::SECRET_LENGTH.start(), *limits::SECRET_LENGTH.end());
        problems.within(
            format!("{path}.length"),
            spec.length.into(),
            low.into(),
            high.into(),
            " characters",
        );
        check_name(problems, path.clone(), name);
        if freehold.settings.contains_key(name) {
            problems.add(path, "is a setting too", "Keep it as one of the two.");
        }
    }
    for (name, spec) in &freehold.settings {
        check_name(problems, format!("x-freehold.settings.{name}"), name);
        if let Some(Err(why)) = spec.default.as_ref().map(|value| spec.kind.check_value(value)) {
            problems.add(
                format!("x-freehold.settings.{name}.default"),
                why,
                "Change the default or the kind.",
            );
        }
    }
}

fn check_name(problems: &mut Problems, path: String, name: &VarName) {
    if name.is_reserved() {
        problems.add(
            path,
            "is a name that Freehold, Compose or the system gives a meaning to",
            "Choose another name, and set the container's variable from it in `environment`.",
        );
    }
}

fn check_database(problems: &mut Problems, blueprint: &Blueprint, database: &Database) {
    service_exists(problems, blueprint, "x-freehold.database.service".into(), &database.service);
    if let Some(command) = &database.ready_command {
        check_command(problems, "x-freehold.database.readyCommand".into(), command);
    }
    let service = blueprint.services.get(&database.service);
    if service.is_some_and(|service| service.mounts.iter().all(|mount| mount.read_only)) {
        problems.add(
            format!("services.{}.volumes", database.service),
            "mounts no named volume, so the database would be lost with its container",
            "Mount a named volume where the database keeps its data.",
        );
    }
}

fn check_resources(problems: &mut Problems, blueprint: &Blueprint) {
    let resources = &blueprint.freehold.resources;
    let at = |key: &str| format!("x-freehold.resources.{key}");
    problems.within(
        at("memoryMb"),
        resources.memory_mb,
        limits::MEMORY_MIN_MB,
        limits::TENANT_MEMORY_MAX_MB,
        " MiB",
    );
    problems.within(at("cpus"), resources.cpu_millis, 10, limits::CPU_MAX_MILLIS, " thousandths");
    problems.within(at("diskGb"), resources.disk_gb, 1, limits::TENANT_DISK_MAX_GB, " GiB");
    let memory: u64 = blueprint
        .services
        .values()
        .map(|service| u64::from(service.limits.memory_mb.unwrap_or(limits::MEMORY_DEFAULT_MB)))
        .sum();
    if memory > u64::from(resources.memory_mb) {
        problems.add(
            at("memoryMb"),
            format!(
                "is {} MiB, and the services' limits together are {memory} MiB",
                resources.memory_mb
            ),
            format!(
                "Raise it, or lower `mem_limit` of the services (a service without one counts {} MiB).",
                limits::MEMORY_DEFAULT_MB
            ),
        );
    }
}
