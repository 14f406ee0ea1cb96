//! The last inventory of a host, for those who look.

use freehold_protocol::{ids::HostId, report::HostFacts, time::Timestamp, wire::ReservedPort};
use rusqlite::OptionalExtension;

use super::{Read, row::json};
use crate::error::AppError;

/// When it came, its facts and its reserved ports.
///
/// # Errors
/// When the database fails.
pub fn last(
    read: &Read<'_>,
    host: HostId,
) -> Result<Option<(Timestamp, HostFacts, Vec<ReservedPort>)>, AppError> {
    Ok(read
        .sql()
        .prepare_cached("SELECT received_at, facts, ports FROM inventories WHERE host_id = ?1")?
        .query_row([host.to_string()], |row| {
            Ok((Timestamp::from_millis(row.get(0)?), json(row, 1)?, json(row, 2)?))
        })
        .optional()?)
}
