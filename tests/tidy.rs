//! The repository's own rules, as tests: what a reviewer would otherwise have to remember.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use freehold_protocol::failure::FailureClass;

/// Longest source file. A file with more is two files; see CONTRIBUTING.md.
const MAX_LINES: usize = 500;

/// Files that may be longer, each with the reason.
const LONG: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name = path.file_name().unwrap().to_str().unwrap();
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let files: Vec<_> = ["protocol", "portal", "agent", "tests"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    assert!(files.len() > 50, "the sources were not found");
    files
}

/// Fails with every offender at once.
fn none(offenders: Vec<String>, rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn every_module_says_what_it_is_for() {
    let offenders = sources()
        .into_iter()
        .filter(|(_, text)| !text.trim_start().starts_with("//!"))
        .map(|(name, _)| name)
        .collect();
    none(offenders, "open each file with a //! line that says what it is for");
}

#[test]
fn no_file_holds_two_subjects() {
    let offenders = sources()
        .into_iter()
        .filter(|(name, _)| !LONG.iter().any(|(long, _)| long == name))
        .filter(|(_, text)| text.lines().count() > MAX_LINES)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    none(offenders, "split files of more than 500 lines by meaning");
}

#[test]
fn the_list_of_long_files_is_true() {
    let sources = sources();
    for (long, _) in LONG {
        let text = &sources.iter().find(|(name, _)| name == long).unwrap().1;
        assert!(text.lines().count() > MAX_LINES, "{long} is short again: take it off the list");
    }
}

#[test]
fn no_trailing_white_space_and_no_tabs() {
    let mut offenders = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if line.ends_with([' ', '\t']) || line.starts_with('\t') {
                offenders.push(format!("{name}:{}", number + 1));
            }
        }
    }
    none(offenders, "remove trailing white space");
}

/// Code that is not a test: the text up to the in-file tests.
fn product_code(name: &str, text: &str) -> Option<String> {
    let is_test = name.starts_with("tests/")
        || name.contains("/tests/")
        || name.ends_with("/tests.rs")
        || name.contains("/examples/");
    (!is_test).then(|| text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned())
}

/// Lines of product code outside comments that hold one of the words.
fn uses(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut offenders = Vec::new();
    for (name, text) in sources() {
        let Some(code) = product_code(&name, &text) else { continue };
        if allowed.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            let line_code = line.trim_start();
            if line_code.starts_with("//") {
                continue;
            }
            if let Some(word) = words.iter().find(|word| line_code.contains(**word)) {
                offenders.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    offenders
}

#[test]
fn processes_are_started_in_the_runner_only() {
    // `run` starts the agent's own two halves, for development; they are no part of a job.
    let allowed = ["agent/src/runner", "agent/src/cli/run.rs", "tests/"];
    let offenders = uses(&["Command::new(", "duct::cmd("], &allowed);
    none(offenders, "start processes through agent/src/runner");
}

#[test]
fn sql_stands_under_db_and_journal_only() {
    let allowed = ["portal/src/db", "agent/src/journal"];
    let offenders = uses(&["rusqlite::", "INSERT INTO ", "DELETE FROM ", "SELECT "], &allowed);
    none(offenders, "keep SQL under db/ and journal/");
}

#[test]
fn arrows_go_one_way() {
    let mut offenders = Vec::new();
    let mut forbid = |from: &str, words: &[&str]| {
        for (name, text) in sources() {
            let Some(code) = product_code(&name, &text) else { continue };
            if !name.starts_with(from) {
                continue;
            }
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                    offenders.push(format!("{name}: {word}"));
                }
            }
        }
    };
    forbid(
        "protocol/",
        &[
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "SystemTime",
            "Instant",
            "tracing::",
            "getrandom",
            "std::env",
        ],
    );
    forbid("portal/", &["freehold_agent"]);
    forbid("agent/", &["freehold_portal"]);
    forbid("portal/src/domain", &["crate::db", "crate::http", "crate::app", "crate::cli"]);
    forbid("portal/src/db", &["crate::http", "crate::app", "crate::cli"]);
    forbid("portal/src/app", &["crate::http", "crate::cli"]);
    forbid("portal/src/http/server", &["crate::app", "crate::db", "freehold_protocol::job"]);
    forbid("agent/src/host", &["crate::saga", "crate::plan", "crate::executor", "crate::poller"]);
    forbid("agent/src/runner", &["crate::host", "crate::saga", "crate::plan"]);
    forbid("agent/src/poller", &["crate::saga", "crate::host", "crate::plan"]);
    none(offenders, "arrows go one way (ARCHITECTURE.md)");
}

#[test]
fn results_are_not_thrown_away() {
    none(uses(&["let _ = "], &[]), "handle the result, or say what happens on failure");
}

#[test]
fn nothing_is_left_undone() {
    let mark = ["TO", "DO"].concat();
    let fix = ["FIX", "ME"].concat();
    let words = ["todo!(", "unimplemented!(", &mark, &fix];
    let mut offenders = uses(&words, &[]);
    for (name, text) in sources() {
        let ignored = ["#[ign", "ore"].concat();
        if text.contains(&ignored) {
            offenders.push(format!("{name}: an ignored test"));
        }
    }
    none(offenders, "finish it or file an issue");
}

#[test]
fn no_async_runtime_is_in_the_tree() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in [
        "tokio",
        "async-std",
        "smol",
        "async-global-executor",
        "futures-executor",
        "openssl",
        "rsa",
    ] {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name} is in Cargo.lock");
    }
}

#[test]
fn every_failure_class_has_its_remedy_in_the_documentation() {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for class in FailureClass::ALL {
        assert!(text.contains(&format!("### `{class}`")), "docs/operations.md lacks ### `{class}`");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let reasons = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    for line in section.lines().filter(|line| !line.starts_with("freehold-")) {
        let Some((name, _)) = line.split_once(" = ") else { continue };
        assert!(
            reasons.contains(&format!("| `{name}` |")),
            "CONTRIBUTING.md lacks a line for {name}"
        );
    }
}

#[test]
fn migrations_are_numbered_without_gaps() {
    for side in ["portal", "ingest", "agent"] {
        let numbers: BTreeSet<usize> = files(&format!("migrations/{side}"), ".sql")
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap()[..4].parse().unwrap())
            .collect();
        let expected: BTreeSet<usize> = (1..=numbers.len()).collect();
        assert_eq!(numbers, expected, "migrations/{side}");
        assert!(!numbers.is_empty(), "migrations/{side} is empty");
    }
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut offenders = Vec::new();
    let mut pages = files("docs", ".md");
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        pages.push(root().join(name));
    }
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            if !page.parent().unwrap().join(target).exists() {
                offenders.push(format!("{}: {target}", page.display()));
            }
        }
    }
    none(offenders, "links must lead somewhere");
}

/// Tests in tests/packages run what the install guide says; the README must not say other things.
#[test]
fn the_readme_leads_to_a_host_as_the_install_guide_does() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let guide = fs::read_to_string(root().join("docs/install.md")).unwrap();
    let way = readme.split("\n## Five minutes to a real host\n").nth(1).unwrap();
    let way = way.split("\n## ").next().unwrap();
    let blocks = way.split("```sh\n").skip(1).map(|part| part.split("```").next().unwrap());
    let commands = blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap().trim());
    let commands: Vec<_> = commands.filter(|command| !command.is_empty()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    let strange = commands.into_iter().filter(|command| !guide.contains(command));
    none(strange.map(str::to_owned).collect(), "docs/install.md must have the README's commands");
}

#[test]
fn the_changelog_has_an_unreleased_part() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(text.contains("\n## Unreleased\n"));
}
