//! `freehold-agent journal`

use std::{collections::BTreeMap, fmt::Write as _};

use clap::Args;
use freehold_protocol::ids::{JobId, Sha256Digest};
use serde_json::json;

use super::{CliError, open_journal, output};
use crate::{
    config::Config,
    exit::Exit,
    journal::{Journal, JournalError, chain::JobRow},
};

/// Lists the jobs of this host, newest first, or shows what one did step by step.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// A job's id
    job: Option<JobId>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Most jobs to list
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// What the jobs say of the portal's audit log, as NUMBER:HASH per line: for `freehold audit verify
    /// --marks`, which sees by it whether the portal's history was rewritten
    #[arg(long, conflicts_with_all = ["job", "json"])]
    audit: bool,
}

impl JournalArgs {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let journal = open_journal(config)?;
        match self.job {
            None if self.audit => marks(&journal.recent_jobs(self.limit)?),
            None => self.list(&journal.recent_jobs(self.limit)?),
            Some(job) => {
                let attempts = journal.attempts(job)?;
                if attempts.is_empty() {
                    return Err(CliError::new(
                        Exit::NotFound,
                        format!("this host's journal has no job {job}"),
                        "list the jobs with `freehold-agent journal`",
                    ));
                }
                for row in &attempts {
                    self.show(&journal, row)?;
                }
            }
        }
        Ok(Exit::Ok)
    }

    fn list(&self, rows: &[JobRow]) {
        if self.json {
            let list: Vec<_> = rows.iter().map(head).collect();
            output::json(&list);
            return;
        }
        if rows.is_empty() {
            output::out("No job has been accepted yet.\n");
            return;
        }
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                vec![
                    output::time(row.accepted_at),
                    row.job.job_id.to_string(),
                    row.job.attempt.to_string(),
                    row.job.work.kind().to_string(),
                    row.job.work.slug().map(ToString::to_string).unwrap_or_default(),
                    ending(row),
                ]
            })
            .collect();
        let header = ["ACCEPTED", "JOB", "TRY", "KIND", "TENANT", "STATE"];
        output::out(&output::table(&header, &cells));
    }

    fn show(&self, journal: &Journal, row: &JobRow) -> Result<(), JournalError> {
        let events = journal.events(row.job.job_id, row.job.attempt)?;
        if self.json {
            output::json(&json!({ "job": head(row), "report": row.report, "events": events }));
            return Ok(());
        }
        let job = &row.job;
        let mut text = String::new();
        // Writing to a String does not fail.
        writeln!(
            text,
            "{} attempt {}: {} {}, {}\n  ordered by {}, signed as number {} of epoch {}, accepted {}",
            job.job_id,
            job.attempt,
            job.work.kind(),
            job.work.slug().map(ToString::to_string).unwrap_or_default(),
            ending(row),
            job.actor,
            job.seq,
            job.epoch,
            output::time(row.accepted_at)
        )
        .unwrap_or_default();
        if let Some(approval) = &job.approval {
            writeln!(
                text,
                "  approved with the request {}; its work is {}",
                approval.request, approval.digest
            )
            .unwrap_or_default();
        }
        if let Some(report) = &row.report {
            if let Some(failure) = &report.failure {
                writeln!(
                    text,
                    "  {}: {}\n  to do: {}",
                    failure.class, failure.what, failure.advice
                )
                .unwrap_or_default();
                for line in failure.detail.lines() {
                    writeln!(text, "    | {line}").unwrap_or_default();
                }
            }
            let steps: Vec<Vec<String>> = report
                .steps
                .iter()
                .map(|step| {
                    let state = serde_json::to_value(step.state).unwrap_or_default();
                    vec![
                        step.step.clone(),
                        state.as_str().unwrap_or_default().to_owned(),
                        format!("{}.{:03} s", step.millis / 1000, step.millis % 1000),
                    ]
                })
                .collect();
            if !steps.is_empty() {
                text.push_str(&output::table(&["STEP", "STATE", "TIME"], &steps));
            }
        }
        for event in &events {
            let what = serde_json::to_value(event.what).unwrap_or_default();
            writeln!(
                text,
                "{}  {:<16} {:<18} {}",
                output::time(event.at),
                what.as_str().unwrap_or_default(),
                event.step,
                event.message
            )
            .unwrap_or_default();
        }
        text.push('\n');
        output::out(&text);
        Ok(())
    }
}

/// Oldest first. Jobs that were signed in one go name the same entry.
fn marks(rows: &[JobRow]) {
    let marks: BTreeMap<u64, Sha256Digest> =
        rows.iter().map(|row| (row.job.audit.n, row.job.audit.hash)).collect();
    for (n, hash) in marks {
        output::out(&format!("{n}:{hash}\n"));
    }
}

fn ending(row: &JobRow) -> String {
    row.report.as_ref().map_or_else(
        || row.state.as_str().to_owned(),
        |report| {
            let outcome = serde_json::to_value(report.outcome).unwrap_or_default();
            outcome.as_str().unwrap_or_default().to_owned()
        },
    )
}

fn head(row: &JobRow) -> serde_json::Value {
    json!({
        "jobId": row.job.job_id,
        "attempt": row.job.attempt,
        "kind": row.job.work.kind(),
        "tenant": row.job.work.tenant(),
        "slug": row.job.work.slug(),
        "epoch": row.job.epoch,
        "seq": row.job.seq,
        "digest": row.digest,
        "actor": row.job.actor,
        "approval": row.job.approval,
        "state": row.state.as_str(),
        "cancelled": row.cancelled,
        "acceptedAt": row.accepted_at,
        "outcome": row.report.as_ref().map(|report| report.outcome),
    })
}
