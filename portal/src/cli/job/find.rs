//! Which job a person means: a whole identifier, or its start or end.

use freehold_protocol::ids::JobId;

use crate::{
    api::{jobs::JobView, paths},
    cli::{error::CliError, remote::Client},
    exit::Exit,
};

/// Shortest part of an identifier that is looked up.
const MIN_PART: usize = 6;
/// Most jobs that are looked through.
const MAX_LOOKED_AT: u32 = 5000;

/// An identifier or a part of one, as it is typed.
#[derive(Debug, Clone)]
pub(crate) struct JobPart(String);

/// Reads an identifier, or a start or end of at least six signs.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn job_part(text: &str) -> Result<JobPart, String> {
    let text = text.to_ascii_lowercase();
    let signs = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    if !signs || text.len() < MIN_PART {
        return Err(format!(
            "give the job's identifier, or at least {MIN_PART} signs of its start or end, as `freehold job list` shows it"
        ));
    }
    Ok(JobPart(text))
}

/// The job that is meant.
///
/// # Errors
/// When none or several match, or the portal does not answer.
pub(crate) fn find(client: &Client, part: &JobPart) -> Result<JobId, CliError> {
    if let Ok(id) = part.0.parse() {
        return Ok(id);
    }
    let jobs: Vec<JobView> = client.list(paths::JOBS, &Vec::new(), Some(MAX_LOOKED_AT))?;
    pick(&part.0, jobs.iter().map(|job| job.id))
}

fn pick(part: &str, ids: impl Iterator<Item = JobId>) -> Result<JobId, CliError> {
    let matching: Vec<JobId> = ids
        .filter(|id| {
            let id = id.to_string();
            id.starts_with(part) || id.ends_with(part)
        })
        .collect();
    match matching[..] {
        [id] => Ok(id),
        [] => Err(CliError::new(
            Exit::NotFound,
            format!("no job's identifier starts or ends with {part}"),
        )
        .hint("`freehold job list` shows them; an old job needs its whole identifier")),
        [first, second, ..] => Err(CliError::new(
            Exit::Usage,
            format!("{} jobs' identifiers start or end with {part}", matching.len()),
        )
        .hint(format!("give more of it; two of them are {first} and {second}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_names_one_job() {
        let ids: Vec<JobId> = [
            "01890000-0000-7000-8000-00000000abcd",
            "01890000-0001-7000-8000-00000000abce",
            "01990000-0002-7000-8000-00000000abcf",
        ]
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
        let pick = |part| pick(part, ids.iter().copied());
        assert_eq!(pick("00abce").unwrap(), ids[1]);
        assert_eq!(pick("019900").unwrap(), ids[2]);
        assert_eq!(pick("018900").unwrap_err().exit, Exit::Usage);
        assert_eq!(pick("ffffff").unwrap_err().exit, Exit::NotFound);
    }

    #[test]
    fn parts_are_checked() {
        assert!(job_part("00ABCE").is_ok());
        for bad in ["", "abcde", "../../x", "zzzzzzz"] {
            assert!(job_part(bad).is_err(), "{bad}");
        }
    }
}
