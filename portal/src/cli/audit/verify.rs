//! `freehold audit verify`.

use std::{collections::BTreeMap, fmt, fs::File, io::BufReader, path::PathBuf};

use freehold_protocol::{dsse::Envelope, ids::Sha256Digest};

use super::log::{self, Mark};
use crate::{
    api::{audit::Checkpoint, paths},
    cli::{context::Ctx, error::CliError, remote::Client},
    domain::{
        audit::{Broken, Walk},
        checkpoint::{self, JobKeys, NotVouched},
    },
    exit::Exit,
};

/// Check the audit log: that no entry is missing or was changed since it was written
///
/// Every hash is computed anew, here, from what the portal shows. Somebody who may write the portal's
/// database can make up a whole new history whose hashes fit together; it has other hashes than the one
/// before. Three things tell: the signed jobs, which name the log's last entry and which agents have
/// signed a report on; what hosts keep (`freehold-agent journal --audit`); and what this command has
/// printed, or an export, if you keep it in another place.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  freehold audit verify
  freehold audit verify --expect 1200:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  freehold audit verify --export audit-2026-11-01.ndjson
  ssh vps-1 sudo freehold-agent journal --audit | freehold audit verify --marks -")]
pub(crate) struct Args {
    /// An entry that must still have this hash, as an earlier call has printed it; may be repeated
    #[arg(long, value_name = "NUMBER:HASH")]
    expect: Vec<Mark>,
    /// A file of `freehold audit export`, every entry of which must still be the same
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// A file of such entries, one per line, as a host keeps them (`freehold-agent journal --audit`);
    /// `-` reads them from the standard input
    #[arg(long, value_name = "FILE")]
    marks: Option<PathBuf>,
    /// How many of the newest reported jobs are asked for what they say of the log
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    checkpoints: u32,
}

fn broken(whose: &str, reason: impl std::fmt::Display) -> CliError {
    CliError::new(Exit::Failed, format!("{whose}: {reason}")).hint(
        "keep the database, the exports and the backups as they are, and find out who could write to the portal's database",
    )
}

fn changed(n: u64) -> CliError {
    broken("the portal's history is not the one that was known", Broken::Changed { n })
}

/// Entries that are known from elsewhere, and what they must be.
#[derive(Debug, Default)]
struct Known(BTreeMap<u64, Sha256Digest>);

impl Known {
    /// Takes one; false when another hash of the same entry is known already.
    fn add(&mut self, mark: Mark) -> bool {
        // Before the first entry there is nothing to compare.
        mark.n == 0 || *self.0.entry(mark.n).or_insert(mark.hash) == mark.hash
    }
}

/// What the newest signed jobs say.
#[derive(Debug, Default)]
struct Vouched {
    good: usize,
    too_old: usize,
    /// The last entry that a good one names.
    up_to: u64,
}

impl fmt::Display for Vouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.good, self.up_to) {
            (0, _) => {
                f.write_str("No signed job that an agent has reported on vouches for them")?
            }
            (good, up_to) => write!(
                f,
                "{good} signed jobs that agents have reported on say the same of the entries up to {up_to}"
            )?,
        }
        match self.too_old {
            0 => f.write_str("\n"),
            more => writeln!(f, "; {more} are too old to be checked"),
        }
    }
}

fn given(args: &Args, known: &mut Known) -> Result<(), CliError> {
    let mut add = |mark: Mark, from: &str| {
        if known.add(mark) {
            return Ok(());
        }
        Err(CliError::new(Exit::Usage, format!("{from} names two hashes of entry {}", mark.n)))
    };
    for mark in &args.expect {
        add(*mark, "--expect")?;
    }
    if let Some(path) = &args.marks {
        log::marks(path, |mark| add(mark, "--marks"))?;
    }
    if let Some(path) = &args.export {
        let file = File::open(path).map_err(|error| {
            CliError::new(Exit::Usage, format!("{} cannot be read", path.display())).because(&error)
        })?;
        let mut walk = Walk::from_anywhere();
        log::of_file(BufReader::new(file), |row| {
            log::step(&mut walk, &row).map_err(|error| broken("the export is damaged", error))?;
            if known.add(Mark { n: row.n, hash: row.hash }) { Ok(()) } else { Err(changed(row.n)) }
        })?;
    }
    Ok(())
}

fn vouched(client: &Client, newest: u32, known: &mut Known) -> Result<Vouched, CliError> {
    let mut found = Vouched::default();
    if newest == 0 {
        return Ok(found);
    }
    let documents: Vec<Envelope> = client.get(paths::TRUST, &Vec::new())?;
    let keys = JobKeys::of(&documents)
        .map_err(|error| broken("the portal's trust documents do not follow each other", error))?;
    let checkpoints: Vec<Checkpoint> =
        client.list(paths::AUDIT_CHECKPOINTS, &Vec::new(), Some(newest))?;
    for Checkpoint { host, report_key, job, report } in checkpoints {
        match checkpoint::vouched(&job, &report, report_key, &keys) {
            Ok(head) if known.add(Mark { n: head.n, hash: head.hash }) => {
                found.good += 1;
                found.up_to = found.up_to.max(head.n);
            }
            Ok(head) => return Err(changed(head.n)),
            Err(NotVouched::TooOld(_)) => found.too_old += 1,
            Err(error) => {
                return Err(broken(&format!("a job of {host} that the portal shows"), error));
            }
        }
    }
    Ok(found)
}

/// Walks the chain and compares.
pub(crate) fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let mut known = Known::default();
    given(args, &mut known)?;
    let kept = known.0.len();
    let client = ctx.client()?;
    let vouched = vouched(&client, args.checkpoints, &mut known)?;
    let mut walk = Walk::from_the_start();
    log::of_portal(&client, 0, |row| {
        log::step(&mut walk, &row).map_err(|error| broken("the portal's audit log", error))?;
        match known.0.remove(&row.n) {
            Some(hash) if hash != row.hash => Err(changed(row.n)),
            _ => Ok(()),
        }
    })?;
    if let Some((n, _)) = known.0.pop_first() {
        return Err(broken(
            "the portal's history is shorter than the one that was known",
            Broken::Missing { n },
        ));
    }
    let (n, hash) = walk.head();
    let head = Mark { n, hash };
    let document = serde_json::json!({
        "entries": walk.count(), "known": kept, "checkpoints": vouched.good,
        "checkpointsUpTo": vouched.up_to, "checkpointsTooOld": vouched.too_old, "last": { "n": n, "hash": hash },
    });
    ctx.show(&document, |_| {
        let mut text = format!("{} entries, none missing, none changed\n", walk.count());
        if kept > 0 {
            text.push_str(&format!("{kept} of them are known from before and the same\n"));
        }
        if args.checkpoints > 0 {
            text.push_str(&vouched.to_string());
        }
        text.push_str(&format!(
            "The last is {head}\nKeep this line in another place: `freehold audit verify --expect {head}` proves later that nothing before it was rewritten.\n"
        ));
        text
    })?;
    Ok(Exit::Ok)
}
