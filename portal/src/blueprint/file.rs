//! The file as a whole.

use std::collections::BTreeMap;

use freehold_protocol::blueprint::Blueprint;
use freehold_protocol::blueprint::model::{Freehold, Service, Volume};
use freehold_protocol::blueprint::names::{ReleaseVersion, ServiceName, VolumeName};
use freehold_protocol::ids::BlueprintName;

use super::never::Scope;
use super::reader::{At, Reader};
use super::tree::{self, Mark};
use super::{FILE_LIMIT_BYTES, Problem, section, service};

/// What of the file has been read so far.
#[derive(Default)]
struct Parts {
    name: Option<(String, Mark)>,
    services: BTreeMap<ServiceName, Service>,
    volumes: BTreeMap<VolumeName, Volume>,
    section: Option<(BlueprintName, Option<ReleaseVersion>, Freehold)>,
    has_section: bool,
}

pub(super) fn read(text: &str, file: &str) -> Result<Blueprint, Vec<Problem>> {
    let mut reader = Reader::new(file);
    let start = Mark { line: 1, column: 1 };
    if text.len() > FILE_LIMIT_BYTES {
        reader.refuse(
            start,
            "",
            format!("has {} bytes", text.len()),
            format!("Shorten it to at most {FILE_LIMIT_BYTES} bytes."),
        );
        return Err(reader.into_problems());
    }
    let root = match tree::parse(text) {
        Ok(Some(root)) => root,
        Ok(None) => {
            reader.refuse(start, "", "is empty", "Write `services:` and `x-freehold:`.");
            return Err(reader.into_problems());
        }
        Err(error) => {
            reader.refuse(error.mark, "", error.what, error.remedy);
            return Err(reader.into_problems());
        }
    };
    let mut parts = Parts::default();
    reader.entries(At { path: "", node: &root }, |reader, entry, at| match entry.key.as_str() {
        "services" => reader.entries(at, |reader, entry, at| {
            let name = reader.name(entry, at);
            let service = service::read(reader, at);
            if let (Some(name), Some(service)) = (name, service) {
                parts.services.insert(name, service);
            }
        }),
        "volumes" => reader.entries(at, |reader, entry, at| {
            reader.entries(at, |reader, entry, at| reader.unknown(Scope::Volume, entry, at));
            if let Some(name) = reader.name(entry, at) {
                parts.volumes.insert(name, Volume {});
            }
        }),
        "networks" => read_networks(reader, at),
        "x-freehold" => {
            parts.has_section = true;
            parts.section = section::read(reader, at);
        }
        "name" => parts.name = reader.text(at).map(|text| (text.to_owned(), entry.node.mark)),
        // Compose ignores `version`, and keys that start with `x-` hold anchors.
        "version" => {}
        key if key.starts_with("x-") => {}
        _ => reader.unknown(Scope::File, entry, at),
    });
    if !parts.has_section {
        reader.refuse(
            root.mark,
            "x-freehold",
            "is missing",
            "Add the section; docs/blueprint.md shows the smallest one.",
        );
    }
    finish(reader, parts)
}

/// Networks of the stack may be written out, so that the file means the same to plain Compose.
fn read_networks(reader: &mut Reader, at: At<'_>) {
    reader.entries(at, |reader, entry, at| {
        let is_internal = entry.key == "internal";
        if !is_internal && entry.key != "front" {
            reader.refuse(
                entry.mark,
                at.path,
                "is not one of the tenant's two networks",
                "Use `front` (reaches the world) or `internal` (this stack only), or leave `networks` out.",
            );
        }
        let mut internal = false;
        reader.entries(at, |reader, entry, at| {
            if entry.key == "internal" {
                internal = reader.boolean(at).unwrap_or_default();
            } else {
                reader.unknown(Scope::Network, entry, at);
            }
        });
        if internal != is_internal && (is_internal || entry.key == "front") {
            reader.refuse(
                entry.mark,
                at.path,
                "says something else than Freehold makes of it",
                "Write `front: {}` and `internal: {internal: true}`.",
            );
        }
    });
}

fn finish(mut reader: Reader, parts: Parts) -> Result<Blueprint, Vec<Problem>> {
    let Some((product, version, freehold)) = parts.section else {
        if reader.is_clean() {
            reader.refuse(
                Mark { line: 1, column: 1 },
                "x-freehold",
                "is not complete",
                "Complete it.",
            );
        }
        return Err(reader.into_problems());
    };
    if let Some((name, mark)) = parts.name
        && name != product.as_str()
    {
        reader.refuse(
            mark,
            "name",
            "differs from x-freehold.product",
            "Remove it: Freehold names the project `<tenant>_<product>`.",
        );
    }
    // References are judged only in a file whose parts are all there: else a service with one bad
    // key would also be reported as missing by everything that names it.
    if !reader.is_clean() {
        return Err(reader.into_problems());
    }
    let blueprint =
        Blueprint { product, version, services: parts.services, volumes: parts.volumes, freehold };
    match blueprint.check() {
        Ok(()) => Ok(blueprint),
        Err(problems) => {
            for problem in problems {
                let mark = reader.locate(&problem.path);
                reader.refuse(mark, &problem.path, problem.what, problem.remedy);
            }
            Err(reader.into_problems())
        }
    }
}
