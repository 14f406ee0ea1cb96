//! Logs and usage end: lines by age, and by size once the database is larger than it may be; batch ids a
//! while after their lines, and before that once a tenant's take more than its share; usage by age.
//!
//! Rows are deleted, not tables of days dropped: measured on a file with a million lines, two thousand lines
//! take about ten milliseconds and five hundred pages go back in less, while dropping a table of six hundred
//! thousand lines held the writer for two and a half seconds.
//!
//! It goes in small batches with a pause behind each, so that what comes in never waits for more than
//! one of them. Pages that are empty go back to the disk in the same way.

use std::time::Duration;

use freehold_protocol::time::Timestamp;

use crate::{
    db::ingest::{
        IngestDb,
        batches::{self, BatchKind, Kept},
        retention::{self, Size},
    },
    domain::ingest::{DAY_MILLIS, MAX_USAGE_AGE_DAYS, day},
    error::AppError,
    ingest::Keep,
};

/// Lines of one batch: some ten milliseconds.
const LINES: u32 = 2_000;
/// Rows of other tables of one batch.
const ROWS: u32 = 500;
/// Pages that go back to the disk at once.
const PAGES: u32 = 500;
/// Empty pages that are left for what comes next.
const SPARE_PAGES: u64 = 256;
/// Pause after a batch.
const PAUSE: Duration = Duration::from_millis(10);
/// Days for which the id of a batch is remembered at least, also when its lines are gone by size.
const BATCH_DAYS: u32 = 7;
/// Days for which the id of a batch of usage is remembered at least. Its values are taken for so long, with minutes for
/// clocks that differ: forgotten earlier, a batch that is sent again would be billed twice.
const USAGE_BATCH_DAYS: u32 = MAX_USAGE_AGE_DAYS + 1;
/// The part of the database that ids of one tenant's batches may take: a sixteenth. Without it a tenant that sends
/// nothing but empty batches would drive everybody's lines out.
const SHARE_OF_TENANT: u64 = 16;
/// The part that ids of all tenants' batches may take: a quarter.
const SHARE_OF_ALL: u64 = 4;
/// Days for which it is known what each tenant sent.
const TRAFFIC_DAYS: i64 = 60;

/// What one round has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Lines by age.
    pub by_age: usize,
    /// Lines by size.
    pub by_size: usize,
    /// Ids of batches by age.
    pub batches: usize,
    /// Ids of batches by size.
    pub batches_by_size: usize,
    /// Days of usage and traffic.
    pub days: usize,
}

/// One round: goes on until nothing is left to take away, or `stop` says so.
///
/// # Errors
/// When the database fails; the next round goes on.
pub fn sweep(db: &IngestDb, keep: &Keep, stop: &dyn Fn() -> bool) -> Result<Swept, AppError> {
    let now = db.now();
    let ago = |days: u32| now.plus_millis(-i64::from(days) * DAY_MILLIS);
    let (lines, of_logs) = (ago(keep.log_days), ago(keep.log_days.max(BATCH_DAYS)));
    let of_usage = ago(keep.log_days.max(USAGE_BATCH_DAYS));
    let usage_before = day(now) - i64::from(keep.usage_days);
    let mut swept = Swept {
        by_age: repeat(stop, || db.write(move |tx| retention::delete_lines(tx, lines, LINES)))?,
        batches: repeat(stop, || {
            db.write(move |tx| {
                let logs = retention::delete_batches(tx, BatchKind::Logs, of_logs, ROWS)?;
                Ok(logs + retention::delete_batches(tx, BatchKind::Usage, of_usage, ROWS)?)
            })
        })?,
        batches_by_size: repeat(stop, || {
            forget_largest(db, |kept| {
                kept.of_most > keep.max_bytes / SHARE_OF_TENANT
                    || kept.total > keep.max_bytes / SHARE_OF_ALL
            })
        })?,
        days: repeat(stop, || {
            db.write(move |tx| {
                retention::delete_days(tx, usage_before, day(now) - TRAFFIC_DAYS, ROWS)
            })
        })?,
        by_size: 0,
    };
    while used(db)? > keep.max_bytes && !stop() {
        let all = Timestamp::from_millis(i64::MAX);
        let lines = db.write(move |tx| retention::delete_lines(tx, all, LINES))?;
        swept.by_size += lines;
        if lines == 0 {
            let ids = forget_largest(db, |_| true)?;
            if ids == 0 {
                tracing::warn!(
                    "usage alone takes more than keep_logs_mb: no line of a log can be kept; raise keep_logs_mb \
                     or lower keep_usage_days"
                );
                break;
            }
            swept.batches_by_size += ids;
        }
        std::thread::sleep(PAUSE);
    }
    give_back(db, stop)?;
    if swept != Swept::default() {
        tracing::info!(?swept, "took old logs and usage away");
    }
    Ok(swept)
}

/// Forgets some ids of the tenant whose ids take most, if that is too much.
fn forget_largest(db: &IngestDb, is_too_much: impl Fn(&Kept) -> bool) -> Result<usize, AppError> {
    match db.read(batches::kept)? {
        Some(kept) if is_too_much(&kept) => {
            db.write(move |tx| retention::delete_batches_of(tx, kept.most, ROWS))
        }
        _ => Ok(0),
    }
}

fn used(db: &IngestDb) -> Result<u64, AppError> {
    let Size { file, free, .. } = db.read(retention::size)?;
    Ok(file - free)
}

fn give_back(db: &IngestDb, stop: &dyn Fn() -> bool) -> Result<(), AppError> {
    let mut left = db.read(retention::size)?.free_pages;
    while left > SPARE_PAGES && !stop() {
        db.write(|tx| retention::give_back(tx, PAGES))?;
        std::thread::sleep(PAUSE);
        let now = db.read(retention::size)?.free_pages;
        // What comes in meanwhile may use pages up, or free some; without progress the next round goes on.
        if now >= left {
            break;
        }
        left = now;
    }
    Ok(())
}

/// Repeats a batch until it takes nothing away any more.
fn repeat(
    stop: &dyn Fn() -> bool,
    mut batch: impl FnMut() -> Result<usize, AppError>,
) -> Result<usize, AppError> {
    let mut total = 0;
    while !stop() {
        let gone = batch()?;
        if gone == 0 {
            break;
        }
        total += gone;
        std::thread::sleep(PAUSE);
    }
    Ok(total)
}
