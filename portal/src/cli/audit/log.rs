//! The audit log page by page, or from a file: it may be longer than memory.

use std::io::BufRead;

use freehold_protocol::ids::Sha256Digest;

use crate::{
    api::{MAX_LIMIT, Page, audit::AuditRow, paths},
    cli::{error::CliError, remote::Client},
    domain::audit::{Broken, Hashed, Walk},
    exit::Exit,
};

/// Longest line of an export, in bytes.
const MAX_LINE_BYTES: usize = 1024 * 1024;

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
