//! What SQLite's answers mean to us: a guarded update that found nothing, a taken value, a failed disk.

use rusqlite::ErrorCode;

use crate::error::{AppError, Kind};

/// Fails unless a guarded update changed exactly one row: the row was no longer in the state that
/// the statement named.
///
/// # Errors
/// [`Kind::Conflict`] with the code `transition_refused`.
pub fn expect_one(changed: usize, what: &'static str) -> Result<(), AppError> {
    match changed {
        1 => Ok(()),
        0 => Err(AppError::conflict(
            "transition_refused",
            format!("the {what} was changed by somebody else at the same moment"),
        )
        .advice("read it again and repeat the request if it still applies")),
        more => Err(AppError::bug(format!("an update of one {what} changed {more} rows"))),
    }
}

/// Whether a statement failed because a unique value is taken.
#[must_use]
pub fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(e, _)
        if matches!(e.extended_code, rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY))
}

/// Whether a statement failed because the file or the disk did.
#[must_use]
pub fn is_storage_failure(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::NotADatabase
        )
    )
}

impl From<rusqlite::Error> for AppError {
    /// Any SQL error that nobody expected. Expected ones (a taken name) are told apart before, with
    /// [`is_unique_violation`].
    fn from(error: rusqlite::Error) -> Self {
        if is_storage_failure(&error) {
            return storage_failed().because(error);
        }
        Self::bug("the database refused a statement").because(error)
    }
}

/// The code of [`storage_failed`].
pub(super) const STORAGE_FAILED: &str = "storage_failed";

/// The answer while the database cannot be written.
#[must_use]
pub fn storage_failed() -> AppError {
    AppError::new(
        Kind::Unavailable { retry_after_secs: 10 },
        STORAGE_FAILED,
        "the portal cannot write its database; nothing was changed",
    )
    .advice("look at the portal's log and at the free space of its disk")
}
