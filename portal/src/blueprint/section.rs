//! The `x-freehold` section.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use freehold_protocol::blueprint::model::{
    Alphabet, Database, DatabaseKind, Freehold, HealthEndpoint, Hook, HookMode, Hooks, PortSpec,
    Resources, Route, SecretSpec, SettingKind, SettingSpec,
};
use freehold_protocol::blueprint::names::ReleaseVersion;
use freehold_protocol::ids::BlueprintName;

use super::never::Scope;
use super::reader::{At, Reader};
use super::units;

type Section = (BlueprintName, Option<ReleaseVersion>, Freehold);

/// Takes a value that must be there.
fn need<T>(reader: &mut Reader, at: At<'_>, key: &str, value: Option<T>) -> Option<T> {
    // A value that was refused already needs no second problem.
    let present = reader.map(at).iter().any(|entry| entry.key == key);
    if value.is_none() && !present {
        reader.refuse(at.node.mark, at.path, format!("lacks `{key}`"), format!("Add `{key}:`."));
    }
    value
}

fn named<K, V>(
    reader: &mut Reader,
    at: At<'_>,
    read: impl Fn(&mut Reader, At<'_>) -> Option<V>,
) -> BTreeMap<K, V>
where
    K: FromStr + Ord,
    K::Err: Display,
{
    let mut map = BTreeMap::new();
    reader.entries(at, |reader, entry, at| {
        let name = reader.name(entry, at);
        if let (Some(name), Some(value)) = (name, read(reader, at)) {
            map.insert(name, value);
        }
    });
    map
}

pub(super) fn read(reader: &mut Reader, at: At<'_>) -> Option<Section> {
    let (mut product, mut version, mut health, mut database) = (None, None, None, None);
    let (mut ports, mut secrets, mut settings) = Default::default();
    let mut routes = Vec::new();
    let mut hooks = Hooks::default();
    let mut resources = Resources::default();
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "product" => product = reader.parse(at),
        "version" => version = reader.parse(at),
        "ports" => ports = named(reader, at, read_port),
        "routes" => reader.items(at, |reader, at| routes.extend(read_route(reader, at))),
        "secrets" => secrets = named(reader, at, |reader, at| Some(read_secret(reader, at))),
        "settings" => settings = named(reader, at, |reader, at| Some(read_setting(reader, at))),
        "hooks" => hooks = read_hooks(reader, at),
        "database" => database = read_database(reader, at),
        "health" => health = read_health(reader, at),
        "resources" => resources = read_resources(reader, at),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    let product = need(reader, at, "product", product);
    let health = need(reader, at, "health", health);
    let freehold =
        Freehold { ports, routes, secrets, settings, hooks, database, health: health?, resources };
    Some((product?, version, freehold))
}

fn read_port(reader: &mut Reader, at: At<'_>) -> Option<PortSpec> {
    let (mut service, mut container_port, mut range) = (None, None, None);
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "service" => service = reader.parse(at),
        "containerPort" => container_port = reader.parse(at),
        "range" => range = reader.parse(at),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    let service = need(reader, at, "service", service);
    let container_port = need(reader, at, "containerPort", container_port);
    Some(PortSpec { service: service?, container_port: container_port?, range })
}

fn read_route(reader: &mut Reader, at: At<'_>) -> Option<Route> {
    let (mut path, mut port, mut websocket) = (None, None, false);
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "path" => path = reader.parse(at),
        "port" => port = reader.parse(at),
        "websocket" => websocket = reader.boolean(at).unwrap_or_default(),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    let path = need(reader, at, "path", path);
    let port = need(reader, at, "port", port);
    Some(Route { path: path?, port: port?, websocket })
}

fn read_secret(reader: &mut Reader, at: At<'_>) -> SecretSpec {
    let mut spec = SecretSpec::default();
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "length" => spec.length = reader.parse(at).unwrap_or(spec.length),
        "alphabet" => {
            let form = "alphanumeric, hex or base64url";
            let alphabet = reader.convert(at, form, |text| match text {
                "alphanumeric" => Some(Alphabet::Alphanumeric),
                "hex" => Some(Alphabet::Hex),
                "base64url" => Some(Alphabet::Base64Url),
                _ => None,
            });
            spec.alphabet = alphabet.unwrap_or_default();
        }
        _ => reader.unknown(Scope::Section, entry, at),
    });
    spec
}

fn read_setting(reader: &mut Reader, at: At<'_>) -> SettingSpec {
    let mut spec = SettingSpec { kind: SettingKind::Text, default: None, required: false };
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "kind" => {
            let kind = reader.convert(at, "text, int, bool or url", |text| match text {
                "text" => Some(SettingKind::Text),
                "int" => Some(SettingKind::Int),
                "bool" => Some(SettingKind::Bool),
                "url" => Some(SettingKind::Url),
                _ => None,
            });
            spec.kind = kind.unwrap_or_default();
        }
        "default" => spec.default = reader.text(at).map(str::to_owned),
        "required" => spec.required = reader.boolean(at).unwrap_or_default(),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    spec
}

fn read_hooks(reader: &mut Reader, at: At<'_>) -> Hooks {
    let mut hooks = Hooks::default();
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "migrate" => hooks.migrate = read_hook(reader, at),
        "onboard" => hooks.onboard = read_hook(reader, at),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    hooks
}

fn read_hook(reader: &mut Reader, at: At<'_>) -> Option<Hook> {
    let (mut service, mut command, mut mode, mut timeout) = (None, Vec::new(), None, None);
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "service" => service = reader.parse(at),
        "command" => reader.items(at, |reader, at| command.extend(reader.parse(at))),
        "mode" => {
            mode = reader.convert(at, "run or exec", |text| match text {
                "run" => Some(HookMode::Run),
                "exec" => Some(HookMode::Exec),
                _ => None,
            });
        }
        "timeoutSeconds" => timeout = reader.number(at),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    let service = need(reader, at, "service", service)?;
    let timeout_seconds = timeout.unwrap_or(Hook::DEFAULT_TIMEOUT_SECS);
    Some(Hook { service, command, mode: mode.unwrap_or_default(), timeout_seconds })
}

fn read_database(reader: &mut Reader, at: At<'_>) -> Option<Database> {
    let (mut service, mut kind, mut user, mut name) = (None, None, None, None);
    let mut ready_command = None;
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "service" => service = reader.parse(at),
        "kind" => {
            kind = reader.convert(at, "postgres", |text| {
                (text == "postgres").then_some(DatabaseKind::Postgres)
            });
        }
        "user" => user = reader.parse(at),
        "database" => name = reader.parse(at),
        "readyCommand" => {
            let mut command = Vec::new();
            reader.items(at, |reader, at| command.extend(reader.parse(at)));
            ready_command = Some(command);
        }
        _ => reader.unknown(Scope::Section, entry, at),
    });
    let service = need(reader, at, "service", service);
    let kind = need(reader, at, "kind", kind);
    let user = need(reader, at, "user", user);
    let database = need(reader, at, "database", name);
    Some(Database {
        service: service?,
        kind: kind?,
        user: user?,
        database: database?,
        ready_command,
    })
}

fn read_health(reader: &mut Reader, at: At<'_>) -> Option<HealthEndpoint> {
    let (mut port, mut path) = (None, None);
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "port" => port = reader.parse(at),
        "path" => path = reader.parse(at),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    let port = need(reader, at, "port", port);
    let path = need(reader, at, "path", path);
    Some(HealthEndpoint { port: port?, path: path? })
}

fn read_resources(reader: &mut Reader, at: At<'_>) -> Resources {
    let mut resources = Resources::default();
    reader.entries(at, |reader, entry, at| match entry.key.as_str() {
        "memoryMb" => resources.memory_mb = reader.number(at).unwrap_or(resources.memory_mb),
        "cpus" => {
            let cpus = reader.convert(at, "a number such as 1 or 0.5", units::thousandths);
            resources.cpu_millis = cpus.unwrap_or(resources.cpu_millis);
        }
        "diskGb" => resources.disk_gb = reader.number(at).unwrap_or(resources.disk_gb),
        _ => reader.unknown(Scope::Section, entry, at),
    });
    resources
}
