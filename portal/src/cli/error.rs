//! The one error of the command line and how it is printed: error, fields, causes, hints.

use std::{error::Error as StdError, fmt::Write as _, io};

use freehold_protocol::problem::FieldError;
use serde::Serialize;

use super::output::clean;
use crate::exit::Exit;

/// What a person is told when a command does not work.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CliError {
    /// How the program ends.
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// The portal's code, when the portal refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) code: String,
    /// What went wrong, one sentence without full stop.
    pub(crate) message: String,
    /// The single fields that were refused.
    pub(crate) fields: Vec<FieldError>,
    /// Why, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do.
    pub(crate) hints: Vec<String>,
    /// Finds the matching lines in the portal's log.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) request_id: String,
    /// Whether nothing is to be said: the reader of our output has gone.
    #[serde(skip)]
    pub(crate) silent: bool,
}

impl CliError {
    /// An error without cause or hint.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: String::new(),
            message: message.into(),
            fields: Vec::new(),
            causes: Vec::new(),
            hints: Vec::new(),
            request_id: String::new(),
            silent: false,
        }
    }

    /// The same error with its cause and that cause's causes.
    pub(crate) fn because(mut self, source: &(dyn StdError + 'static)) -> Self {
        self.causes.push(source.to_string());
        self.causes.extend(causes_of(source));
        self
    }

    /// The same error with one more thing to do; an empty text adds nothing.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !hint.is_empty() {
            self.hints.push(hint);
        }
        self
    }

    /// Our output could not be written. A reader that has gone (`| head`) is not an error.
    pub(crate) fn output(error: &io::Error) -> Self {
        let gone = error.kind() == io::ErrorKind::BrokenPipe;
        let exit = if gone { Exit::Ok } else { Exit::Failed };
        let mut shown = Self::new(exit, "the output cannot be written").because(error);
        shown.silent = gone;
        shown
    }

    /// The text for a terminal. Everything that came from elsewhere loses its control characters.
    pub(crate) fn human(&self) -> String {
        let mut text = format!("error: {}\n", clean(&self.message));
        let mut add = |label: &str, value: &str| {
            let mut lines = value.lines().map(clean);
            let first = lines.next().unwrap_or_default();
            // Writing to a string does not fail.
            text.push_str(&format!("  {label}: {first}\n"));
            for line in lines {
                text.push_str(&format!("    {line}\n"));
            }
        };
        for field in &self.fields {
            add(&clean(&field.pointer), &field.detail);
        }
        for cause in &self.causes {
            add("caused by", cause);
        }
        for hint in &self.hints {
            add("hint", hint);
        }
        if !self.request_id.is_empty() {
            add("request", &self.request_id);
        }
        text
    }

    /// The document for programs.
    pub(crate) fn json(&self) -> String {
        let mut text = String::from("{\"error\":");
        match serde_json::to_value(self) {
            Ok(mut value) => {
                value["exitCode"] = self.exit.code().into();
                text.push_str(&value.to_string());
            }
            Err(error) => {
                let written = write!(text, "{{\"message\":\"{error}\"}}");
                debug_assert!(written.is_ok(), "writing to a string does not fail");
            }
        }
        text.push_str("}\n");
        text
    }
}

/// The causes of an error, the error itself not included.
pub(crate) fn causes_of(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some libraries repeat the cause's text in their own.
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_fields_causes_and_hints() {
        let mut error = CliError::new(Exit::Invalid, "a field was refused")
            .because(&io::Error::other("the line\nhas two"))
            .hint("fix it")
            .hint("");
        error
            .fields
            .push(FieldError { pointer: "/slug".into(), detail: "use a-z\u{1b}[2J".into() });
        error.request_id = "r-1".into();
        assert_eq!(
            error.human(),
            "error: a field was refused\n  /slug: use a-z\u{fffd}[2J\n  caused by: the line\n    has two\n  hint: fix it\n  request: r-1\n"
        );
        let json: serde_json::Value = serde_json::from_str(&error.json()).unwrap();
        assert_eq!(json["error"]["exitCode"], 7);
        assert_eq!(json["error"]["fields"][0]["pointer"], "/slug");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let error = CliError::output(&io::ErrorKind::BrokenPipe.into());
        assert!(error.silent);
        assert_eq!(error.exit, Exit::Ok);
    }
}
