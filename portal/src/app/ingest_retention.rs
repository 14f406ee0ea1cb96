//! Logs and usage end: lines by age, and by size once the database is larger than it may be; batch ids a
//! while after their lines; usage by age.
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
        retention::{self, Size},
    },
    domain::ingest::{DAY_MILLIS, day},
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
/// Days for which it is known what each tenant sent.
const TRAFFIC_DAYS: i64 = 60;

/// What one round has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Lines by age.
    pub by_age: usize,
    /// Lines by size.
    pub by_size: usize,
    /// Ids of batches.
    pub batches: usize,
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
    let (lines, batches) = (ago(keep.log_days), ago(keep.log_days.max(BATCH_DAYS)));
    let usage_before = day(now) - i64::from(keep.usage_days);
    let mut swept = Swept {
        by_age: repeat(stop, || db.write(move |tx| retention::delete_lines(tx, lines, LINES)))?,
        batches: repeat(stop, || db.write(move |tx| retention::delete_batches(tx, batches, ROWS)))?,
        days: repeat(stop, || {
            db.write(move |tx| {
                retention::delete_days(tx, usage_before, day(now) - TRAFFIC_DAYS, ROWS)
            })
        })?,
        by_size: 0,
    };
    while used(db)? > keep.max_bytes && !stop() {
        let all = Timestamp::from_millis(i64::MAX);
        let gone = db.write(move |tx| retention::delete_lines(tx, all, LINES))?;
        if gone == 0 {
            break;
        }
        swept.by_size += gone;
        std::thread::sleep(PAUSE);
    }
    give_back(db, stop)?;
    if swept != Swept::default() {
        tracing::info!(?swept, "took old logs and usage away");
    }
    Ok(swept)
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
