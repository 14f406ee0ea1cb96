//! Tests: clap's self-check, and docs/cli.md is what `--help` says.

use std::{fmt::Write as _, fs, path::PathBuf};

use super::tree;
use crate::exit::Exit;

/// What stands between the marks is generated.
const BEGIN: &str = "<!-- generated: begin -->\n";
const END: &str = "<!-- generated: end -->\n";

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md")
}

/// The help of a command and of all below it.
fn help(command: &clap::Command, path: &str, text: &mut String) {
    let own = command.clone().bin_name(path).term_width(100);
    // What every command has is shown once, at the top.
    let mut own = if path == "freehold" {
        own
    } else {
        own.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg })
    };
    let shown = own.render_long_help().to_string();
    writeln!(text, "### `{path}`\n\n```text").unwrap();
    for line in shown.trim_end().lines() {
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    writeln!(text, "```\n").unwrap();
    for below in command.get_subcommands() {
        help(below, &format!("{path} {}", below.get_name()), text);
    }
}

fn generated() -> String {
    let mut command = tree();
    command.build();
    let mut text = String::from("## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (exit, meaning) in Exit::ALL {
        writeln!(text, "| {} | {meaning} |", exit.code()).unwrap();
    }
    text.push_str("\n## Commands\n\n");
    help(&command, "freehold", &mut text);
    text
}

#[test]
fn clap_finds_no_fault() {
    tree().debug_assert();
}

#[test]
fn every_command_has_help() {
    fn check(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} has no help");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path} {} has no help", arg.get_id());
        }
        for below in command.get_subcommands() {
            check(below, &format!("{path} {}", below.get_name()));
        }
    }
    check(&tree(), "freehold");
}

#[test]
fn the_documentation_is_what_help_says() {
    let written = fs::read_to_string(file()).unwrap();
    let (before, rest) = written.split_once(BEGIN).expect("docs/cli.md has lost its first mark");
    let (present, after) = rest.split_once(END).expect("docs/cli.md has lost its second mark");
    let wanted = generated();
    if present == wanted {
        return;
    }
    if std::env::var_os("FREEHOLD_REWRITE_DOCS").is_some() {
        fs::write(file(), format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    panic!(
        "docs/cli.md is not what --help says; rewrite it with\n  FREEHOLD_REWRITE_DOCS=1 cargo test -p freehold-portal --lib cli::docs"
    );
}
