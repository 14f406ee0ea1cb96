//! History ends: events, finished jobs with their reports and envelopes, spent enrollment tokens, answers
//! kept for their `Idempotency-Key`. Never the audit log, never a stuck job, and never an envelope that an
//! agent may still have to fetch.
//!
//! It goes in small batches, each a write of its own with a pause behind it, so that a request never waits
//! for more than one of them.

use std::time::Duration;

use freehold_protocol::{ids::JobId, time::Timestamp};
use serde_json::{Value, json};

use crate::{
    api::IDEMPOTENCY_KEEP_SECS,
    config::Config,
    db::{
        Db, Tx,
        audit::{self, Entry},
        idempotency, meta, retention, sessions,
    },
    domain::session,
    error::AppError,
};

/// Rows of one batch.
const BATCH: u32 = 200;
/// Sessions of one batch: each may have thousands of spent tokens.
const SESSIONS: u32 = 5;
/// Jobs that are looked up at once.
const JOBS: u32 = 50;
/// Pause after a batch.
const PAUSE: Duration = Duration::from_millis(20);
/// Most answers that are kept for their `Idempotency-Key`, whatever their age.
const MAX_IDEMPOTENCY_KEYS: u32 = 100_000;
/// Most spent enrollment tokens that are kept of one host, whatever their age.
const MAX_SPENT_TOKENS: u32 = 50;
const DAY_SECS: i64 = 86_400;

/// Sessions that nobody has refreshed since then are over, and their networks are no longer remembered.
const fn sessions_until(now: Timestamp) -> Timestamp {
    now.plus_secs(-session::MOST_SECS)
}

/// How much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Days for which a finished job keeps its events.
    pub event_days: u32,
    /// Most events of all jobs together.
    pub max_events: u64,
    /// Days for which finished jobs, with their reports, and all other spent rows are kept.
    pub job_days: u32,
    /// Most finished jobs.
    pub max_jobs: u32,
}

impl Limits {
    /// As they are configured.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        Self {
            event_days: config.keep_events_days,
            max_events: config.keep_events_max as u64,
            job_days: config.keep_jobs_days,
            max_jobs: config.keep_jobs_max,
        }
    }
}

/// What one round has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Events.
    pub events: usize,
    /// Jobs.
    pub jobs: usize,
    /// Envelopes.
    pub envelopes: usize,
    /// Enrollment tokens, orphan reports and sessions.
    pub others: usize,
    /// Answers kept for their `Idempotency-Key`.
    pub answers: usize,
}

impl Swept {
    /// What the audit log says of it: nothing of answers that were kept for a day, for which an entry that
    /// stays for ever would be out of all proportion.
    fn noted(self) -> Option<Value> {
        let Self { events, jobs, envelopes, others, answers: _ } = self;
        (events + jobs + envelopes + others > 0).then(
            || json!({ "events": events, "jobs": jobs, "envelopes": envelopes, "others": others }),
        )
    }
}

/// Writes down how much history was taken away, by kind.
///
/// # Errors
/// When the database fails.
pub(crate) fn note(tx: &Tx<'_>, taken: Value) -> Result<(), AppError> {
    let portal = meta::known_keys(tx)?.portal;
    let object_id = &portal.map(|portal| portal.to_string()).unwrap_or_default();
    let (actor, action) = ("system", "retention.sweep");
    audit::append(tx, &Entry { actor, action, object_kind: "portal", object_id, detail: taken })
}

/// One round: goes on until nothing is left to take away, or `stop` says so.
///
/// # Errors
/// When the database fails; the next round goes on.
pub fn sweep(db: &Db, limits: &Limits, stop: &dyn Fn() -> bool) -> Result<Swept, AppError> {
    let round = Round { db, limits, stop };
    let mut swept = Swept::default();
    let ended = round.all(&mut swept);
    if swept != Swept::default() {
        tracing::info!(?swept, "took old history away");
    }
    // Each batch is a transaction of its own; the entry counts those of the whole round, also of one that failed.
    if let Some(taken) = swept.noted() {
        db.write(move |tx| note(tx, taken))?;
    }
    ended.map(|()| swept)
}

struct Round<'a> {
    db: &'a Db,
    limits: &'a Limits,
    stop: &'a dyn Fn() -> bool,
}

impl Round<'_> {
    fn all(&self, swept: &mut Swept) -> Result<(), AppError> {
        self.events(swept)?;
        self.jobs(swept)?;
        self.envelopes(swept)?;
        self.others(swept)
    }

    fn days_ago(&self, days: u32) -> Timestamp {
        self.db.now().plus_secs(-i64::from(days) * DAY_SECS)
    }

    /// Repeats a batch until it takes nothing away any more.
    fn repeat(
        &self,
        mut batch: impl FnMut() -> Result<usize, AppError>,
    ) -> Result<usize, AppError> {
        let mut total = 0;
        while !(self.stop)() {
            let deleted = batch()?;
            if deleted == 0 {
                break;
            }
            total += deleted;
            std::thread::sleep(PAUSE);
        }
        Ok(total)
    }

    fn events_of(&self, job: JobId) -> Result<usize, AppError> {
        self.repeat(|| self.db.write(move |tx| retention::delete_events(tx, job, BATCH)))
    }

    fn events(&self, swept: &mut Swept) -> Result<(), AppError> {
        let until = self.days_ago(self.limits.event_days);
        swept.events += self.strip(until, u64::MAX)?;
        let excess = self.db.read(retention::count_events)?.saturating_sub(self.limits.max_events);
        swept.events += self.strip(self.db.now(), excess)?;
        Ok(())
    }

    /// Takes the events of jobs that ended at `until` or before, the oldest jobs first, until at least
    /// `enough` are gone.
    fn strip(&self, until: Timestamp, enough: u64) -> Result<usize, AppError> {
        let mut total = 0;
        while (total as u64) < enough && !(self.stop)() {
            let jobs = self.db.read(|read| retention::jobs_ended(read, until, true, JOBS))?;
            let before = total;
            for job in jobs {
                if (total as u64) < enough {
                    total += self.events_of(job)?;
                }
            }
            if total == before {
                break;
            }
        }
        Ok(total)
    }

    fn jobs(&self, swept: &mut Swept) -> Result<(), AppError> {
        let by_age = self.days_ago(self.limits.job_days);
        let max = self.limits.max_jobs;
        let by_count = self.db.read(|read| retention::end_of_job_beyond(read, max))?;
        let until = by_count.map_or(by_age, |end| end.max(by_age));
        swept.jobs += self.repeat(|| {
            let jobs = self.db.read(|read| retention::jobs_ended(read, until, false, JOBS))?;
            for job in &jobs {
                swept.events += self.events_of(*job)?;
            }
            self.db.write(move |tx| retention::delete_jobs(tx, &jobs, until))
        })?;
        Ok(())
    }

    fn envelopes(&self, swept: &mut Swept) -> Result<(), AppError> {
        // Their jobs are gone already; the age is for those that were deleted by hand yesterday.
        let until = self.days_ago(self.limits.event_days.min(self.limits.job_days));
        for agent in self.db.read(retention::agents)? {
            swept.envelopes += self.repeat(|| {
                let places =
                    self.db.read(|read| retention::spent_envelopes(read, agent, until, BATCH))?;
                if places.is_empty() {
                    return Ok(0);
                }
                self.db.write(move |tx| retention::delete_envelopes(tx, agent, &places))
            })?;
        }
        Ok(())
    }

    fn others(&self, swept: &mut Swept) -> Result<(), AppError> {
        let until = self.days_ago(self.limits.job_days);
        swept.others += self.repeat(|| {
            self.db.write(move |tx| {
                Ok(retention::delete_enrollments(tx, until, MAX_SPENT_TOKENS, BATCH)?
                    + retention::delete_orphans(tx, until, BATCH)?
                    + sessions::purge(tx, sessions_until(tx.now()), SESSIONS)?)
            })
        })?;
        swept.answers += self.repeat(|| {
            self.db.write(move |tx| {
                Ok(idempotency::purge(tx, IDEMPOTENCY_KEEP_SECS, BATCH)?
                    + idempotency::purge_beyond(tx, MAX_IDEMPOTENCY_KEYS, BATCH)?)
            })
        })?;
        Ok(())
    }
}
