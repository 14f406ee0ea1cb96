//! The exit codes of `freehold`, a stable part of its interface (docs/cli.md lists them).

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; with `--watch`: the job succeeded.
    Ok,
    /// It did not work; the message says why.
    Failed,
    /// The command line, the environment or a configuration file is wrong (clap uses the same code).
    Usage,
    /// The portal cannot be reached, or has a fault.
    Portal,
    /// Nobody is logged in, or the token may not do this.
    Denied,
    /// What was asked about does not exist.
    NotFound,
    /// The state does not allow it, the name is taken, or it has changed meanwhile.
    Conflict,
    /// The portal refused the input; the message names the fields.
    Invalid,
    /// Refused, because it would lose something and was not confirmed.
    Unconfirmed,
    /// The watched job failed, and every change was undone.
    JobFailed,
    /// The watched job is stuck: a person must look at the host.
    JobStuck,
    /// The watched job was cancelled.
    JobCancelled,
    /// The watched job expired, or is out of attempts.
    JobDead,
    /// Watching was interrupted; the job goes on.
    Interrupted,
}

impl Exit {
    /// Every way to end with its meaning, for the documentation and its test.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Ok, "done; with `--watch`: the job succeeded"),
        (Self::Failed, "it did not work; the message says why"),
        (Self::Usage, "the command line, the environment or a configuration file is wrong"),
        (Self::Portal, "the portal cannot be reached, or has a fault"),
        (Self::Denied, "nobody is logged in, or the token may not do this"),
        (Self::NotFound, "what was asked about does not exist"),
        (
            Self::Conflict,
            "the state does not allow it, the name is taken, or it has changed meanwhile",
        ),
        (Self::Invalid, "the portal refused the input; the message names the fields"),
        (Self::Unconfirmed, "refused, because it would lose something and was not confirmed"),
        (Self::JobFailed, "the watched job failed, and every change was undone"),
        (Self::JobStuck, "the watched job is stuck: a person must look at the host"),
        (Self::JobCancelled, "the watched job was cancelled"),
        (Self::JobDead, "the watched job expired, or is out of attempts"),
        (Self::Interrupted, "watching was interrupted (Ctrl-C); the job goes on"),
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Portal => 3,
            Self::Denied => 4,
            Self::NotFound => 5,
            Self::Conflict => 6,
            Self::Invalid => 7,
            Self::Unconfirmed => 8,
            Self::JobFailed => 10,
            Self::JobStuck => 11,
            Self::JobCancelled => 12,
            Self::JobDead => 13,
            Self::Interrupted => 130,
        }
    }

    /// The end of a command that watched a job which came to rest in `state`.
    #[must_use]
    pub fn of_job_state(state: &str) -> Self {
        match state {
            "succeeded" => Self::Ok,
            "rollback_failed" => Self::JobStuck,
            "cancelled" => Self::JobCancelled,
            "expired" | "dead" => Self::JobDead,
            // Also a state of a newer portal: it is at rest and it is not a success that we know.
            _ => Self::JobFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_documented() {
        let documented = include_str!("../../docs/cli.md");
        let mut last = None;
        for (exit, meaning) in Exit::ALL {
            assert!(last < Some(exit.code()), "{exit:?} is out of order");
            last = Some(exit.code());
            let row = format!("| {} | {meaning} |", exit.code());
            assert!(documented.contains(&row), "docs/cli.md lacks the row {row}");
        }
    }

    #[test]
    fn each_final_state_has_its_code() {
        for (state, code) in [
            ("succeeded", 0),
            ("failed", 10),
            ("rolled_back", 10),
            ("rollback_failed", 11),
            ("cancelled", 12),
            ("expired", 13),
            ("dead", 13),
            ("something-new", 10),
        ] {
            assert_eq!(Exit::of_job_state(state).code(), code, "{state}");
        }
    }
}
