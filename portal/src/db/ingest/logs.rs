//! Lines of logs: written in the order of arrival, read by time or by arrival.

use freehold_protocol::time::Timestamp;
use rusqlite::{Row, params, types::ValueRef};

use super::{IngestRead, IngestTx, TenantNumber};
use crate::{domain::ingest::Level, error::AppError};

/// Lines that one question looks at, whether they fit or not: its time is bounded, and the answer says
/// where to go on.
pub const SCAN: u32 = 20_000;

/// A line that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// When it was written.
    pub at: Timestamp,
    /// How grave it is.
    pub level: Level,
    /// What it says.
    pub message: String,
    /// JSON as it was sent.
    pub context: Option<String>,
    /// Whom it is about.
    pub user_id: Option<String>,
    /// From where.
    pub ip: Option<String>,
}

/// A line that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRow {
    /// Its place in the order of arrival.
    pub id: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// What came.
    pub line: NewLine,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
    /// At least this grave.
    pub level: Option<Level>,
    /// Only those with this text, in any case.
    pub text: Option<Wanted>,
}

/// A text that is looked for, whatever the case of its letters.
#[derive(Debug, Clone)]
pub struct Wanted {
    folded: String,
}

impl Wanted {
    /// This text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { folded: fold(text) }
    }

    /// Whether a text holds it.
    fn is_in(&self, text: &[u8]) -> bool {
        if self.folded.is_ascii() {
            return holds(text, self.folded.as_bytes());
        }
        // Most lines are ASCII and cannot hold it.
        !text.is_ascii()
            && std::str::from_utf8(text).is_ok_and(|text| fold(text).contains(&self.folded))
    }
}

/// A text in lower case, letter by letter: `str::to_lowercase` has another sigma at the end of a word.
fn fold(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

/// In which order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The lines.
    pub lines: Vec<LineRow>,
    /// Where to go on; none when there is nothing more.
    pub next: Option<(Timestamp, u64)>,
}

/// Writes lines.
///
/// # Errors
/// When the database fails.
pub fn insert(tx: &IngestTx<'_>, tenant: TenantNumber, lines: &[NewLine]) -> Result<(), AppError> {
    let count = lines.len() as u64;
    let next: u64 = tx
        .sql()
        .prepare_cached(
            "UPDATE counters SET value = value + ?1 WHERE name = 'next_line' RETURNING value",
        )?
        .query_row([count], |row| row.get(0))?;
    let now = tx.now().as_millis();
    let mut statement = tx.sql().prepare_cached(
        "INSERT INTO log_lines (id, tenant_id, at, received_at, level, message, context, user_id, ip)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for (id, line) in (next - count..).zip(lines) {
        let (at, level) = (line.at.as_millis(), line.level as u8);
        let NewLine { message, context, user_id, ip, .. } = line;
        statement.execute(params![id, tenant, at, now, level, message, context, user_id, ip])?;
    }
    Ok(())
}

/// The number of the line that came last.
///
/// # Errors
/// When the database fails.
pub fn last_id(read: &IngestRead<'_>) -> Result<u64, AppError> {
    let next: u64 = read
        .sql()
        .prepare_cached("SELECT value FROM counters WHERE name = 'next_line'")?
        .query_row([], |row| row.get(0))?;
    Ok(next - 1)
}

const COLUMNS: &str = "id, at, received_at, level, message, context, user_id, ip";

fn line(row: &Row<'_>) -> rusqlite::Result<LineRow> {
    Ok(LineRow {
        id: row.get(0)?,
        received_at: Timestamp::from_millis(row.get(2)?),
        line: NewLine {
            at: Timestamp::from_millis(row.get(1)?),
            // A number that no version of ours has written is shown as the most ordinary level.
            level: Level::of_severity(row.get(3)?).unwrap_or(Level::Info),
            message: row.get(4)?,
            context: row.get(5)?,
            user_id: row.get(6)?,
            ip: row.get(7)?,
        },
    })
}

/// Whether a line is one of those that are wanted, read without making it whole.
fn fits(row: &Row<'_>, filter: &Filter) -> rusqlite::Result<bool> {
    if let Some(level) = filter.level
        && row.get::<_, u8>(3)? < level as u8
    {
        return Ok(false);
    }
    let at: i64 = row.get(1)?;
    if filter.from.is_some_and(|from| at < from.as_millis())
        || filter.to.is_some_and(|to| at > to.as_millis())
    {
        return Ok(false);
    }
    let Some(text) = &filter.text else { return Ok(true) };
    for column in 4..8 {
        if let ValueRef::Text(found) = row.get_ref(column)?
            && text.is_in(found)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a text holds another one, whatever the case of ASCII letters.
fn holds(text: &[u8], wanted: &[u8]) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    let Some(last) = text.len().checked_sub(wanted.len()) else { return false };
    (0..=last).any(|at| {
        text[at].eq_ignore_ascii_case(first)
            && text[at + 1..=at + rest.len()].eq_ignore_ascii_case(rest)
    })
}

/// Lines by time, after a place; lines of the same moment in the order of arrival.
///
/// # Errors
/// When the database fails.
pub fn by_time(
    read: &IngestRead<'_>,
    tenant: TenantNumber,
    filter: &Filter,
    order: Order,
    after: Option<(Timestamp, u64)>,
    limit: u32,
) -> Result<Found, AppError> {
    let (compare, direction, start) = match order {
        Order::Newest => ("<", "DESC", (i64::MAX, i64::MAX)),
        Order::Oldest => (">", "ASC", (i64::MIN, i64::MIN)),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM log_lines
          WHERE tenant_id = ?1 AND (at, id) {compare} (?2, ?3) AND at >= ?4 AND at <= ?5
          ORDER BY at {direction}, id {direction} LIMIT ?6"
    );
    let place =
        |(at, id): (Timestamp, u64)| (at.as_millis(), i64::try_from(id).unwrap_or(i64::MAX));
    let (at, id) = after.map_or(start, place);
    let from = filter.from.map_or(i64::MIN, Timestamp::as_millis);
    let to = filter.to.map_or(i64::MAX, Timestamp::as_millis);
    let mut statement = read.sql().prepare_cached(&sql)?;
    let mut rows = statement.query(params![tenant, at, id, from, to, SCAN + 1])?;
    let mut found = Found { lines: Vec::new(), next: None };
    let (mut seen, mut place) = (0, None);
    while let Some(row) = rows.next()? {
        if seen == SCAN || found.lines.len() == limit as usize {
            found.next = place;
            break;
        }
        seen += 1;
        place = Some((Timestamp::from_millis(row.get(1)?), row.get(0)?));
        if fits(row, filter)? {
            found.lines.push(line(row)?);
        }
    }
    Ok(found)
}

/// Lines in the order of arrival, after the one with a number; and the number after which to go on.
///
/// # Errors
/// When the database fails.
pub fn arrived(
    read: &IngestRead<'_>,
    tenant: TenantNumber,
    filter: &Filter,
    after: u64,
    limit: u32,
) -> Result<(Vec<LineRow>, u64), AppError> {
    let until = last_id(read)?.min(after.saturating_add(u64::from(SCAN)));
    // By number, not by the index: new lines are few, and a tenant's lines may be millions.
    let sql = format!(
        "SELECT {COLUMNS} FROM log_lines WHERE id > ?1 AND id <= ?2 AND +tenant_id = ?3 ORDER BY id"
    );
    let mut statement = read.sql().prepare_cached(&sql)?;
    let mut rows = statement.query(params![after, until, tenant])?;
    let mut lines: Vec<LineRow> = Vec::new();
    while let Some(row) = rows.next()? {
        if fits(row, filter)? {
            let line = line(row)?;
            let id = line.id;
            lines.push(line);
            if lines.len() == limit as usize {
                return Ok((lines, id));
            }
        }
    }
    Ok((lines, until.max(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_every_alphabet_are_found_in_any_case() {
        for (wanted, text, is_there) in [
            ("payment", "PAYMENT failed", true),
            ("PAYMENT", "a payment", true),
            ("payments", "payment", false),
            ("MÜLLER", "müller war da", true),
            ("müller", "MÜLLER", true),
            ("mueller", "Müller", false),
            ("ÉTÉ", "en été", true),
            ("ПРИВЕТ", "привет, мир", true),
            ("ΣΑΣ", "σας", true),
            ("σασ", "ΣΑΣ", true),
            ("ü", "plain ascii", false),
            ("x", "größer x", true),
            ("日本", "日本語", true),
        ] {
            assert_eq!(Wanted::new(wanted).is_in(text.as_bytes()), is_there, "{wanted} in {text}");
        }
        // What is no text holds none.
        assert!(!Wanted::new("ü").is_in(b"\xff\xfe"));
    }
}
