//! `freehold audit verify`.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::PathBuf};

use freehold_protocol::ids::Sha256Digest;

use super::log::{self, Mark};
use crate::{
    cli::{context::Ctx, error::CliError},
    domain::audit::{Broken, Walk},
    exit::Exit,
};

/// Check the audit log: that no entry is missing or was changed since it was written
///
/// Every hash is computed anew, here, from what the portal shows. Somebody who may write the portal's
/// database can make up a whole new history whose hashes fit together; it has other hashes than the one
/// before. So keep what this prints, or an export, in another place, and give it the next time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold audit verify
  freehold audit verify --expect 1200:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  freehold audit verify --export audit-2026-11-01.ndjson")]
pub(crate) struct Args {
    /// An entry that must still have this hash, as an earlier call has printed it; may be repeated
    #[arg(long, value_name = "NUMBER:HASH")]
    expect: Vec<Mark>,
    /// A file of `freehold audit export`, every entry of which must still be the same
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

fn broken(whose: &str, reason: impl std::fmt::Display) -> CliError {
    CliError::new(Exit::Failed, format!("{whose}: {reason}")).hint(
        "keep the database, the exports and the backups as they are, and find out who could write to the portal's database",
    )
}

fn changed(n: u64) -> CliError {
    broken("the portal's history is not the one that was known", Broken::Changed { n })
}

/// Walks both chains and compares.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let mut wanted: BTreeMap<u64, Sha256Digest> = BTreeMap::new();
    for mark in &args.expect {
        if wanted.insert(mark.n, mark.hash).is_some_and(|other| other != mark.hash) {
            return Err(CliError::new(
                Exit::Usage,
                format!("--expect names two hashes of entry {}", mark.n),
            ));
        }
    }
    if let Some(path) = &args.export {
        let file = File::open(path).map_err(|error| {
            CliError::new(Exit::Usage, format!("{} cannot be read", path.display())).because(&error)
        })?;
        let mut walk = Walk::from_anywhere();
        log::of_file(BufReader::new(file), |row| {
            log::step(&mut walk, &row).map_err(|error| broken("the export is damaged", error))?;
            match wanted.insert(row.n, row.hash) {
                Some(other) if other != row.hash => Err(changed(row.n)),
                _ => Ok(()),
            }
        })?;
    }
    let known = wanted.len();
    let mut walk = Walk::from_the_start();
    log::of_portal(&ctx.client()?, 0, |row| {
        log::step(&mut walk, &row).map_err(|error| broken("the portal's audit log", error))?;
        match wanted.remove(&row.n) {
            Some(hash) if hash != row.hash => Err(changed(row.n)),
            _ => Ok(()),
        }
    })?;
    if let Some((n, _)) = wanted.pop_first() {
        return Err(broken(
            "the portal's history is shorter than the one that was known",
            Broken::Missing { n },
        ));
    }
    let (n, hash) = walk.head();
    let head = Mark { n, hash };
    let document = serde_json::json!({
        "entries": walk.count(), "known": known, "last": { "n": n, "hash": hash },
    });
    ctx.show(&document, |_| {
        let compared = match known {
            0 => String::new(),
            known => format!("; {known} of them are known from before and the same"),
        };
        format!(
            "{} entries, none missing, none changed{compared}\nThe last is {head}\nKeep this line in another place: `freehold audit verify --expect {head}` proves later that nothing before it was rewritten.\n",
            walk.count()
        )
    })?;
    Ok(Exit::Ok)
}
