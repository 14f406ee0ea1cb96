//! The one shape of every error of a command: error, causes, hint, exit code.

use std::{error::Error, fmt::Write as _, io};

use crate::{
    config::ConfigError, enroll::EnrollError, executor::StartError, exit::Exit,
    identity::IdentityError, journal::JournalError, lock::LockError, poller::PollerError,
    socket::CallError, socket::ErrorCode, socket::ListenError,
};

/// An error as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// How the process ends.
    pub exit: Exit,
    what: String,
    causes: Vec<String>,
    hint: String,
}

impl CliError {
    /// An error without a cause.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, what: what.into(), causes: Vec::new(), hint: hint.into() }
    }

    /// An error with its causes.
    #[must_use]
    pub fn of(exit: Exit, error: &dyn Error, hint: impl Into<String>) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        Self { exit, what: error.to_string(), causes, hint: hint.into() }
    }

    pub(crate) fn thread(source: io::Error) -> Self {
        Self::new(
            Exit::Failed,
            format!("no thread could be started: {source}"),
            "look at the memory and the limits of the service",
        )
    }

    pub(crate) fn signal(source: io::Error) -> Self {
        Self::new(
            Exit::Failed,
            format!("signals cannot be received: {source}"),
            "please report this",
        )
    }

    pub(crate) fn executor_broke(why: &str) -> Self {
        Self::new(
            Exit::Journal,
            format!("the executor cannot go on: {why}"),
            "check free space with `df -h` and the disk with `dmesg`; it goes on from the journal when it is started again",
        )
    }

    /// The text for standard error.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!("error: {}\n", self.what);
        for cause in &self.causes {
            // Writing to a String does not fail.
            writeln!(text, "  caused by: {cause}").unwrap_or_default();
        }
        if !self.hint.is_empty() {
            writeln!(text, "  hint: {}", self.hint).unwrap_or_default();
        }
        text
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::of(Exit::Usage, &error, error.hint())
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        let exit = match error {
            IdentityError::Missing { .. } => Exit::NotEnrolled,
            _ => Exit::Failed,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        let exit = match error {
            JournalError::Missing { .. } => Exit::NotEnrolled,
            _ => Exit::Journal,
        };
        Self::of(exit, &error, error.to_failure().advice)
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Journal(error) => error.into(),
            StartError::Key(error) => error.into(),
        }
    }
}

impl From<EnrollError> for CliError {
    fn from(error: EnrollError) -> Self {
        let exit = match &error {
            EnrollError::Already { .. } => Exit::Refused,
            EnrollError::Fetch(_)
            | EnrollError::Refused(_)
            | EnrollError::Trust(_)
            | EnrollError::Receipt(_)
            | EnrollError::Mismatch { .. } => Exit::Portal,
            EnrollError::Journal(_) => Exit::Journal,
            EnrollError::Address(_) | EnrollError::Identity(_) => Exit::Failed,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<PollerError> for CliError {
    fn from(error: PollerError) -> Self {
        match error {
            PollerError::Identity(error) => error.into(),
            PollerError::Portal(error) => Self::of(Exit::Portal, &error, error.hint()),
            other => Self::of(Exit::Failed, &other, "see docs/agent.md"),
        }
    }
}

impl From<LockError> for CliError {
    fn from(error: LockError) -> Self {
        let (exit, hint) = match error {
            LockError::Held { .. } => (
                Exit::Refused,
                "stop it first: `systemctl stop freehold-agent freehold-executor.socket freehold-executor`; one that `freehold-agent run` started ends with that",
            ),
            LockError::Io { .. } => {
                (Exit::Failed, "run as root, and check the folder's permissions and space")
            }
        };
        Self::of(exit, &error, hint)
    }
}

impl From<ListenError> for CliError {
    fn from(error: ListenError) -> Self {
        let hint = match error {
            ListenError::Busy { .. } => "is freehold-executor.service running already?",
            ListenError::Bind { .. } => "run as root, or set another `socket` in the configuration",
            ListenError::Passed(_) => {
                "the unit needs StandardInput=socket; without systemd leave --socket-activation out"
            }
        };
        Self::of(Exit::Failed, &error, hint)
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        let (exit, hint) = match &error {
            CallError::Refused { code: ErrorCode::NotEnrolled, .. } => {
                (Exit::NotEnrolled, "enroll it: `freehold-agent enroll --token-file FILE`")
            }
            CallError::Refused { code: ErrorCode::NotFound, .. } => {
                (Exit::NotFound, "see `freehold-agent status` and `freehold-agent journal`")
            }
            CallError::Refused { code: ErrorCode::Journal, .. } => {
                (Exit::Journal, "see `journalctl -u freehold-executor`")
            }
            CallError::Refused { .. } => (Exit::Failed, "run it as root"),
            CallError::Connect { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                (Exit::NoExecutor, "run it as root")
            }
            CallError::Connect { .. } => (
                Exit::NoExecutor,
                "start it: `systemctl start freehold-executor.socket freehold-agent`",
            ),
            CallError::Impostor { .. } => (Exit::NoExecutor, "see who runs it: `ss -xlp`"),
            CallError::Frame(_) | CallError::OtherReply => {
                (Exit::NoExecutor, "see `journalctl -u freehold-executor`")
            }
        };
        Self::of(exit, &error, hint)
    }
}
