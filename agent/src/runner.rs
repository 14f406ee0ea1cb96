//! The only place that starts a process.
//!
//! A caller builds an [`Argv`] from literal words and values that cannot be mistaken for options,
//! gives [`Limits`], and gets an [`Output`] or a [`CommandError`]. There is no shell. A child gets a
//! clean environment, no terminal, its own process group and a deadline; when the call returns,
//! nothing that the child started is left, unless it changed both its group and its environment.
//!
//! [`System`] is the real thing; [`Script`] is a list of expected commands for tests.

mod argv;
mod cancel;
mod error;
mod output;
mod program;
mod reap;
mod script;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use freehold_protocol::secret::Secret;

pub use argv::{Argv, Destination, Stdin, Word};
pub use cancel::{Activity, CancelToken};
pub use error::CommandError;
pub use output::{Output, Stream, Text, printable, redact};
pub use program::{Program, Programs};
pub use script::{Reply, Script};
pub use system::System;

/// How long a command may take and how much of its output is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After this the whole process group is ended.
    pub deadline: Duration,
    /// Bytes kept of each output stream: the head and the tail; the middle is counted, not kept.
    pub output_bytes: usize,
    /// Whether its lines are told to people while it runs.
    pub lines: Lines,
}

/// What becomes of the lines that a command prints, besides being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// They are progress: people see them while the command runs.
    Told,
    /// They are an answer to a question of ours, which nobody else wants to read.
    Kept,
}

impl Limits {
    /// A question that is answered at once, such as `docker inspect`.
    pub const QUERY: Self =
        Self { deadline: Duration::from_secs(60), output_bytes: 8 << 20, lines: Lines::Kept };
    /// A local change, such as a reload.
    pub const CHANGE: Self =
        Self { deadline: Duration::from_secs(120), output_bytes: 256 << 10, lines: Lines::Kept };

    /// A command that may take as long as the caller says, with an ordinary amount of output.
    #[must_use]
    pub const fn within(deadline: Duration) -> Self {
        Self { deadline, output_bytes: 256 << 10, lines: Lines::Told }
    }

    /// The same for a question.
    #[must_use]
    pub const fn kept(mut self) -> Self {
        self.lines = Lines::Kept;
        self
    }
}

/// What a caller lends to a running command: a way to stop it, ears for its output, and the secrets
/// that must not come back in it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Ends the command at once when it is cancelled.
    pub cancel: &'a CancelToken,
    /// Is touched whenever the command prints something.
    pub activity: &'a Activity,
    /// Gets each line as it comes, cleaned and redacted, on the calling thread. It must be quick;
    /// limiting the rate is its own matter.
    pub on_line: &'a dyn Fn(Stream, &str),
    /// Values to replace by `***` in lines, output and errors.
    pub secrets: &'a [Secret],
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("cancel", self.cancel).finish_non_exhaustive()
    }
}

/// Something that carries out commands.
pub trait Runner: fmt::Debug + Send + Sync {
    /// Runs a command to its end and returns what it printed.
    ///
    /// # Errors
    /// Whatever is not an exit with status 0; see [`CommandError`].
    fn run(&self, argv: &Argv, limits: Limits, watch: Watch<'_>) -> Result<Output, CommandError>;

    /// Whether a program is where it should be.
    fn has(&self, _program: Program) -> bool {
        true
    }
}

/// A runner together with what watches its commands: the context that every function of
/// [`crate::host`] that acts takes first.
#[derive(Debug, Clone, Copy)]
pub struct Commands<'a> {
    /// Who runs.
    pub runner: &'a dyn Runner,
    /// Who watches.
    pub watch: Watch<'a>,
}

impl<'a> Commands<'a> {
    /// Puts both together.
    #[must_use]
    pub const fn new(runner: &'a dyn Runner, watch: Watch<'a>) -> Self {
        Self { runner, watch }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn run(&self, argv: &Argv, limits: Limits) -> Result<Output, CommandError> {
        let watch = match limits.lines {
            Lines::Told => self.watch,
            Lines::Kept => Watch { on_line: &|_, _| (), ..self.watch },
        };
        self.runner.run(argv, limits, watch)
    }

    /// Two questions at the same time, which take as long as the slower one: a program of Docker's
    /// takes longer to start than the engine to answer. What the first prints is told to nobody.
    pub fn both<A: Send, B>(
        &self,
        first: impl FnOnce(&Commands<'_>) -> A + Send,
        second: impl FnOnce(&Self) -> B,
    ) -> (A, B) {
        let Watch { cancel, activity, secrets, .. } = self.watch;
        let runner = self.runner;
        std::thread::scope(|scope| {
            let first = scope.spawn(move || {
                let watch = Watch { cancel, activity, on_line: &|_, _| (), secrets };
                first(&Commands::new(runner, watch))
            });
            let second = second(self);
            match first.join() {
                Ok(first) => (first, second),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The same runner that keeps other secrets out of its output.
    #[must_use]
    pub const fn with_secrets(mut self, secrets: &'a [Secret]) -> Self {
        self.watch.secrets = secrets;
        self
    }
}
