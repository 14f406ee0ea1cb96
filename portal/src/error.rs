//! The one error of the portal's inner layers.
//!
//! It says who is at fault ([`Kind`]), a stable code for programs, and a message for the person who
//! asked. Causes stay inside: they are logged once, where the error becomes a response, and never
//! travel.

use std::{error::Error as StdError, fmt};

use freehold_protocol::{ids::ParseIdError, problem::FieldError};

/// Who should act, and so which HTTP status is answered. `http/respond.rs` maps it, exhaustively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be read at all.
    BadRequest,
    /// Nobody has proved who is asking.
    Unauthenticated,
    /// Whoever asks may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The thing's state does not allow it, or the name is taken.
    Conflict,
    /// The thing was there and is gone for good (a used or expired token).
    Gone,
    /// The thing has changed since it was read (`If-Match`).
    PreconditionFailed,
    /// The change must name the version that it is based on (`If-Match` is missing).
    PreconditionRequired,
    /// The body is too large.
    TooLarge,
    /// The address has other methods.
    MethodNotAllowed,
    /// The body is of a media type that is not taken here.
    UnsupportedMedia,
    /// The request reads well, but single fields are wrong.
    Invalid,
    /// Too many requests.
    TooMany {
        /// Seconds after which to try again.
        retry_after_secs: u32,
    },
    /// A defect or fault of the portal.
    Internal,
    /// The portal cannot do it now, but will later.
    Unavailable {
        /// Seconds after which to try again.
        retry_after_secs: u32,
    },
}

/// What every intention, query and handler may fail with.
#[derive(Debug)]
pub struct AppError {
    /// Who should act.
    pub kind: Kind,
    /// A stable code in snake case, for programs.
    pub code: &'static str,
    /// What went wrong, for the person who asked: one sentence without full stop.
    pub message: String,
    /// What that person can do; empty when the message says it.
    pub advice: String,
    /// The single fields that were refused.
    pub fields: Vec<FieldError>,
    /// The cause, for the log only.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl AppError {
    /// An error without advice, fields or cause.
    #[must_use]
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            advice: String::new(),
            fields: Vec::new(),
            source: None,
        }
    }

    /// The same error with what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with one more refused field; `pointer` is a JSON pointer (`/slug`).
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.fields.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// There is no such thing; `what` is a noun (`job`), `id` is what was asked for.
    #[must_use]
    pub fn not_found(what: &'static str, id: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, "not_found", format!("there is no {what} {id}"))
    }

    /// The state does not allow it.
    #[must_use]
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, message)
    }

    /// One wrong field.
    #[must_use]
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "invalid", "a field was refused").field(pointer, detail)
    }

    /// One field whose text does not parse.
    #[must_use]
    pub fn invalid_id(pointer: impl Into<String>, error: &ParseIdError) -> Self {
        Self::invalid(pointer, error.to_string())
    }

    /// A body that is not JSON, or JSON of another shape, with its place and field.
    #[must_use]
    pub fn unreadable_json(error: &serde_json::Error) -> Self {
        let place = format!("line {}, column {}", error.line(), error.column());
        if error.is_data() {
            let text = error.to_string();
            // The field stands between backticks; the position follows at the end.
            let what = text.split(" at line ").next().unwrap_or_default();
            let quoted = what.split('`').nth(1).unwrap_or_default();
            let names_a_field = ["unknown field", "missing field", "duplicate field"];
            let (pointer, detail) = if what.starts_with("wrong type at ") {
                // A pointer already; and no line, because it was found after the reading.
                (quoted.to_owned(), what.to_owned())
            } else if names_a_field.iter().any(|start| what.starts_with(start)) {
                let pointer = format!("/{}", quoted.replace('~', "~0").replace('/', "~1"));
                (pointer, format!("{what} ({place})"))
            } else {
                (String::new(), format!("{what} ({place})"))
            };
            return Self::new(Kind::Invalid, "invalid", "the body has the wrong shape")
                .advice("docs/api.md shows the fields")
                .field(pointer, detail);
        }
        let message = format!("the body is not JSON: {error}");
        Self::new(Kind::BadRequest, "malformed_json", message)
            .advice(format!("correct it at {place}"))
    }

    /// A defect: something that cannot be, is.
    #[must_use]
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, "internal", message)
            .advice("look up the request id in the portal's log and report it")
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for AppError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

impl From<serde_json::Error> for AppError {
    /// JSON that the portal itself wrote and cannot read or write again.
    fn from(error: serde_json::Error) -> Self {
        Self::bug("a stored document is not what this version writes").because(error)
    }
}

/// An error and all its causes in one line, for the log.
#[must_use]
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
