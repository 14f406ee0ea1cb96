//! Sizes on the disk.

use std::{fs, path::Path};

use freehold_tests::world::{agent_program, portal_program};

use super::{Bench, Measurement};
use crate::figure::{Figure, Unit};

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "sizes",
    title: "Sizes",
    how: "The programs as they were measured, and the packages when `script/package` has built them.",
    run,
};

fn run(_bench: &Bench) -> Vec<Figure> {
    let mut figures: Vec<Figure> =
        [portal_program(), agent_program()].iter().map(|path| size(path)).collect();
    let folder = portal_program();
    let target = folder.parent().and_then(Path::parent).expect("target/PROFILE/freehold");
    let mut packages: Vec<_> = ["package", "packages", "debian"]
        .iter()
        .filter_map(|name| fs::read_dir(target.join(name)).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .collect();
    packages.sort();
    if packages.is_empty() {
        crate::page::warn("script/package has built no packages: their sizes are left out");
    }
    figures.extend(packages.iter().map(|path| size(path)));
    figures
}

fn size(path: &Path) -> Figure {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let bytes = fs::metadata(path).expect("a file").len() as f64;
    Figure::new(name.unwrap_or_default(), Unit::Mib, vec![bytes / 1024.0 / 1024.0])
}
