//! `compose.yaml`.

use serde_json::{Map, Value, json};

use super::{Allocation, RenderError, port_of, project_name};
use crate::blueprint::limits;
use crate::blueprint::model::{
    Blueprint, Condition, HealthTest, Healthcheck, Network, Restart, Service,
};
use crate::blueprint::names::ServiceName;
use crate::blueprint::template::Template;

/// The labels that everything of a tenant carries.
pub(super) fn labels(blueprint: &Blueprint, allocation: &Allocation) -> Map<String, Value> {
    let marks = &allocation.marks;
    [
        ("io.freehold.portal", marks.portal.to_string()),
        ("io.freehold.tenant", marks.tenant.to_string()),
        ("io.freehold.tenant-slug", allocation.tenant.to_string()),
        ("io.freehold.product", blueprint.product.to_string()),
        ("io.freehold.job", marks.job.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), Value::String(value)))
    .collect()
}

pub(super) fn render_compose(
    blueprint: &Blueprint,
    allocation: &Allocation,
) -> Result<String, RenderError> {
    let labels = labels(blueprint, allocation);
    let mut services = Map::new();
    for (name, service) in &blueprint.services {
        services.insert(
            name.to_string(),
            render_service(blueprint, allocation, &labels, name, service)?,
        );
    }
    let volumes: Map<String, Value> = blueprint
        .volumes
        .keys()
        .map(|name| (name.to_string(), json!({ "labels": labels })))
        .collect();
    let file = json!({
        "name": project_name(blueprint, &allocation.tenant),
        "services": services,
        "volumes": volumes,
        "networks": {
            "front": { "driver": "bridge", "labels": labels },
            "internal": { "driver": "bridge", "internal": true, "labels": labels },
        },
    });
    // `{:#}` indents, so that a person can read the file.
    Ok(format!("{file:#}\n"))
}

fn render_service(
    blueprint: &Blueprint,
    allocation: &Allocation,
    labels: &Map<String, Value>,
    name: &ServiceName,
    service: &Service,
) -> Result<Value, RenderError> {
    let limit = &service.limits;
    let mut out = Map::new();
    let mut set = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };

    // What every container gets, whatever its author wrote.
    set("labels", Value::Object(labels.clone()));
    set("cap_drop", json!(["ALL"]));
    set("security_opt", json!(["no-new-privileges:true"]));
    set(
        "logging",
        json!({
            "driver": "local",
            "options": { "max-size": limits::LOG_MAX_SIZE, "max-file": limits::LOG_MAX_FILE },
        }),
    );
    set("mem_limit", json!(mebibytes(limit.memory_mb.unwrap_or(limits::MEMORY_DEFAULT_MB))));
    set("cpus", json!(processors(limit.cpu_millis.unwrap_or(limits::CPU_DEFAULT_MILLIS))));
    set("pids_limit", json!(limit.pids.unwrap_or(limits::PIDS_DEFAULT)));
    let networks: Vec<_> = blueprint.networks_of(name).into_iter().map(Network::as_str).collect();
    set("networks", json!(networks));
    set("restart", json!(restart(service.restart)));

    set("image", json!(service.image.as_str()));
    if let Some(argv) = &service.command {
        set("command", texts(argv));
    }
    if let Some(argv) = &service.entrypoint {
        set("entrypoint", texts(argv));
    }
    if !service.environment.is_empty() {
        let map: Map<String, Value> = service
            .environment
            .iter()
            .map(|(name, value)| (name.to_string(), Value::String(value.to_string())))
            .collect();
        set("environment", Value::Object(map));
    }
    let mut ports = Vec::new();
    for (role, spec) in blueprint.ports_of(name) {
        let port = port_of(allocation, role)?;
        ports.push(format!("127.0.0.1:{port}:{}", spec.container_port));
    }
    if !ports.is_empty() {
        set("ports", json!(ports));
    }
    if !service.expose.is_empty() {
        let expose: Vec<_> = service.expose.iter().map(u16::to_string).collect();
        set("expose", json!(expose));
    }
    let mounts = render_mounts(service);
    if !mounts.is_empty() {
        set("volumes", Value::Array(mounts));
    }
    if !service.depends_on.is_empty() {
        let map: Map<String, Value> = service
            .depends_on
            .iter()
            .map(|(name, on)| (name.to_string(), json!({ "condition": condition(*on) })))
            .collect();
        set("depends_on", Value::Object(map));
    }
    if let Some(healthcheck) = &service.healthcheck {
        set("healthcheck", render_healthcheck(healthcheck));
    }
    if let Some(user) = &service.user {
        set("user", json!(user.as_str()));
    }
    if let Some(dir) = &service.working_dir {
        set("working_dir", json!(dir.as_str()));
    }
    if let Some(hostname) = &service.hostname {
        set("hostname", json!(hostname.as_str()));
    }
    if service.read_only {
        set("read_only", json!(true));
    }
    if service.init {
        set("init", json!(true));
    }
    if let Some(secs) = service.stop_grace_secs {
        set("stop_grace_period", json!(format!("{secs}s")));
    }
    if let Some(signal) = service.stop_signal {
        set("stop_signal", json!(signal.as_str()));
    }
    if let Some(size) = service.shm_mb {
        set("shm_size", json!(mebibytes(size)));
    }
    if let Some(nofile) = limit.nofile {
        set("ulimits", json!({ "nofile": { "soft": nofile.soft, "hard": nofile.hard } }));
    }
    if !service.cap_add.is_empty() {
        let caps: Vec<_> = service.cap_add.iter().map(|cap| cap.as_str()).collect();
        set("cap_add", json!(caps));
    }
    Ok(Value::Object(out))
}

/// Volumes and memory file systems in the long form, which has no colons to count.
fn render_mounts(service: &Service) -> Vec<Value> {
    let volumes = service.mounts.iter().map(|mount| {
        json!({
            "type": "volume",
            "source": mount.volume.as_str(),
            "target": mount.target.as_str(),
            "read_only": mount.read_only,
        })
    });
    let memory = service.tmpfs.iter().map(|tmpfs| {
        let size = u64::from(tmpfs.size_mb.unwrap_or(limits::TMPFS_DEFAULT_MB)) * 1024 * 1024;
        // Mode 1777, as /tmp has everywhere: the container's user need not be root.
        json!({
            "type": "tmpfs",
            "target": tmpfs.target.as_str(),
            "tmpfs": { "size": size, "mode": 0o1777 },
        })
    });
    volumes.chain(memory).collect()
}

fn render_healthcheck(healthcheck: &Healthcheck) -> Value {
    let test = match &healthcheck.test {
        HealthTest::Exec(argv) => {
            let words = std::iter::once("CMD".to_owned()).chain(argv.iter().map(text));
            json!(words.collect::<Vec<_>>())
        }
        HealthTest::Shell(line) => json!(["CMD-SHELL", text(line)]),
    };
    let mut out = Map::from_iter([("test".to_owned(), test)]);
    let durations = [
        ("interval", healthcheck.interval_ms),
        ("timeout", healthcheck.timeout_ms),
        ("start_period", healthcheck.start_period_ms),
    ];
    for (key, value) in durations {
        if let Some(ms) = value {
            out.insert(key.to_owned(), json!(format!("{ms}ms")));
        }
    }
    if let Some(retries) = healthcheck.retries {
        out.insert("retries".to_owned(), json!(retries));
    }
    Value::Object(out)
}

/// A template in Compose's notation: dollar signs that mean themselves are doubled.
fn text(template: &Template) -> String {
    template.to_string()
}

fn texts(argv: &[Template]) -> Value {
    json!(argv.iter().map(text).collect::<Vec<_>>())
}

fn mebibytes(size: u32) -> String {
    format!("{size}m")
}

/// Thousandths as a decimal number in text, so that no float is rounded on the way.
fn processors(millis: u32) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

const fn restart(restart: Restart) -> &'static str {
    match restart {
        Restart::UnlessStopped => "unless-stopped",
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::No => "no",
    }
}

const fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "service_started",
        Condition::Healthy => "service_healthy",
        Condition::Completed => "service_completed_successfully",
    }
}
