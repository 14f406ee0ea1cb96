//! The Docker engine, as a test looks at it.

use super::programs::{Outcome, run};
use crate::{process::Daemon, scratch::Scratch};
use freehold_protocol::ids::Sha256Digest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// Runs `docker`.
pub fn docker<I, A>(args: I) -> Outcome
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let mut command = Command::new("docker");
    command.args(args);
    run(command, None)
}

/// Names of all containers, networks or volumes (`what` is docker's noun) of a world's tenants.
pub(super) fn names(what: &str, tag: &str) -> Vec<String> {
    let (list, format): (&[&str], &str) = match what {
        "container" => (&["container", "ls", "--all"], "{{.Names}}"),
        "network" => (&["network", "ls"], "{{.Name}}"),
        "volume" => (&["volume", "ls"], "{{.Name}}"),
        other => panic!("{other} is not a kind of thing in the engine"),
    };
    let text = docker(list.iter().copied().chain(["--format", format])).ok();
    let mark = mark(tag);
    let mut names: Vec<_> =
        text.lines().filter(|name| name.contains(&mark)).map(str::to_owned).collect();
    names.sort();
    names
}

/// The same names, each with how the thing is: what two looks at an unchanged host agree on, and
/// what a change of release or of isolation changes.
pub(super) fn states(what: &str, tag: &str) -> BTreeMap<String, String> {
    let names = names(what, tag);
    if names.is_empty() {
        return BTreeMap::new();
    }
    let found =
        docker([what, "inspect"].into_iter().chain(names.iter().map(String::as_str))).json();
    let found = found.as_array().expect("a list of what was asked for");
    found
        .iter()
        .map(|one| {
            let name = one["Name"].as_str().expect("its name").trim_start_matches('/').to_owned();
            let state = match what {
                "container" => container(one),
                "network" => format!("internal {} {}", one["Internal"], marks(&one["Labels"])),
                _ => format!("{} {}", one["Driver"], marks(&one["Labels"])),
            };
            (name, state)
        })
        .collect()
}

fn container(one: &Value) -> String {
    let (config, host) = (&one["Config"], &one["HostConfig"]);
    let limits = ["Memory", "NanoCpus", "PidsLimit", "ReadonlyRootfs", "RestartPolicy"]
        .map(|name| format!("{name} {}", host[name]));
    let mut mounts: Vec<String> = one["Mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|mount| {
            let name = mount["Name"].as_str().or(mount["Source"].as_str()).unwrap_or_default();
            // The engine gives a volume without a name 64 random digits.
            let name = if name.len() == 64 { "unnamed" } else { name };
            format!("{name}:{}:{}", mount["Destination"], mount["RW"])
        })
        .collect();
    mounts.sort();
    let networks = one["NetworkSettings"]["Networks"].as_object();
    let networks: Vec<_> = networks.into_iter().flat_map(|all| all.keys()).collect();
    let mut env: Vec<_> =
        config["Env"].as_array().into_iter().flatten().map(Value::to_string).collect();
    env.sort();
    format!(
        "{} {}/{} command {} environment {} ports {} mounts {mounts:?} networks {networks:?} {} {}",
        one["Image"],
        one["State"]["Status"],
        one["State"]["Health"]["Status"],
        config["Cmd"],
        // There are passwords in it.
        Sha256Digest::of(env.join("\n").as_bytes()),
        host["PortBindings"],
        limits.join(" "),
        marks(&config["Labels"])
    )
}

/// The labels that are ours: whose it is, and of which job.
fn marks(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let ours: Vec<_> = labels.filter(|(name, _)| name.starts_with("io.freehold.")).collect();
    format!("{ours:?}")
}

/// Where containers find this machine: the gateway of the engine's default bridge.
pub(super) fn bridge_address() -> String {
    let format = "{{(index .IPAM.Config 0).Gateway}}";
    docker(["network", "inspect", "bridge", "--format", format]).ok().trim().to_owned()
}

/// Hears of every container that is made and of every volume that is mounted, from now on. Afterwards
/// nothing in the engine would tell whose an unnamed volume was.
#[derive(Debug)]
pub(super) struct Ears {
    daemon: Daemon,
    log: PathBuf,
}

impl Ears {
    pub(super) fn open(scratch: &Scratch) -> Self {
        let log = scratch.path().join("docker-events.log");
        let mut command = Command::new("docker");
        command.args(["events", "--format", "{{json .}}", "--filter", "type=container"]);
        command.args([
            "--filter",
            "event=create",
            "--filter",
            "type=volume",
            "--filter",
            "event=mount",
        ]);
        Self { daemon: Daemon::start("docker events", &command, &log), log }
    }

    /// Unnamed volumes that containers of a world have or had and that are still there, with the name
    /// of the container.
    pub(super) fn unnamed_volumes(&self, tag: &str) -> BTreeMap<String, String> {
        let mark = mark(tag);
        let text = std::fs::read_to_string(&self.log).expect("what docker events printed");
        let events: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let of = |event: &Value, kind: &str| event["Type"] == kind;
        let ours: BTreeMap<&str, &str> = events
            .iter()
            .filter(|event| of(event, "container"))
            .filter_map(|event| {
                let name = event["Actor"]["Attributes"]["name"].as_str()?;
                name.contains(&mark).then_some((event["Actor"]["ID"].as_str()?, name))
            })
            .collect();
        let there = docker(["volume", "ls", "--format", "{{.Name}}"]).ok();
        let there: Vec<&str> = there.lines().collect();
        let mut found = BTreeMap::new();
        for event in events.iter().filter(|event| of(event, "volume")) {
            let volume = event["Actor"]["ID"].as_str().unwrap_or_default();
            let container = event["Actor"]["Attributes"]["container"].as_str().unwrap_or_default();
            if let Some(name) = ours.get(container)
                && !volume.contains(&mark)
                && there.contains(&volume)
            {
                found.insert(volume.to_owned(), (*name).to_owned());
            }
        }
        found
    }

    /// Stops listening.
    pub(super) fn close(&mut self) {
        self.daemon.kill();
    }
}

/// What the names of all that belongs to a world contain: the end of the tenant's short name and
/// the joint to the product.
fn mark(tag: &str) -> String {
    format!("-{tag}_")
}

/// Takes away unnamed volumes that are left.
pub(super) fn remove_volumes(names: impl IntoIterator<Item = String>) {
    for name in names {
        let outcome = docker(["volume", "rm", "--force", &name]);
        if !outcome.success() {
            eprintln!("could not remove the volume {name}: {outcome}");
        }
    }
}

/// Takes away whatever a world left behind.
pub(super) fn remove_all(tag: &str) {
    for (what, remove) in [
        ("container", &["container", "rm", "--force", "--volumes"][..]),
        ("network", &["network", "rm"][..]),
        ("volume", &["volume", "rm", "--force"][..]),
    ] {
        let names = names(what, tag);
        if names.is_empty() {
            continue;
        }
        let outcome = docker(remove.iter().copied().chain(names.iter().map(String::as_str)));
        if !outcome.success() {
            eprintln!("could not remove {what}s {names:?}: {outcome}");
        }
    }
}
