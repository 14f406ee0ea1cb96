//! What the poller says of a poll that brought no answer, and what `status` makes of it.

use serde::{Deserialize, Serialize};

/// What became of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PollFault {
    /// The portal does not take this agent for one of its own.
    Refused,
    /// There was no answer.
    Unreachable,
    /// There was an answer that nothing can be done with: an error of the portal, or somebody else's.
    Failed,
}

impl PollFault {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Failed => "failing",
        }
    }
}

/// A poll that brought no answer, as the poller tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollFailure {
    /// What became of it.
    pub fault: PollFault,
    /// What the log says of it.
    pub what: String,
    /// What the operator can do.
    pub remedy: String,
    /// For how long every poll has ended so, in milliseconds; 0 for the first one.
    pub lasting_ms: u64,
}

/// The last poll that brought no answer. Not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPoll {
    /// What became of it.
    pub fault: PollFault,
    /// What the log says of it.
    pub what: String,
    /// What the operator can do.
    pub remedy: String,
    /// Since the first of the polls that ended so one after the other, in milliseconds.
    pub since_ms_ago: u64,
    /// Since the last of them, in milliseconds.
    pub last_ms_ago: u64,
    /// The portal has answered since.
    pub over: bool,
}
