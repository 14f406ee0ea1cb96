//! The exit codes of `freehold-agent`, a stable part of its interface (docs/agent.md lists them).

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `doctor`: nothing failed.
    Ok,
    /// It did not work; the message says why.
    Failed,
    /// The command line or the configuration is wrong (clap uses the same code).
    Usage,
    /// The host is not enrolled, and the command needs it to be.
    NotEnrolled,
    /// The executor does not answer on its socket.
    NoExecutor,
    /// The portal cannot be reached, or refused.
    Portal,
    /// Refused, because it would lose something; the message names the flag that allows it.
    Refused,
    /// What was asked about does not exist.
    NotFound,
    /// The journal is damaged or from a newer version; nothing was changed.
    Journal,
}

impl Exit {
    /// Every code with its meaning, for the documentation and its test.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Ok, "done; for `doctor`: no check failed"),
        (Self::Failed, "it did not work; the message says why"),
        (Self::Usage, "the command line or the configuration is wrong"),
        (Self::NotEnrolled, "the host is not enrolled yet"),
        (Self::NoExecutor, "the executor does not answer on its socket"),
        (Self::Portal, "the portal cannot be reached, or it refused"),
        (Self::Refused, "refused, because it would lose something"),
        (Self::NotFound, "what was asked about does not exist"),
        (Self::Journal, "the journal is damaged or newer than this program"),
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotEnrolled => 3,
            Self::NoExecutor => 4,
            Self::Portal => 5,
            Self::Refused => 6,
            Self::NotFound => 7,
            Self::Journal => 8,
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
    fn codes_are_numbered_without_gaps_and_documented() {
        let documented = include_str!("../../docs/agent.md");
        for (number, (exit, meaning)) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.code()), number);
            let row = format!("| {number} | {meaning} |");
            assert!(documented.contains(&row), "docs/agent.md lacks the row {row}");
        }
    }
}
