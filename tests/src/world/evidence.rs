//! What is printed beside a failed test.

use super::{World, docker};

/// Most lines of one log.
const LINES: usize = 120;

pub(super) fn print(world: &World) {
    section("portal", &world.portal.log());
    section("agent", &world.agent.log());
    section("nginx", &world.nginx.error_log());
    for name in docker::names("container", &world.tag) {
        let outcome = docker(["logs", "--tail", "20", &name]);
        section(&name, &(outcome.stdout + &outcome.stderr));
    }
}

fn section(name: &str, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let start = lines.len().saturating_sub(LINES);
    eprintln!("--- {name}: the last {} of {} lines", lines.len() - start, lines.len());
    for line in &lines[start..] {
        eprintln!("{line}");
    }
}
