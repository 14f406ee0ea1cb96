//! The parts of a service that have more than one notation.

use std::collections::{BTreeMap, BTreeSet};

use freehold_protocol::blueprint::model::{
    Condition, HealthTest, Healthcheck, Mount, Network, Service, Tmpfs,
};
use freehold_protocol::blueprint::names::{EnvName, ServiceName};
use freehold_protocol::blueprint::template::Template;

use super::never::Scope;
use super::reader::{At, Reader};
use super::service::argv;
use super::tree::Value;
use super::units;

const DURATION: &str = "a duration such as 10s, 1m30s or 500ms";
const FROM_SHELL: &str = "takes its value from the shell of whoever starts the stack";
const GIVE_VALUE: &str =
    "Give it a value; \"\" is an empty one, and ${NAME} one that x-freehold declares.";

/// `NAME: value` lines, or a list of `NAME=value`.
pub(super) fn environment(reader: &mut Reader, at: At<'_>) -> BTreeMap<EnvName, Template> {
    let mut map = BTreeMap::new();
    if let Value::List(_) = at.node.value {
        reader.items(at, |reader, at| {
            let Some(text) = reader.text(at) else { return };
            let Some((name, value)) = text.split_once('=') else {
                reader.refuse(at.node.mark, at.path, FROM_SHELL, GIVE_VALUE);
                return;
            };
            match (name.parse::<EnvName>(), value.parse::<Template>()) {
                (Ok(name), Ok(value)) => {
                    if map.insert(name, value).is_some() {
                        reader.refuse(
                            at.node.mark,
                            at.path,
                            "repeats a variable",
                            "Keep one of them.",
                        );
                    }
                }
                (Err(error), _) => {
                    reader.refuse(
                        at.node.mark,
                        at.path,
                        format!("is refused: {error}"),
                        "Rename it.",
                    );
                }
                (_, Err(error)) => {
                    let what = format!("is refused: {error}");
                    reader.refuse(at.node.mark, at.path, what, "Correct the value.");
                }
            }
        });
        return map;
    }
    reader.entries(at, |reader, entry, at| {
        let name = reader.name(entry, at);
        if let Value::Null = at.node.value {
            reader.refuse(entry.mark, at.path, FROM_SHELL, GIVE_VALUE);
        } else if let (Some(name), Some(value)) = (name, reader.template(at)) {
            map.insert(name, value);
        }
    });
    map
}

/// A list of services, or a map with conditions.
pub(super) fn depends_on(reader: &mut Reader, at: At<'_>) -> BTreeMap<ServiceName, Condition> {
    let mut map = BTreeMap::new();
    if let Value::List(_) = at.node.value {
        reader.items(at, |reader, at| {
            map.extend(reader.parse(at).map(|name| (name, Condition::Started)));
        });
        return map;
    }
    reader.entries(at, |reader, entry, at| {
        let mut condition = Condition::Started;
        let form = "service_started, service_healthy or service_completed_successfully";
        reader.entries(at, |reader, entry, at| match entry.key.as_str() {
            "condition" => {
                let found = reader.convert(at, form, |text| match text {
                    "service_started" => Some(Condition::Started),
                    "service_healthy" => Some(Condition::Healthy),
                    "service_completed_successfully" => Some(Condition::Completed),
                    _ => None,
                });
                condition = found.unwrap_or(condition);
            }
            _ => reader.unknown(Scope::Service, entry, at),
        });
        map.extend(reader.name(entry, at).map(|name| (name, condition)));
    });
    map
}

pub(super) fn healthcheck(reader: &mut Reader, at: At<'_>) -> Option<Healthcheck> {
    let (mut test, mut has_test) = (None, false);
    let (mut interval_ms, mut timeout_ms, mut retries, mut start_period_ms) =
        (None, None, None, None);
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "test" => {
            has_test = true;
            test = health_test(reader, at);
        }
        "interval" => interval_ms = reader.convert(at, DURATION, units::milliseconds),
        "timeout" => timeout_ms = reader.convert(at, DURATION, units::milliseconds),
        "start_period" => start_period_ms = reader.convert(at, DURATION, units::milliseconds),
        "retries" => retries = reader.number(at),
        "disable" => reader.refuse(
            entry.mark,
            at.path,
            "is not allowed: Freehold waits until services are healthy",
            "Remove it, or give the service a `test` that succeeds.",
        ),
        _ => reader.unknown(Scope::Service, entry, at),
    });
    if !has_test {
        reader.refuse(at.node.mark, at.path, "lacks `test`", "Add `test: [\"CMD\", PROGRAM, …]`.");
    }
    Some(Healthcheck { test: test?, interval_ms, timeout_ms, retries, start_period_ms })
}

/// `["CMD", …]`, `["CMD-SHELL", line]`, or a line for the container's shell.
fn health_test(reader: &mut Reader, at: At<'_>) -> Option<HealthTest> {
    if let Value::Scalar(_) = at.node.value {
        return reader.template(at).map(HealthTest::Shell);
    }
    let mut words = argv(reader, at)?.into_iter();
    let kind = words.next().map(|word| word.to_string()).unwrap_or_default();
    let mut rest: Vec<Template> = words.collect();
    match (kind.as_str(), rest.len()) {
        ("CMD", 1..) => Some(HealthTest::Exec(rest)),
        ("CMD-SHELL", 1) => rest.pop().map(HealthTest::Shell),
        _ => {
            reader.refuse(
                at.node.mark,
                at.path,
                "is not a test",
                "Start the list with \"CMD\" and a program, or write [\"CMD-SHELL\", LINE].",
            );
            None
        }
    }
}

pub(super) fn networks(reader: &mut Reader, at: At<'_>) -> BTreeSet<Network> {
    let mut networks = BTreeSet::new();
    reader.items(at, |reader, at| {
        let form =
            "`front` (reaches the world) or `internal` (this stack only), or leave `networks` out";
        networks.extend(reader.convert(at, form, |text| match text {
            "front" => Some(Network::Front),
            "internal" => Some(Network::Internal),
            _ => None,
        }));
    });
    networks
}

/// Named volumes in the short form `NAME:TARGET[:ro]` or the long one, and memory file systems.
pub(super) fn volumes(reader: &mut Reader, at: At<'_>, service: &mut Service) {
    reader.items(at, |reader, at| match &at.node.value {
        Value::Scalar(text) => service.mounts.extend(short_mount(reader, at, text)),
        _ => long_mount(reader, at, service),
    });
}

const BIND: &str =
    "is not allowed: it mounts a part of the host, such as its files or the engine's socket";
const USE_NAMED: &str =
    "Declare a named volume under `volumes` and mount that; put fixed files into the image.";

fn short_mount(reader: &mut Reader, at: At<'_>, text: &str) -> Option<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, read_only) = match parts[..] {
        [source, target] | [source, target, "rw"] => (source, target, false),
        [source, target, "ro"] => (source, target, true),
        [_] => {
            reader.refuse(
                at.node.mark,
                at.path,
                "has no name, so its data would be lost with the container",
                USE_NAMED,
            );
            return None;
        }
        _ => {
            reader.refuse(
                at.node.mark,
                at.path,
                "is not understood",
                "Write NAME:TARGET or NAME:TARGET:ro.",
            );
            return None;
        }
    };
    if source.starts_with(['/', '.', '~', '$']) || source.contains(['/', '\\']) {
        reader.refuse(at.node.mark, at.path, BIND, USE_NAMED);
        return None;
    }
    let refused = |error: freehold_protocol::ids::ParseIdError| format!("is refused: {error}");
    match (source.parse(), target.parse()) {
        (Ok(volume), Ok(target)) => Some(Mount { volume, target, read_only }),
        (Err(error), _) | (_, Err(error)) => {
            reader.refuse(at.node.mark, at.path, refused(error), "Correct the mount.");
            None
        }
    }
}

fn long_mount(reader: &mut Reader, at: At<'_>, service: &mut Service) {
    let entries = reader.map(at);
    let plain = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
    let kind = match plain("type").map(|node| &node.value) {
        Some(Value::Scalar(kind)) => kind.as_str(),
        _ => "",
    };
    match kind {
        "volume" => {
            let (mut volume, mut target, mut read_only) = (None, None, false);
            reader.entries(at, |reader, entry, at| match entry.key.as_str() {
                "type" => {}
                "source" => volume = reader.parse(at),
                "target" => target = reader.parse(at),
                "read_only" => read_only = reader.boolean(at).unwrap_or_default(),
                _ => reader.unknown(Scope::Volume, entry, at),
            });
            match (volume, target) {
                (Some(volume), Some(target)) => {
                    service.mounts.push(Mount { volume, target, read_only })
                }
                _ => reader.refuse(
                    at.node.mark,
                    at.path,
                    "lacks a good `source` or `target`",
                    "Set both.",
                ),
            }
        }
        "tmpfs" => {
            let (mut target, mut size_mb) = (None, None);
            reader.entries(at, |reader, entry, at| match entry.key.as_str() {
                "type" => {}
                "target" => target = reader.parse(at),
                "tmpfs" => reader.entries(at, |reader, entry, at| match entry.key.as_str() {
                    "size" => {
                        size_mb = reader.convert(
                            at,
                            "a whole number of MiB such as 64m",
                            units::mebibytes,
                        )
                    }
                    _ => reader.unknown(Scope::Volume, entry, at),
                }),
                _ => reader.unknown(Scope::Volume, entry, at),
            });
            match target {
                Some(target) => service.tmpfs.push(Tmpfs { target, size_mb }),
                None => reader.refuse(at.node.mark, at.path, "lacks a good `target`", "Set it."),
            }
        }
        "bind" => reader.refuse(at.node.mark, at.path, BIND, USE_NAMED),
        _ => reader.refuse(
            at.node.mark,
            at.path,
            "is of a type that is not allowed",
            "Use `type: volume` or `type: tmpfs`.",
        ),
    }
}

/// One path or a list of them, each with an optional `:size=64m`.
pub(super) fn tmpfs(reader: &mut Reader, at: At<'_>, service: &mut Service) {
    let form = "an absolute path outside /proc, /sys and /dev, optionally with a size, such as /tmp:size=64m";
    let mut one = |reader: &mut Reader, at: At<'_>| {
        service.tmpfs.extend(reader.convert(at, form, |text| {
            let (target, size) = match text.split_once(":size=") {
                Some((target, size)) => (target, Some(units::mebibytes(size)?)),
                None => (text, None),
            };
            target.parse().ok().map(|target| Tmpfs { target, size_mb: size })
        }));
    };
    if let Value::Scalar(_) = at.node.value {
        one(reader, at);
    } else {
        reader.items(at, one);
    }
}
