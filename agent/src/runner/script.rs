//! A runner that follows a script, for unit tests of everything above the runner.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Argv, CommandError, Limits, Output, Runner, Stream, Text, Watch};

/// What a scripted command answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Exit status 0 with this standard output.
    Prints(String),
    /// Exit status 0 with more than is kept of an output.
    PrintsTooMuch,
    /// Another exit status with this standard error.
    Fails(i32, String),
    /// Still running at the deadline.
    TimesOut,
    /// Not installed.
    IsMissing,
}

/// Expected commands in order, each with its answer. The first surprise fails the test, and so does
/// dropping it with expectations left.
#[derive(Debug, Default)]
pub struct Script(Mutex<VecDeque<(String, Reply)>>);

impl Script {
    /// A script that expects nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects a command, given as [`Argv`] displays itself; a final `*` stands for any rest.
    #[must_use]
    pub fn expect(self, command: &str, reply: Reply) -> Self {
        self.steps().push_back((command.to_owned(), reply));
        self
    }

    /// Expects a command that succeeds and prints this.
    #[must_use]
    pub fn prints(self, command: &str, stdout: &str) -> Self {
        self.expect(command, Reply::Prints(stdout.to_owned()))
    }

    /// Expects a command that exits with this status and prints this on standard error.
    #[must_use]
    pub fn fails(self, command: &str, code: i32, stderr: &str) -> Self {
        self.expect(command, Reply::Fails(code, stderr.to_owned()))
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, VecDeque<(String, Reply)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let steps = self.steps();
            assert!(steps.is_empty(), "commands that were expected and not run: {steps:?}");
        }
    }
}

impl Runner for Script {
    fn run(&self, argv: &Argv, _limits: Limits, watch: Watch<'_>) -> Result<Output, CommandError> {
        let command = argv.to_string();
        assert!(argv.defect().is_none(), "{command}: {:?}", argv.defect());
        if watch.cancel.is_cancelled() {
            return Err(CommandError::Cancelled { command, output: Box::default() });
        }
        let next = self.steps().pop_front();
        let Some((expected, reply)) = next else {
            panic!("a command that the script does not expect: {command}")
        };
        let fits = match expected.strip_suffix('*') {
            Some(start) => command.starts_with(start),
            None => command == expected,
        };
        assert!(fits, "the script expects\n  {expected}\nand got\n  {command}");
        watch.activity.touch();
        let text = |head: &str| Text { head: head.to_owned(), ..Text::default() };
        match reply {
            Reply::Prints(stdout) => {
                stdout.lines().for_each(|line| (watch.on_line)(Stream::Stdout, line));
                Ok(Output { code: Some(0), stdout: text(&stdout), ..Output::default() })
            }
            Reply::PrintsTooMuch => {
                let stdout = Text { dropped: 1, ..Text::default() };
                Ok(Output { code: Some(0), stdout, ..Output::default() })
            }
            Reply::Fails(code, stderr) => {
                stderr.lines().for_each(|line| (watch.on_line)(Stream::Stderr, line));
                let output =
                    Output { code: Some(code), stderr: text(&stderr), ..Output::default() };
                Err(CommandError::NonZero { command, output: Box::new(output) })
            }
            Reply::TimesOut => Err(CommandError::TimedOut {
                command,
                limit: Duration::from_secs(1),
                output: Box::default(),
            }),
            Reply::IsMissing => Err(CommandError::NotFound {
                program: argv.program(),
                path: argv.program().default_path().into(),
            }),
        }
    }
}
