//! All that deploys may leave on a host, at one moment, to be compared with another.

use super::{World, docker};
use freehold_protocol::ids::Sha256Digest;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Everything on the host that belongs to the world's tenants: a line for each, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Expects that nothing has come, gone or changed since `before`.
    #[track_caller]
    pub fn assert_same(&self, before: &Self) {
        let mut lines = Vec::new();
        for (name, now) in &self.0 {
            match before.0.get(name) {
                None => lines.push(format!("new:     {name} {now}")),
                Some(old) if old != now => lines.push(format!("changed: {name} {old} -> {now}")),
                Some(_) => {}
            }
        }
        for (name, old) in &before.0 {
            if !self.0.contains_key(name) {
                lines.push(format!("gone:    {name} {old}"));
            }
        }
        assert!(lines.is_empty(), "the host is not as it was:\n  {}", lines.join("\n  "));
    }

    /// The same without one thing: somebody else's, which came meanwhile.
    #[track_caller]
    #[must_use]
    pub fn without(mut self, kind: &str, name: &str) -> Self {
        let key = format!("{kind} {name}");
        assert!(self.0.remove(&key).is_some(), "there is no {key}");
        self
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of one kind (`container`, `network`, `volume`, `tenant`, `site`, `certificate`, `port`).
    pub fn names(&self, kind: &str) -> Vec<&str> {
        let prefix = format!("{kind} ");
        self.0.keys().filter_map(|name| name.strip_prefix(&prefix)).collect()
    }
}

impl World {
    /// Looks at everything.
    #[track_caller]
    pub fn snapshot(&self) -> Snapshot {
        let mut all = BTreeMap::new();
        for kind in ["container", "network", "volume"] {
            for (name, state) in docker::states(kind, self.tag()) {
                all.insert(format!("{kind} {name}"), state);
            }
        }
        for (volume, container) in self.ears.unnamed_volumes(self.tag()) {
            all.insert(format!("volume {volume}"), format!("unnamed, of {container}"));
        }
        files("tenant", &self.agent_ref().tenants(), &mut all);
        files("site", &self.nginx.sites(), &mut all);
        files("challenge", &self.agent_ref().folder().join("webroot"), &mut all);
        for part in ["live", "archive", "renewal"] {
            let folder = self.agent_ref().certbot().join(part);
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name != "README" {
                    let chain = std::fs::read(entry.path().join("fullchain.pem"));
                    let state = chain.map_or_else(
                        |_| String::new(),
                        |chain| Sha256Digest::of(&chain).to_string(),
                    );
                    all.insert(format!("certificate {part}/{name}"), state);
                }
            }
        }
        let ports = self.agent_ref().cli(&["ports", "--json"]).json();
        for row in ports.as_array().expect("a list of ports") {
            all.insert(format!("port {} {}", row["port"], row["role"]), row["slug"].to_string());
        }
        Snapshot(all)
    }
}

/// Every file and folder under `folder`, with its mode and a digest of what is in it.
fn files(kind: &str, folder: &Path, all: &mut BTreeMap<String, String>) {
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(data) = std::fs::symlink_metadata(&path) else { continue };
            let name = path.strip_prefix(folder).expect("it is below").display();
            let mode = data.permissions().mode() & 0o7777;
            let content = if data.is_file() {
                Sha256Digest::of(&std::fs::read(&path).unwrap_or_default()).to_string()
            } else {
                String::new()
            };
            all.insert(format!("{kind} {name}"), format!("{mode:o} {content}"));
            if data.is_dir() {
                open.push(path);
            }
        }
    }
}
