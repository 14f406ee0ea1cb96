//! How our types stand in columns: identifiers and digests as text, times as milliseconds.

use std::str::FromStr;

use freehold_protocol::time::Timestamp;
use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, Type},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::AppError;

fn bad(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// Reads a row's columns one after the other, in the order in which its statement names them: to find a
/// column by its name, SQLite is asked for every name before it.
pub(crate) struct Cells<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Cells<'r> {
    /// From the first column on.
    pub(crate) const fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    fn step(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// The next column.
    pub(crate) fn get<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.row.get(self.step())
    }

    /// The next column through `FromStr`.
    pub(crate) fn text<T>(&mut self) -> rusqlite::Result<T>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let index = self.step();
        let text = self.row.get_ref(index)?.as_str();
        text.map_err(|error| bad(index, error))?.parse().map_err(|error| bad(index, error))
    }

    /// The next column, which may be NULL, through `FromStr`.
    pub(crate) fn text_opt<T>(&mut self) -> rusqlite::Result<Option<T>>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let index = self.step();
        let text = self.row.get_ref(index)?.as_str_or_null();
        let text = text.map_err(|error| bad(index, error))?;
        text.map(|text| text.parse().map_err(|error| bad(index, error))).transpose()
    }

    /// The next column as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> rusqlite::Result<T> {
        let index = self.step();
        let text = self.row.get_ref(index)?.as_str().map_err(|error| bad(index, error))?;
        serde_json::from_str(text).map_err(|error| bad(index, error))
    }

    /// The next column, which may be NULL, as JSON.
    pub(crate) fn json_opt<T: DeserializeOwned>(&mut self) -> rusqlite::Result<Option<T>> {
        let index = self.step();
        let text = self.row.get_ref(index)?.as_str_or_null();
        let text = text.map_err(|error| bad(index, error))?;
        text.map(|text| serde_json::from_str(text).map_err(|error| bad(index, error))).transpose()
    }

    /// The next column as a time.
    pub(crate) fn time(&mut self) -> rusqlite::Result<Timestamp> {
        self.get().map(Timestamp::from_millis)
    }

    /// The next column, which may be NULL, as a time.
    pub(crate) fn time_opt(&mut self) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>()?.map(Timestamp::from_millis))
    }
}

/// Reads a column through `FromStr`.
pub(crate) fn text<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let index = row.as_ref().column_index(column)?;
    row.get_ref(index)?
        .as_str()
        .map_err(|error: FromSqlError| bad(index, error))?
        .parse()
        .map_err(|error| bad(index, error))
}

/// Reads a nullable column through `FromStr`.
pub(crate) fn text_opt<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let index = row.as_ref().column_index(column)?;
    let value: Option<String> = row.get(index)?;
    value.map(|value| value.parse().map_err(|error| bad(index, error))).transpose()
}

/// Reads a JSON column.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    let text = row.get_ref(index)?.as_str().map_err(|error: FromSqlError| bad(index, error))?;
    serde_json::from_str(text).map_err(|error| bad(index, error))
}

/// Reads a nullable JSON column.
pub(crate) fn json_opt<T: DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<T>> {
    let index = row.as_ref().column_index(column)?;
    let value: Option<String> = row.get(index)?;
    value.map(|value| serde_json::from_str(&value).map_err(|error| bad(index, error))).transpose()
}

/// Reads a time.
pub(crate) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// Reads a nullable time.
pub(crate) fn time_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// Writes JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, AppError> {
    Ok(serde_json::to_string(value)?)
}

/// Lets enums with one spelling stand in columns as that text.
macro_rules! spelled_columns {
    ($($name:ty),+) => { $(
        impl rusqlite::types::FromSql for $name {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                value
                    .as_str()?
                    .parse()
                    .map_err(|error: String| rusqlite::types::FromSqlError::Other(error.into()))
            }
        }
        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
    )+ };
}

spelled_columns!(
    crate::domain::job::JobState,
    crate::domain::request::DeploymentModel,
    crate::domain::request::RequestStatus,
    crate::domain::tenant::TenantStatus,
    super::hosts::HostState
);
