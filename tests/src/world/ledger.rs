//! A list of all worlds that a run of the tests has made, so that `tests/leftovers` can look afterwards
//! for what they left, and at nothing else.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::scratch::Scratch;

/// Names the file that takes a line of each world: its tag, a tab, its folder.
const FILE: &str = "FREEHOLD_TEST_WORLDS";

pub(super) fn note(tag: &str, scratch: &Scratch) {
    if let Some(file) = std::env::var_os(FILE) {
        add(Path::new(&file), tag, scratch);
    }
}

fn add(file: &Path, tag: &str, scratch: &Scratch) {
    let line = format!("{tag}\t{}\n", scratch.path().display());
    // In one piece: other tests add theirs at the same time.
    File::options()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("{FILE}={}: {error}", file.display()));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::Daemon;
    use crate::world::{Outcome, docker, run};

    fn leftovers(file: &Path) -> Outcome {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("leftovers"));
        command.arg(file).env_remove("FREEHOLD_KEEP");
        run(command, None)
    }

    #[test]
    fn what_a_world_leaves_is_named() {
        let own = Scratch::new("ledger");
        let (worlds, tag) = (own.path().join("worlds"), format!("wl{:x}", std::process::id()));
        std::fs::write(&worlds, "").unwrap();
        let outcome = leftovers(&worlds);
        assert_eq!(outcome.code, Some(1), "a run that noted no world was not looked at: {outcome}");

        let scratch = Scratch::new("left");
        let folder = scratch.path().display().to_string();
        let volume = format!("acme-{tag}_product_data");
        add(&worlds, &format!("{tag}x"), &Scratch::new("gone"));
        add(&worlds, &tag, &scratch);
        docker(["volume", "create", &volume]).ok();
        let mut command = Command::new("tail");
        command.args(["--follow", "--retry"]).arg(scratch.path().join("agent.toml"));
        let program = Daemon::start("tail", &command, &own.path().join("log"));
        let outcome = leftovers(&worlds);
        docker(["volume", "rm", &volume]).ok();
        assert_eq!(outcome.code, Some(1), "{outcome}");
        let process = format!("process {} tail", program.pid());
        for what in [&process, &format!("volume {volume}"), &format!("folder {folder}")] {
            assert!(outcome.stderr.contains(what.as_str()), "{what}: {outcome}");
        }
        assert!(outcome.stderr.contains("left 3 things"), "{outcome}");

        drop((program, scratch));
        let outcome = leftovers(&worlds);
        assert!(outcome.stdout.contains("nothing is left of 2 worlds"), "{outcome}");
    }
}
