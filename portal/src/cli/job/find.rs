//! Which job a person means.

use freehold_protocol::ids::JobId;

use crate::{
    api::{jobs::JobView, paths},
    cli::{error::CliError, remote::Client},
};

pub(super) use crate::cli::id_part::{IdPart, id_part};

/// Most jobs that are looked through.
const MAX_LOOKED_AT: u32 = 5000;
/// Where they are shown.
const HINT: &str = "`freehold job list` shows them; an old job needs its whole identifier";

/// The job that is meant.
///
/// # Errors
/// When none or several match, or the portal does not answer.
pub(crate) fn find(client: &Client, part: &IdPart) -> Result<JobId, CliError> {
    if let Some(id) = part.whole() {
        return Ok(id);
    }
    let jobs: Vec<JobView> = client.list(paths::JOBS, &Vec::new(), Some(MAX_LOOKED_AT))?;
    part.pick(jobs.iter().map(|job| job.id), "job", HINT)
}
