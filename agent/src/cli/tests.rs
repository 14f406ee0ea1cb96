//! The command line's definition and its tables.

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn no_command_takes_a_secret_as_an_argument() {
    for command in Cli::command().get_subcommands() {
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            let secret = ["token", "password", "secret", "key"].contains(&name);
            assert!(!secret, "{} takes {name}", command.get_name());
        }
    }
}

#[test]
fn every_command_is_documented() {
    let documented = include_str!("../../../docs/agent.md");
    for command in Cli::command().get_subcommands() {
        assert!(documented.contains(&format!("`{}", command.get_name())), "{}", command.get_name());
        assert!(command.get_about().is_some(), "{}", command.get_name());
    }
}

#[test]
fn errors_name_cause_and_hint() {
    let error = crate::identity::IdentityError::Io {
        verb: "read",
        path: "/x".into(),
        source: std::io::Error::other("no such luck"),
    };
    let error = CliError::from(error);
    assert_eq!(error.exit, Exit::Failed);
    assert_eq!(
        error.render(),
        "error: cannot read \"/x\"\n  caused by: no such luck\n  hint: run as root, and check the folder's permissions and space\n"
    );
}

#[test]
fn ages_and_tables_are_for_people() {
    assert_eq!(output::age(59_999), "59 s");
    assert_eq!(output::age(3_700_000), "1 h 1 min");
    let rows = [vec!["a".to_owned(), "long".to_owned()], vec!["bcd".to_owned(), "x".to_owned()]];
    assert_eq!(output::table(&["H", "I"], &rows), "H    I\na    long\nbcd  x\n");
}
