//! `freehold-agent plan`

use std::{fs, path::Path};

use clap::Args;
use freehold_protocol::{dsse::Envelope, ids::JobId, job::Job, shape};
use serde_json::json;

use super::{CliError, open_journal, output};
use crate::{
    config::Config,
    exit::Exit,
    journal::Journal,
    plan::{Order, plan},
};

/// Largest file: a job's envelope.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// Shows what a job would do on this host as it is now, without doing it.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A file with a job's signed envelope, or the id of a job of this host
    job: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl PlanArgs {
    pub(super) fn run(&self, config: &Config) -> Result<Exit, CliError> {
        let journal = open_journal(config)?;
        let job = match self.job.parse::<JobId>() {
            Ok(id) => recorded(&journal, id)?,
            Err(_) => from_file(&journal, Path::new(&self.job))?,
        };
        let order = Order {
            portal: job.portal,
            agent: job.agent_id,
            job: job.job_id,
            attempt: job.attempt,
            actor: job.actor.clone(),
            timeout_secs: job.timeout_secs,
            seal_to: None,
            work: (*job.work).clone(),
            app_env: job.app_env.clone(),
        };
        let plan = plan(&order, &journal.tenants()?).map_err(|failure| {
            CliError::new(
                Exit::Refused,
                format!("the job would be refused: {}", failure.what),
                failure.advice,
            )
        })?;
        let steps = plan.describe();
        if self.json {
            output::json(
                &json!({ "job": job.job_id, "kind": job.work.kind(), "digest": plan.digest(), "steps": steps }),
            );
            return Ok(Exit::Ok);
        }
        output::out(&format!("{} {}, plan {}\n", job.work.kind(), job.job_id, plan.digest()));
        for (number, step) in steps.iter().enumerate() {
            output::out(&format!("{:>3}. {}: {}\n", number + 1, step.step, step.what));
            if !step.undo.is_empty() {
                output::out(&format!("     undo: {}\n", step.undo));
            }
        }
        Ok(Exit::Ok)
    }
}

fn recorded(journal: &Journal, id: JobId) -> Result<Job, CliError> {
    let last = journal.attempts(id)?.pop();
    last.map(|row| row.job).ok_or_else(|| {
        CliError::new(
            Exit::NotFound,
            format!("this host's journal has no job {id}"),
            "list the jobs with `freehold-agent journal`",
        )
    })
}

/// A job from a file, its signature checked like any other.
fn from_file(journal: &Journal, path: &Path) -> Result<Job, CliError> {
    let failed = |what: String, hint: &str| CliError::new(Exit::Failed, what, hint);
    let size = fs::metadata(path).map_err(|error| {
        failed(
            format!("cannot read {}: {error}", path.display()),
            "give a job's id, or a file with a job's envelope",
        )
    })?;
    if size.len() > MAX_FILE_BYTES {
        return Err(failed(format!("{} is too large for a job", path.display()), ""));
    }
    let text = fs::read(path)
        .map_err(|error| failed(format!("cannot read {}: {error}", path.display()), ""))?;
    let envelope: Envelope = shape::from_slice(&text).map_err(|error| {
        failed(format!("{} is not an envelope: {error}", path.display()), "export it at the portal")
    })?;
    let enrollment = journal.enrollment()?.ok_or_else(|| {
        CliError::new(Exit::NotEnrolled, "this host is not enrolled", "enroll it first")
    })?;
    envelope
        .open::<Job>(&enrollment.trust.document().job_keys, 1)
        .map(freehold_protocol::dsse::Verified::into_inner)
        .map_err(|error| {
            CliError::of(
                Exit::Refused,
                &error,
                "only jobs signed by this host's portal are planned",
            )
        })
}
