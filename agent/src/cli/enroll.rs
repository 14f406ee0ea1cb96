//! `freehold-agent enroll`

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

use clap::Args;
use freehold_protocol::enroll::EnrollmentToken;
use zeroize::Zeroizing;

use super::{CliError, output};
use crate::{
    config::Config,
    enroll::enroll,
    executor::build,
    exit::Exit,
    identity,
    journal::{Journal, Missing},
    lock::StateLock,
    turn,
};

/// Largest token file.
const MAX_TOKEN_BYTES: u64 = 8 * 1024;

/// Enrolls this host with its portal. The token comes from `freehold host add` on the portal; it is
/// read from a file or from standard input, never from the command line, where other users could see
/// it.
#[derive(Debug, Args)]
pub struct Enroll {
    /// File with the token; without it, standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Replace an existing enrollment: jobs of the former one are never run. Stop the services first
    #[arg(long)]
    force: bool,
}

impl Enroll {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let token = self.token()?;
        identity::ensure_folder(&config.state_dir, None).map_err(|error| {
            CliError::new(
                Exit::Failed,
                format!("cannot make {}: {error}", config.state_dir.display()),
                "run it as root",
            )
        })?;
        let paths = identity::Paths::of(config);
        let lost = !config.journal_path().exists() && paths.report.exists();
        // A living executor would go on with the former enrollment's jobs and keys. The first
        // enrollment needs no lock: an executor that has none takes it up by itself.
        let take = || StateLock::take(&config.state_dir);
        let lock = if self.force && lost { Some(take()?) } else { None };
        let journal = self.journal(config, &paths, lost)?;
        let former = journal.enrollment()?.is_some();
        let _lock = match lock {
            None if self.force && former => Some(take()?),
            lock => lock,
        };
        let clock = turn::host_clock();
        let facts = build::facts(config, clock.now())?;
        let problems = facts.problems.clone();
        let receipt = enroll(config, &journal, &token, facts, self.force, clock.as_ref())?;
        output::out(&format!(
            "Enrolled as {} with {}.\n  agent        {}\n  identity key {}\n  report key   {}\n",
            receipt.host_name,
            token.url,
            receipt.agent_id,
            receipt.identity_key,
            receipt.report_key
        ));
        // Never running after a forced one: it needs the executor's lock.
        output::out("Now start the services: `systemctl start freehold-executor freehold-agent`\n");
        if !problems.is_empty() {
            output::out("Before the first deploy, this needs your attention:\n");
            for problem in problems {
                output::out(&format!("  - {}\n    {}\n", problem.what, problem.advice));
            }
        }
        Ok(Exit::Ok)
    }

    /// The journal, made when this host never had one. A host with a key has had one: that it is gone
    /// is a loss, and only an order makes another, with keys of its own.
    fn journal(
        &self,
        config: &Config,
        paths: &identity::Paths,
        lost: bool,
    ) -> Result<Journal, CliError> {
        if lost && self.force {
            for path in paths.all() {
                identity::remove(path)?;
            }
        }
        let missing = if lost && !self.force { Missing::Refuse } else { Missing::Create };
        Ok(Journal::open(&config.journal_path(), missing)?)
    }

    fn token(&self) -> Result<EnrollmentToken, CliError> {
        let mut text = Zeroizing::new(String::new());
        let read = match &self.token_file {
            Some(path) => std::fs::File::open(path)
                .and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut text)),
            None => {
                if std::io::stdin().is_terminal() {
                    output::err("Paste the enrollment token, then press Enter and Ctrl-D:\n");
                }
                std::io::stdin().take(MAX_TOKEN_BYTES).read_to_string(&mut text)
            }
        };
        read.map_err(|error| {
            CliError::new(
                Exit::Usage,
                format!("the token cannot be read: {error}"),
                "give --token-file FILE, or pipe it in",
            )
        })?;
        text.trim().parse().map_err(|error: freehold_protocol::ids::ParseIdError| {
            CliError::of(
                Exit::Usage,
                &error,
                "a token is one line and works once, for a short time",
            )
        })
    }
}
