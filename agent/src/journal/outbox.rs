//! What the portal still has to be told: events and reports, in order per job, until it says that it
//! has them.

use freehold_protocol::dsse::Envelope;
use freehold_protocol::ids::JobId;
use freehold_protocol::report::Event;
use freehold_protocol::wire::{EventsRequest, JobAttempt, MAX_LISTED_JOBS, ReportRequest};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Journal, JournalError, from_json, parse, to_json};
use crate::socket::{Ack, OutItem, OutWork};

/// Most events in one item, and most bytes of them: an item must be small beside the limits of the
/// socket and the portal.
const MAX_EVENTS: usize = 200;
const MAX_EVENT_BYTES: usize = 256 * 1024;
/// Most events of one attempt; later ones are dropped but for the end. The engine sends far fewer.
const MAX_EVENTS_PER_ATTEMPT: u64 = 20_000;
/// How often something that the portal refuses for good is tried: the refusal may have been a
/// mistake that an admin corrects within minutes, but not for ever.
const MAX_TRIES: u32 = 5;
/// As far as failures of the portal itself move an item back: not so far that one refusal ends it.
const LATER: u32 = 2;

/// How full the outbox is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs of which the portal lacks something.
    pub waiting: u64,
    /// Jobs of which it refused something for good.
    pub set_aside: u64,
}

impl Journal {
    /// Adds an event and returns its number. The event's own number is ignored.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn event(&self, job: JobId, attempt: u32, event: Event) -> Result<u64, JournalError> {
        self.write("record an event", |tx| append_event(tx, job, attempt, event))
    }

    /// The next thing to tell, if there is one: of the job that was refused least often and waits
    /// longest, first its events and then its report.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn next_out(&self) -> Result<Option<OutItem>, JournalError> {
        const DOING: &str = "read the outbox";
        self.read(DOING, |tx| {
            let row = tx
                .query_row(
                    "SELECT outbox.job, outbox.attempt, next, last, outbox.report
                     FROM outbox JOIN jobs USING (job, attempt)
                     WHERE set_aside IS NULL AND (next <= last OR outbox.report IS NOT NULL)
                     ORDER BY tries, jobs.seq LIMIT 1",
                    [],
                    |row| {
                        Ok((
                            row.get::<_, String>(0)?,
                            row.get::<_, u32>(1)?,
                            row.get::<_, i64>(2)?,
                            row.get::<_, i64>(3)?,
                            row.get::<_, Option<String>>(4)?,
                        ))
                    },
                )
                .optional()
                .map_err(JournalError::sql(DOING))?;
            let Some((job, attempt, next, last, report)) = row else { return Ok(None) };
            let job: JobId = parse(&job, "an outbox row")?;
            if next <= last {
                let events = read_events(tx, job, attempt, next)?;
                let id = format!("events:{job}:{attempt}");
                let body = EventsRequest { attempt, events };
                return Ok(Some(OutItem { id, work: OutWork::Events { job, body } }));
            }
            let report = report.map(|text| from_json(&text, "a report")).transpose()?;
            Ok(report.map(|report| OutItem {
                id: format!("report:{job}:{attempt}"),
                work: OutWork::Report { job, body: ReportRequest { report } },
            }))
        })
    }

    /// Notes what the portal answered. Returns why the item was set aside, if it was.
    ///
    /// # Errors
    /// When the journal does not work, or the id is not one of [`Self::next_out`].
    pub fn ack_out(&self, id: &str, ack: &Ack) -> Result<Option<String>, JournalError> {
        const DOING: &str = "note an acknowledgement";
        let unknown = || JournalError::Unreadable {
            what: "an acknowledgement".into(),
            why: "unknown id".into(),
        };
        let mut parts = id.split(':');
        let (Some(what), Some(job), Some(attempt), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown());
        };
        let job: JobId = job.parse().map_err(|_| unknown())?;
        let attempt: u32 = attempt.parse().map_err(|_| unknown())?;
        let key = params![job.to_string(), attempt];
        self.write(DOING, |tx| {
            let sql = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
                tx.execute(sql, values).map_err(JournalError::sql(DOING))
            };
            match (what, ack) {
                ("events", Ack::Taken { next }) => {
                    let (old, last): (i64, i64) = tx
                        .query_row(
                            "SELECT next, last FROM outbox WHERE job = ?1 AND attempt = ?2",
                            key,
                            |row| Ok((row.get(0)?, row.get(1)?)),
                        )
                        .map_err(JournalError::sql(DOING))?;
                    let told = next.map_or(last + 1, |next| i64::try_from(next).unwrap_or(i64::MAX));
                    let told = told.clamp(1, last + 1);
                    // A portal that was restored may ask for earlier ones again. One that never
                    // moves on is counted like a refusal.
                    let tries = i64::from(told <= old);
                    sql(
                        "UPDATE outbox SET next = ?3, tries = CASE WHEN ?4 = 0 THEN 0 ELSE tries + 1 END
                         WHERE job = ?1 AND attempt = ?2",
                        &[&job.to_string(), &attempt, &told, &tries],
                    )?;
                    give_up_if_hopeless(tx, what, job, attempt, "the portal takes no further events")
                }
                ("report", Ack::Taken { .. }) => {
                    sql(
                        "UPDATE outbox SET report = NULL, tries = 0 WHERE job = ?1 AND attempt = ?2",
                        &[&job.to_string(), &attempt],
                    )?;
                    Ok(None)
                }
                // Behind what was never tried, so that it holds up nothing else; never set aside.
                ("events" | "report", Ack::Later) => {
                    sql(
                        "UPDATE outbox SET tries = min(tries + 1, ?3) WHERE job = ?1 AND attempt = ?2",
                        &[&job.to_string(), &attempt, &LATER],
                    )?;
                    Ok(None)
                }
                ("events" | "report", Ack::Refused { status, why }) => {
                    sql(
                        "UPDATE outbox SET tries = tries + 1 WHERE job = ?1 AND attempt = ?2",
                        &[&job.to_string(), &attempt],
                    )?;
                    let why: String = why.chars().take(300).collect();
                    give_up_if_hopeless(tx, what, job, attempt, &format!("{what}: {status} {why}"))
                }
                _ => Err(unknown()),
            }
        })
    }

    /// The jobs whose report waits for its acknowledgement, oldest first.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn reporting(&self) -> Result<Vec<JobAttempt>, JournalError> {
        const DOING: &str = "list the reports that wait";
        self.read(DOING, |tx| {
            let rows: Vec<(String, u32)> = tx
                .prepare(
                    "SELECT outbox.job, outbox.attempt FROM outbox JOIN jobs USING (job, attempt)
                     WHERE outbox.report IS NOT NULL AND set_aside IS NULL
                     ORDER BY jobs.seq LIMIT ?1",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map([MAX_LISTED_JOBS as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
                        .collect()
                })
                .map_err(JournalError::sql(DOING))?;
            rows.into_iter()
                .map(|(job, attempt)| {
                    Ok(JobAttempt { job_id: parse(&job, "an outbox row")?, attempt })
                })
                .collect()
        })
    }

    /// How full the outbox is.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn backlog(&self) -> Result<Backlog, JournalError> {
        const DOING: &str = "count the outbox";
        self.read(DOING, |tx| {
            tx.query_row(
                "SELECT coalesce(sum(set_aside IS NULL AND (next <= last OR report IS NOT NULL)), 0),
                        coalesce(sum(set_aside IS NOT NULL), 0) FROM outbox",
                [],
                |row| {
                    Ok(Backlog {
                        waiting: row.get::<_, i64>(0)?.unsigned_abs(),
                        set_aside: row.get::<_, i64>(1)?.unsigned_abs(),
                    })
                },
            )
            .map_err(JournalError::sql(DOING))
        })
    }

    /// The events of an attempt, for people.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn events(&self, job: JobId, attempt: u32) -> Result<Vec<Event>, JournalError> {
        self.read("read events", |tx| {
            let mut all = Vec::new();
            loop {
                let next = all.last().map_or(1, |event: &Event| event.n + 1);
                let more = read_events(tx, job, attempt, i64::try_from(next).unwrap_or(i64::MAX))?;
                if more.is_empty() {
                    return Ok(all);
                }
                all.extend(more);
            }
        })
    }
}

/// After enough refusals events are passed over, so that the report behind them still goes out; a
/// report is set aside.
fn give_up_if_hopeless(
    tx: &Transaction<'_>,
    what: &str,
    job: JobId,
    attempt: u32,
    why: &str,
) -> Result<Option<String>, JournalError> {
    let sql = if what == "events" {
        "UPDATE outbox SET next = last + 1, tries = 0
         WHERE job = ?1 AND attempt = ?2 AND tries >= ?4 AND ?3 <> ''"
    } else {
        "UPDATE outbox SET set_aside = ?3 WHERE job = ?1 AND attempt = ?2 AND tries >= ?4"
    };
    let changed = tx
        .execute(sql, params![job.to_string(), attempt, why, MAX_TRIES])
        .map_err(JournalError::sql("set a report aside"))?;
    Ok((changed > 0).then(|| why.to_owned()))
}

fn read_events(
    tx: &Transaction<'_>,
    job: JobId,
    attempt: u32,
    from: i64,
) -> Result<Vec<Event>, JournalError> {
    let texts: Vec<String> = tx
        .prepare(
            "SELECT event FROM events WHERE job = ?1 AND attempt = ?2 AND n >= ?3 ORDER BY n LIMIT ?4",
        )
        .and_then(|mut statement| {
            statement
                .query_map(params![job.to_string(), attempt, from, MAX_EVENTS as i64], |row| {
                    row.get(0)
                })?
                .collect()
        })
        .map_err(JournalError::sql("read events"))?;
    let mut bytes = 0;
    let mut events = Vec::new();
    for text in texts {
        bytes += text.len();
        // The first one always goes, whatever its size.
        if bytes > MAX_EVENT_BYTES && !events.is_empty() {
            break;
        }
        events.push(from_json(&text, "an event")?);
    }
    Ok(events)
}

/// Opens the outbox of a job. Events that are there already belong to a former enrollment, whose
/// outbox was dropped: the numbers go on after them, and the portal of now is not told of them.
pub(super) fn open(tx: &Transaction<'_>, job: JobId, attempt: u32) -> Result<(), JournalError> {
    tx.execute(
        "INSERT INTO outbox (job, attempt, next, last, tries)
         SELECT ?1, ?2, coalesce(max(n), 0) + 1, coalesce(max(n), 0), 0
         FROM events WHERE job = ?1 AND attempt = ?2
         ON CONFLICT DO NOTHING",
        params![job.to_string(), attempt],
    )
    .map(|_| ())
    .map_err(JournalError::sql("open an outbox"))
}

/// The number of the last event.
pub(super) fn last_event(
    tx: &Transaction<'_>,
    job: JobId,
    attempt: u32,
) -> Result<u64, JournalError> {
    tx.query_row(
        "SELECT last FROM outbox WHERE job = ?1 AND attempt = ?2",
        params![job.to_string(), attempt],
        |row| row.get::<_, i64>(0),
    )
    .optional()
    .map(|last| last.unwrap_or_default().unsigned_abs())
    .map_err(JournalError::sql("read the outbox"))
}

/// Appends an event.
pub(crate) fn append_event(
    tx: &Transaction<'_>,
    job: JobId,
    attempt: u32,
    mut event: Event,
) -> Result<u64, JournalError> {
    const DOING: &str = "record an event";
    open(tx, job, attempt)?;
    let last = last_event(tx, job, attempt)?;
    if last >= MAX_EVENTS_PER_ATTEMPT {
        return Ok(last);
    }
    event.n = last + 1;
    let number = i64::try_from(event.n).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO events (job, attempt, n, event) VALUES (?1, ?2, ?3, ?4)",
        params![job.to_string(), attempt, number, to_json(&event, "an event")?],
    )
    .map_err(JournalError::sql(DOING))?;
    tx.execute(
        "UPDATE outbox SET last = ?3 WHERE job = ?1 AND attempt = ?2",
        params![job.to_string(), attempt, number],
    )
    .map_err(JournalError::sql(DOING))?;
    Ok(event.n)
}

/// Puts a signed report into the outbox; a former one of the same attempt is replaced.
pub(super) fn queue_report(
    tx: &Transaction<'_>,
    job: JobId,
    attempt: u32,
    report: &Envelope,
) -> Result<(), JournalError> {
    open(tx, job, attempt)?;
    tx.execute(
        "UPDATE outbox SET report = ?3, tries = 0, set_aside = NULL WHERE job = ?1 AND attempt = ?2",
        params![job.to_string(), attempt, to_json(report, "a report")?],
    )
    .map(|_| ())
    .map_err(JournalError::sql("queue a report"))
}
