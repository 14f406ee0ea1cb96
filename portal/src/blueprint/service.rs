//! One service.

use freehold_protocol::blueprint::model::{Capability, Nofile, Restart, Service, StopSignal};
use freehold_protocol::blueprint::template::Template;

use super::never::Scope;
use super::reader::{At, Reader};
use super::tree::Value;
use super::{service_parts as parts, units};

const SIZE: &str = "a whole number of MiB such as 512m or 1g";
const DURATION: &str = "a duration such as 10s, 1m30s or 500ms";

/// A service that has nothing but a place for its image.
fn blank(image: freehold_protocol::ids::ImageRef) -> Service {
    Service {
        image,
        command: None,
        entrypoint: None,
        environment: Default::default(),
        user: None,
        working_dir: None,
        healthcheck: None,
        depends_on: Default::default(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        read_only: false,
        init: false,
        stop_grace_secs: None,
        stop_signal: None,
        restart: Restart::default(),
        limits: Default::default(),
        shm_mb: None,
        cap_add: Default::default(),
        expose: Default::default(),
        hostname: None,
        networks: None,
    }
}

pub(super) fn read(reader: &mut Reader, at: At<'_>) -> Option<Service> {
    let entries = reader.map(at);
    let image = entries.iter().find(|entry| entry.key == "image");
    if image.is_none() {
        reader.refuse(
            at.node.mark,
            at.path,
            "has no image",
            "Add `image: NAME:TAG`; hosts run finished images and build none.",
        );
    }
    let image = image.and_then(|entry| {
        reader.parse(At { path: &format!("{}.image", at.path), node: &entry.node })
    });
    // Without an image the other keys are still read, so that their problems show.
    let found = image.is_some();
    let stand_in = || "none:none".parse().ok();
    let mut service = blank(image.or_else(stand_in)?);
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "image" => {}
        "command" => service.command = argv(reader, at),
        "entrypoint" => service.entrypoint = argv(reader, at),
        "environment" => service.environment = parts::environment(reader, at),
        "user" => service.user = reader.parse(at),
        "working_dir" => service.working_dir = reader.parse(at),
        "healthcheck" => service.healthcheck = parts::healthcheck(reader, at),
        "depends_on" => service.depends_on = parts::depends_on(reader, at),
        "volumes" => parts::volumes(reader, at, &mut service),
        "tmpfs" => parts::tmpfs(reader, at, &mut service),
        "read_only" => service.read_only = reader.boolean(at).unwrap_or_default(),
        "init" => service.init = reader.boolean(at).unwrap_or_default(),
        "stop_grace_period" => {
            let ms = reader.convert(at, DURATION, units::milliseconds);
            service.stop_grace_secs = ms.map(|ms| ms.div_ceil(1000));
        }
        "stop_signal" => {
            service.stop_signal = reader.convert(at, "SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH or SIGKILL", |text| {
                let known = |name: &str| name == text || name.strip_prefix("SIG") == Some(text);
                StopSignal::ALL.iter().find(|(_, name)| known(name)).map(|(signal, _)| *signal)
            });
        }
        "restart" => {
            let restart = reader.convert(at, "unless-stopped, always, on-failure or \"no\"", |text| match text {
                "unless-stopped" => Some(Restart::UnlessStopped),
                "always" => Some(Restart::Always),
                "on-failure" => Some(Restart::OnFailure),
                "no" => Some(Restart::No),
                _ => None,
            });
            service.restart = restart.unwrap_or_default();
        }
        "mem_limit" => service.limits.memory_mb = reader.convert(at, SIZE, units::mebibytes),
        "cpus" => {
            service.limits.cpu_millis =
                reader.convert(at, "a number such as 1 or 0.5", units::thousandths);
        }
        "pids_limit" => service.limits.pids = reader.number(at),
        "ulimits" => service.limits.nofile = ulimits(reader, at),
        "shm_size" => service.shm_mb = reader.convert(at, SIZE, units::mebibytes),
        "cap_add" => reader.items(at, |reader, at| {
            let form = "CHOWN, DAC_OVERRIDE, FOWNER, NET_BIND_SERVICE, SETGID or SETUID: no other capability is given to a tenant";
            service.cap_add.extend(reader.convert(at, form, |text| {
                let bare = text.strip_prefix("CAP_").unwrap_or(text);
                Capability::ALL.iter().find(|(_, name)| *name == bare).map(|(cap, _)| *cap)
            }));
        }),
        "expose" => reader.items(at, |reader, at| {
            service.expose.extend(reader.convert(at, "a port number", |text| {
                text.strip_suffix("/tcp").unwrap_or(text).parse::<u16>().ok()
            }));
        }),
        "hostname" => service.hostname = reader.parse(at),
        "networks" => service.networks = Some(parts::networks(reader, at)),
        _ => reader.unknown(Scope::Service, entry, at),
    });
    found.then_some(service)
}

/// A command as a list, or as a line that is split by the quoting rules of a shell.
pub(super) fn argv(reader: &mut Reader, at: At<'_>) -> Option<Vec<Template>> {
    if let Value::Scalar(_) = at.node.value {
        let form =
            "a list such as [\"/app/server\", \"--port\", \"8080\"], or a line with closed quotes";
        let words = reader.convert(at, form, units::words)?;
        let mut argv = Vec::new();
        for word in words {
            match word.parse() {
                Ok(template) => argv.push(template),
                Err(error) => reader.refuse(
                    at.node.mark,
                    at.path,
                    format!("is refused: {error}"),
                    "Correct the value.",
                ),
            }
        }
        return Some(argv);
    }
    let mut argv = Vec::new();
    reader.items(at, |reader, at| argv.extend(reader.template(at)));
    Some(argv)
}

fn ulimits(reader: &mut Reader, at: At<'_>) -> Option<Nofile> {
    let mut nofile = None;
    reader.entries(at, |reader, entry, at| {
        if entry.key != "nofile" {
            reader.refuse(
                entry.mark,
                at.path,
                "is not allowed: only the number of open files may be set",
                "Remove it; use `pids_limit` for processes and `mem_limit` for memory.",
            );
            return;
        }
        if let Value::Scalar(_) = at.node.value {
            nofile = reader.number(at).map(|both| Nofile { soft: both, hard: both });
            return;
        }
        let (mut soft, mut hard) = (None, None);
        reader.entries(at, |reader, entry, at| match entry.key.as_str() {
            "soft" => soft = reader.number(at),
            "hard" => hard = reader.number(at),
            _ => reader.unknown(Scope::Service, entry, at),
        });
        nofile = soft.zip(hard).map(|(soft, hard)| Nofile { soft, hard });
        if nofile.is_none() {
            reader.refuse(
                at.node.mark,
                at.path,
                "lacks `soft` or `hard`",
                "Set both, or write one number.",
            );
        }
    });
    nofile
}
