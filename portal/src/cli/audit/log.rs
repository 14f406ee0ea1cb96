//! The audit log page by page, or from a file: it may be longer than memory.

use std::{
    fs::File,
    io::{BufRead, Read},
    path::Path,
};

use freehold_protocol::ids::Sha256Digest;

use crate::{
    api::{MAX_LIMIT, Page, audit::AuditRow, paths},
    cli::{error::CliError, remote::Client},
    domain::audit::{Broken, Hashed, Walk},
    exit::Exit,
};

/// Longest line of an export, in bytes.
const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Most bytes of a file of marks: some 800,000 of them.
const MAX_MARKS_BYTES: u64 = 64 * 1024 * 1024;

/// Calls `each` with the portal's entries above number `after`, oldest first.
pub(super) fn of_portal(
    client: &Client,
    after: u64,
    mut each: impl FnMut(AuditRow) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut after = after;
    loop {
        let query = vec![("after", after.to_string()), ("limit", MAX_LIMIT.to_string())];
        let page: Page<AuditRow> = client.get(paths::AUDIT, &query)?;
        for row in page.items {
            if row.n <= after {
                return Err(CliError::new(Exit::Portal, "the portal's audit log does not go on"));
            }
            after = row.n;
            each(row)?;
        }
        if page.next.is_none() {
            return Ok(());
        }
    }
}

/// Calls `each` with the entries of an export.
pub(super) fn of_file(
    mut file: impl BufRead,
    mut each: impl FnMut(AuditRow) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::new(Exit::Failed, "the export cannot be read").because(&error)
    };
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        loop {
            let there = file.fill_buf().map_err(unreadable)?;
            let end = there.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(there.len(), |at| at + 1);
            line.extend_from_slice(&there[..taken]);
            file.consume(taken);
            if line.len() > MAX_LINE_BYTES {
                return Err(CliError::new(
                    Exit::Usage,
                    format!("line {number} of the export is longer than {MAX_LINE_BYTES} bytes"),
                ));
            }
            if end.is_some() || taken == 0 {
                break;
            }
        }
        if line.is_empty() {
            break;
        }
        let row = serde_json::from_slice(&line).map_err(|error| {
            CliError::new(Exit::Usage, format!("line {number} of the export is no audit entry"))
                .because(&error)
                .hint("give a file that `freehold audit export` wrote")
        })?;
        each(row)?;
    }
    Ok(())
}

/// Calls `each` with the marks of a file; `-` is the standard input.
pub(super) fn marks(
    path: &Path,
    mut each: impl FnMut(Mark) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::new(Exit::Usage, format!("{} cannot be read", path.display())).because(&error)
    };
    let file: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(unreadable)?)
    };
    let mut text = String::new();
    file.take(MAX_MARKS_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let mark = line.trim().parse().map_err(|error: String| {
            CliError::new(Exit::Usage, format!("line {number} of the marks: {error}"))
        })?;
        each(mark)?;
    }
    Ok(())
}

/// Takes an entry into a walk along its chain, whoever it came from.
pub(super) fn step(walk: &mut Walk, row: &AuditRow) -> Result<(), Broken> {
    let detail = row.detail.to_string();
    let hashed = Hashed {
        n: row.n,
        at: row.at,
        actor: &row.actor,
        action: &row.action,
        object_kind: &row.object_kind,
        object_id: &row.object_id,
        detail: &detail,
        prev_hash: row.prev_hash,
    };
    walk.take(&hashed, row.hash)
}

/// `NUMBER:HASH`, as `freehold audit verify` prints the last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) n: u64,
    pub(super) hash: Sha256Digest,
}

impl std::str::FromStr for Mark {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (n, hash) = text.split_once(':').ok_or("write NUMBER:HASH")?;
        let n = n.parse().ok().filter(|n| *n > 0).ok_or("the number must be 1 or higher")?;
        Ok(Self { n, hash: hash.parse().map_err(|error| format!("{error}"))? })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.n, self.hash)
    }
}
