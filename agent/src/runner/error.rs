//! Why a command did not succeed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};

use super::{Output, Program};

/// Why a command did not succeed. `command` is its argument list as text.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not where the table says.
    #[error("{program} is not installed at {path}")]
    NotFound {
        /// The program.
        program: Program,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A value would have been taken for an option: a defect of ours; nothing was started.
    #[error("{command} was not started: {defect}")]
    BadArgument {
        /// The command.
        command: String,
        /// What is wrong with it.
        defect: String,
    },
    /// It ended with another status than 0, or by a signal.
    #[error("{command} {}", ended(.output))]
    NonZero {
        /// The command.
        command: String,
        /// What it printed, and how it ended.
        output: Box<Output>,
    },
    /// It was still running at its deadline and was ended.
    #[error("{command} did not end within {} s and was stopped", .limit.as_secs())]
    TimedOut {
        /// The command.
        command: String,
        /// Its deadline.
        limit: Duration,
        /// What it had printed.
        output: Box<Output>,
    },
    /// Its token was cancelled, before or while it ran.
    #[error("{command} was stopped because the job was cancelled")]
    Cancelled {
        /// The command.
        command: String,
        /// What it had printed.
        output: Box<Output>,
    },
    /// The operating system refused something.
    #[error("{command}: cannot {doing}")]
    Io {
        /// The command.
        command: String,
        /// What was refused.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
}

fn ended(output: &Output) -> String {
    match (output.code, output.signal) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

impl CommandError {
    /// Whether the command certainly never began, so that it changed nothing.
    #[must_use]
    pub const fn never_started(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::BadArgument { .. })
    }

    /// What the command printed, when it ran.
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        match self {
            Self::NonZero { output, .. }
            | Self::TimedOut { output, .. }
            | Self::Cancelled { output, .. } => Some(output),
            Self::NotFound { .. } | Self::BadArgument { .. } | Self::Io { .. } => None,
        }
    }

    /// The exit status, when the command ended by itself with one.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::NonZero { output, .. } => output.code,
            _ => None,
        }
    }

    /// As a failure. `class`, `what` and `advice` are for the case that the program itself failed;
    /// a missing program, a cancellation and a defect of ours name themselves.
    #[must_use]
    pub fn failure(&self, class: FailureClass, what: &str, advice: &str) -> Failure {
        let detail = self.detail();
        match self {
            Self::NotFound { program, path } => Failure::new(
                FailureClass::Host,
                self.to_string(),
                format!(
                    "install it, or set programs.{program} in /etc/freehold/agent.toml (looked for {})",
                    path.display()
                ),
            ),
            Self::BadArgument { .. } => Failure::new(
                FailureClass::Bug,
                self.to_string(),
                "report this with the output of `freehold-agent doctor`",
            ),
            Self::Cancelled { .. } => Failure::new(
                FailureClass::Cancelled,
                format!("{what}: the job was cancelled"),
                "queue a new job when the work is wanted again",
            ),
            Self::NonZero { .. } | Self::TimedOut { .. } | Self::Io { .. } => {
                Failure::new(class, what, advice)
            }
        }
        .with_detail(detail)
    }

    /// The error, its cause and the end of the program's output.
    #[must_use]
    pub fn detail(&self) -> String {
        let mut text = self.to_string();
        if let Self::Io { source, .. } = self {
            text.push_str(&format!("\ncaused by: {source}"));
        }
        if let Some(output) = self.output() {
            let printed = output.printed();
            if !printed.is_empty() {
                text.push_str("\noutput:\n");
                text.push_str(&printed);
            }
        }
        text
    }
}
