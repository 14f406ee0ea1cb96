//! Reads columns into the types that only parse.

use std::{error::Error, fmt, str::FromStr};

use rusqlite::{Row, types::Type};
use serde::de::DeserializeOwned;

/// A stored text that its type refuses: the database was changed by hand, or by a newer version.
#[derive(Debug)]
struct BadText(String);

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Error for BadText {}

fn bad(index: usize, why: impl fmt::Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(BadText(why.to_string())))
}

/// A text column as a type that parses.
pub(super) fn column<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let text: String = row.get(index)?;
    text.parse().map_err(|error| bad(index, error))
}

/// A text column that may be NULL.
pub(super) fn optional<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let text: Option<String> = row.get(index)?;
    text.map(|text| text.parse().map_err(|error| bad(index, error))).transpose()
}

/// A JSON column.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|error| bad(index, error))
}

/// A JSON column that may be NULL.
pub(super) fn optional_json<T: DeserializeOwned>(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(index)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| bad(index, error))).transpose()
}
