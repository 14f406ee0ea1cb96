//! The database through `psql`, which reads where to connect from the `PG*` variables.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `sql` in one transaction and returns what it printed: one line per row, columns
/// separated by `|`.
///
/// The SQL goes in by standard input: an argument would show every value to the whole host.
/// Time is bounded by libpq and the server, so no watchdog is needed here.
pub(crate) fn run(sql: &str) -> Result<String, String> {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--single-transaction"])
        .args(["--no-password", "--set=ON_ERROR_STOP=1", "--file=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, default) in
        [("PGCONNECT_TIMEOUT", "3"), ("PGOPTIONS", "-c statement_timeout=10000"), ("PGHOST", "db")]
    {
        if std::env::var_os(name).is_none() {
            psql.env(name, default);
        }
    }
    let mut child = psql.spawn().map_err(|error| format!("cannot start psql: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // When psql has gone already (no connection), its own message tells more than this one.
        drop(stdin.write_all(sql.as_bytes()));
    }
    let output = child.wait_with_output().map_err(|error| format!("cannot run psql: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(errors.lines().next().unwrap_or("psql failed and said nothing").to_owned())
    }
}

/// `text` as an SQL string literal. PostgreSQL's strings end only at a single quote
/// (`standard_conforming_strings` is on by default), and psql replaces nothing inside one.
pub(crate) fn literal(text: &str) -> Result<String, String> {
    if text.contains('\0') {
        return Err("text may not contain a NUL character".to_owned());
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(literal("O'Neill").unwrap(), "'O''Neill'");
        assert_eq!(literal("'; DROP TABLE users; --").unwrap(), "'''; DROP TABLE users; --'");
        assert_eq!(literal(r"\'").unwrap(), r"'\'''");
        assert!(literal("a\0b").is_err());
    }
}
