//! What every command gets: where to print, how, and the portal.

use std::{
    fmt::Display,
    io::{self, Write},
};

use freehold_protocol::time::Timestamp;
use serde::Serialize;

use super::{
    error::CliError,
    output::{Paint, Table, Terminal},
    remote::{Client, ConnectArgs, resolve},
};
use crate::clock::{Clock, SystemClock};

/// The surroundings of one command.
pub(crate) struct Ctx {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    /// Whether programs read the output.
    pub(crate) json: bool,
    /// Whether and how a person reads the output.
    pub(crate) terminal: Terminal,
    /// Colors.
    pub(crate) paint: Paint,
    /// How the portal is reached.
    pub(crate) connect: ConnectArgs,
    /// The clock.
    pub(crate) clock: Box<dyn Clock>,
}

impl Ctx {
    /// The surroundings of the process.
    pub(crate) fn of_process(json: bool, connect: ConnectArgs) -> Self {
        let terminal = Terminal::detect();
        Self {
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            json,
            terminal,
            paint: Paint(terminal.color),
            connect,
            clock: Box::new(SystemClock),
        }
    }

    /// A client of the portal that flags, environment or the stored login name.
    ///
    /// # Errors
    /// When there is none, or its certificate authorities cannot be read.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        Ok(Client::new(&resolve(&self.connect)?)?)
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Prints a text as it is.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.stdout
            .write_all(text.as_bytes())
            .and_then(|()| self.stdout.flush())
            .map_err(|error| CliError::output(&error))
    }

    /// Prints a line.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), CliError> {
        self.text(&format!("{line}\n"))
    }

    /// Prints a table, as wide as the terminal.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn table(&mut self, table: &Table) -> Result<(), CliError> {
        let text = table.render(self.terminal.width());
        self.text(&text)
    }

    /// Prints a value: as JSON for programs, else what `human` makes of it.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn show<T: Serialize>(
        &mut self,
        value: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        if self.json { self.document(value) } else { self.text(&human(value)) }
    }

    /// Prints entries: as a JSON array for programs, else as a table.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn entries<T: Serialize>(
        &mut self,
        entries: &[T],
        none: &str,
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<(), CliError> {
        if self.json {
            return self.document(&entries);
        }
        if entries.is_empty() {
            self.note(none);
            return Ok(());
        }
        self.table(&table(entries))
    }

    /// Prints a JSON document with line breaks.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn document<T: Serialize>(&mut self, value: &T) -> Result<(), CliError> {
        let text =
            serde_json::to_string_pretty(value).map_err(|error| CliError::output(&error.into()))?;
        self.line(text)
    }

    /// Prints a JSON document on one line, for streams.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(crate) fn document_line<T: Serialize>(&mut self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(|error| CliError::output(&error.into()))?;
        self.line(text)
    }

    /// Tells the person something that is not output of the command, on standard error.
    pub(crate) fn note(&mut self, note: impl Display) {
        if writeln!(self.stderr, "{note}").is_err() {
            // Nobody reads it; the command's work is not the worse for it.
        }
    }

    /// Prints what went wrong.
    pub(crate) fn fail(&mut self, error: &CliError) {
        let text = if self.json { error.json() } else { error.human() };
        if !error.silent && self.stderr.write_all(text.as_bytes()).is_err() {
            // Nobody reads it; the exit code still says it.
        }
    }
}

impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("json", &self.json).finish_non_exhaustive()
    }
}
