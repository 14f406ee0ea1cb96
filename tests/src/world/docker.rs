//! The Docker engine, as a test looks at it.

use super::programs::{Outcome, run};
use std::ffi::OsStr;
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

/// What the names of all that belongs to a world contain: the end of the tenant's short name and
/// the joint to the product.
fn mark(tag: &str) -> String {
    format!("-{tag}_")
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
