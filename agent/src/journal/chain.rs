//! The chain of accepted jobs, and how each stands.

use freehold_protocol::dsse::{Envelope, Verified};
use freehold_protocol::ids::{AgentId, JobId, Sha256Digest};
use freehold_protocol::job::Job;
use freehold_protocol::report::{Event, EventKind, Report};
use freehold_protocol::time::Timestamp;
use freehold_protocol::wire::{Head, JobAttempt};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::trust::{insert_trust, put_setting};
use super::{Journal, JournalError, from_json, outbox, parse, to_json};

/// How an accepted job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// For a worker, or for its `nbf`.
    Waiting,
    /// It has begun.
    Running,
    /// Until a person acts.
    Stuck,
    /// It is over and reported.
    Rested,
}

impl JobState {
    /// The spelling in the journal and in `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Stuck => "stuck",
            Self::Rested => "rested",
        }
    }

    fn from_column(text: &str) -> Result<Self, JournalError> {
        [Self::Waiting, Self::Running, Self::Stuck, Self::Rested]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| JournalError::Unreadable {
                what: "a job's state".into(),
                why: format!("{text:?} is none"),
            })
    }
}

/// An accepted job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Order of acceptance.
    pub seq: i64,
    /// What was ordered.
    pub job: Job,
    /// Digest of its payload.
    pub digest: Sha256Digest,
    /// How it stands.
    pub state: JobState,
    /// Whether an admin has cancelled it.
    pub cancelled: bool,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// How it ended, once it rests or is stuck.
    pub report: Option<Report>,
}

/// What one believed answer leaves in the journal, in one transaction.
#[derive(Debug)]
pub struct Acceptance<'a> {
    /// The agent.
    pub agent: AgentId,
    /// New trust documents: version and envelope.
    pub trust: &'a [(u64, Envelope)],
    /// The jobs with their envelopes, in order.
    pub jobs: &'a [(Verified<Job>, &'a Envelope)],
    /// Jobs to cancel.
    pub cancel: &'a [JobAttempt],
    /// Portal time as JSON, for a restart, when it is another than the one that is recorded.
    pub portal_time: Option<&'a str>,
    /// Portal time.
    pub now: Timestamp,
}

impl Acceptance<'_> {
    /// Whether there is nothing to record, as with the answer to an idle host's poll.
    const fn is_empty(&self) -> bool {
        self.trust.is_empty()
            && self.jobs.is_empty()
            && self.cancel.is_empty()
            && self.portal_time.is_none()
    }
}

/// A job that was accepted before under the same attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// The job as recorded, with the digest of the new envelope.
    pub row: JobRow,
}

const COLUMNS: &str = "seq, payload, digest, state, cancelled, accepted_at, report";

type Raw = (i64, String, String, String, bool, i64, Option<String>);

fn raw(row: &Row<'_>) -> Result<Raw, rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn job_row(
    (seq, payload, digest, state, cancelled, at, report): Raw,
) -> Result<JobRow, JournalError> {
    Ok(JobRow {
        seq,
        job: from_json(&payload, "a job")?,
        digest: parse(&digest, "a job's digest")?,
        state: JobState::from_column(&state)?,
        cancelled,
        accepted_at: Timestamp::from_millis(at),
        report: report.map(|text| from_json(&text, "a report")).transpose()?,
    })
}

fn find(tx: &Transaction<'_>, job: JobId, attempt: u32) -> Result<Option<JobRow>, JournalError> {
    tx.query_row(
        &format!("SELECT {COLUMNS} FROM jobs WHERE job = ?1 AND attempt = ?2"),
        params![job.to_string(), attempt],
        raw,
    )
    .optional()
    .map_err(JournalError::sql("find a job"))?
    .map(job_row)
    .transpose()
}

impl Journal {
    /// The end of an agent's chain; nothing before its first job.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn head(&self, agent: AgentId) -> Result<Option<(Head, Envelope)>, JournalError> {
        const DOING: &str = "read the chain";
        self.read(DOING, |tx| {
            let row = tx
                .query_row(
                    "SELECT epoch, seq, digest, envelope FROM chain WHERE agent = ?1
                     ORDER BY epoch DESC, seq DESC LIMIT 1",
                    [agent.to_string()],
                    |row| {
                        Ok((
                            row.get::<_, i64>(0)?,
                            row.get::<_, i64>(1)?,
                            row.get::<_, String>(2)?,
                            row.get::<_, String>(3)?,
                        ))
                    },
                )
                .optional()
                .map_err(JournalError::sql(DOING))?;
            let Some((epoch, seq, digest, envelope)) = row else { return Ok(None) };
            let head = Head {
                epoch: epoch.unsigned_abs(),
                seq: seq.unsigned_abs(),
                hash: parse(&digest, "the chain's head")?,
            };
            Ok(Some((head, from_json(&envelope, "the chain's head")?)))
        })
    }

    /// Records what a believed answer brought. Jobs that were accepted before under the same attempt
    /// are not made anew; they are returned, so that their result is told again.
    ///
    /// # Errors
    /// When the journal does not work; then nothing is recorded.
    pub fn accept(&self, new: &Acceptance<'_>) -> Result<Vec<Again>, JournalError> {
        const DOING: &str = "record accepted jobs";
        if new.is_empty() {
            return Ok(Vec::new());
        }
        self.write(DOING, |tx| {
            for (version, envelope) in new.trust {
                let text = to_json(envelope, "a trust document")?;
                insert_trust(tx, *version, &text, new.now)?;
            }
            let mut again = Vec::new();
            for (verified, envelope) in new.jobs {
                link(tx, new, verified, envelope)?;
                let job = verified.get();
                if let Some(mut row) = find(tx, job.job_id, job.attempt)? {
                    row.digest = verified.digest();
                    tx.execute(
                        "UPDATE jobs SET digest = ?1 WHERE seq = ?2",
                        params![row.digest.to_string(), row.seq],
                    )
                    .map_err(JournalError::sql(DOING))?;
                    again.push(Again { row });
                } else {
                    insert_job(tx, verified, new.now)?;
                }
            }
            for job in new.cancel {
                tx.execute(
                    "UPDATE jobs SET cancelled = 1
                     WHERE job = ?1 AND attempt = ?2 AND state IN ('waiting', 'running')",
                    params![job.job_id.to_string(), job.attempt],
                )
                .map_err(JournalError::sql(DOING))?;
            }
            if let Some(portal_time) = new.portal_time {
                put_setting(tx, "portal_time", portal_time)?;
            }
            Ok(again)
        })
    }

    /// Jobs that do not rest, in the order of their acceptance.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn open_jobs(&self) -> Result<Vec<JobRow>, JournalError> {
        self.list_jobs("SELECT {} FROM jobs WHERE state <> 'rested' ORDER BY seq")
    }

    /// The last jobs, newest first.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn recent_jobs(&self, limit: u32) -> Result<Vec<JobRow>, JournalError> {
        self.list_jobs(&format!("SELECT {{}} FROM jobs ORDER BY seq DESC LIMIT {limit}"))
    }

    /// One attempt of a job.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn job(&self, job: JobAttempt) -> Result<Option<JobRow>, JournalError> {
        self.read("find a job", |tx| find(tx, job.job_id, job.attempt))
    }

    /// Every attempt of one job, oldest first.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn attempts(&self, job: JobId) -> Result<Vec<JobRow>, JournalError> {
        // A `JobId` is a UUID by type, so that it can stand in the statement.
        self.list_jobs(&format!("SELECT {{}} FROM jobs WHERE job = '{job}' ORDER BY attempt"))
    }

    fn list_jobs(&self, sql: &str) -> Result<Vec<JobRow>, JournalError> {
        const DOING: &str = "list jobs";
        self.read(DOING, |tx| {
            let rows: Vec<Raw> = tx
                .prepare(&sql.replace("{}", COLUMNS))
                .and_then(|mut statement| statement.query_map([], raw)?.collect())
                .map_err(JournalError::sql(DOING))?;
            rows.into_iter().map(job_row).collect()
        })
    }

    /// Notes that a waiting or stuck job has begun, or goes on.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn job_begun(&self, seq: i64) -> Result<(), JournalError> {
        const DOING: &str = "note that a job begins";
        self.write(DOING, |tx| {
            tx.execute(
                "UPDATE jobs SET state = 'running' WHERE seq = ?1 AND state <> 'rested'",
                [seq],
            )
            .map(|_| ())
            .map_err(JournalError::sql(DOING))
        })
    }

    /// Records how a job came to rest and puts its signed report into the outbox, in one
    /// transaction. `sign` gets the number of the last event, and the digest of the envelope that
    /// brought the job last: the same attempt may have come again while it ran.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn job_rests(
        &self,
        row: &JobRow,
        state: JobState,
        sign: impl FnOnce(u64, Sha256Digest) -> Result<(Report, Envelope), JournalError>,
    ) -> Result<(), JournalError> {
        const DOING: &str = "record the end of a job";
        self.write(DOING, |tx| {
            let last = outbox::last_event(tx, row.job.job_id, row.job.attempt)?;
            let digest: String = tx
                .query_row("SELECT digest FROM jobs WHERE seq = ?1", [row.seq], |row| row.get(0))
                .map_err(JournalError::sql(DOING))?;
            let (report, envelope) = sign(last, parse(&digest, "a job's digest")?)?;
            tx.execute(
                "UPDATE jobs SET state = ?1, ended_at = ?2, report = ?3 WHERE seq = ?4",
                params![
                    state.as_str(),
                    report.ended_at.as_millis(),
                    to_json(&report, "a report")?,
                    row.seq
                ],
            )
            .map_err(JournalError::sql(DOING))?;
            outbox::queue_report(tx, row.job.job_id, row.job.attempt, &envelope)
        })
    }

    /// Puts the recorded report of a job into the outbox once more, signed anew. How the job stands
    /// is left alone: it may have been resumed meanwhile.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn tell_again(&self, row: &JobRow, envelope: &Envelope) -> Result<(), JournalError> {
        self.write("tell a report again", |tx| {
            outbox::queue_report(tx, row.job.job_id, row.job.attempt, envelope)
        })
    }

    /// Deletes what is older than `before`: events and payloads of jobs that rest and are told. The
    /// chain itself stays.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn prune(&self, before: Timestamp) -> Result<usize, JournalError> {
        const DOING: &str = "delete old events";
        self.write(DOING, |tx| {
            tx.execute(
                "DELETE FROM events WHERE EXISTS (SELECT 1 FROM jobs
                   WHERE jobs.job = events.job AND jobs.attempt = events.attempt
                     AND jobs.state = 'rested' AND jobs.ended_at < ?1)
                 AND NOT EXISTS (SELECT 1 FROM outbox
                   WHERE outbox.job = events.job AND outbox.attempt = events.attempt
                     AND outbox.report IS NOT NULL AND outbox.set_aside IS NULL)",
                [before.as_millis()],
            )
            .map_err(JournalError::sql(DOING))
        })
    }
}

fn link(
    tx: &Transaction<'_>,
    new: &Acceptance<'_>,
    verified: &Verified<Job>,
    envelope: &Envelope,
) -> Result<(), JournalError> {
    let job = verified.get();
    tx.execute(
        "INSERT INTO chain (agent, epoch, seq, digest, job, attempt, envelope, recorded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            new.agent.to_string(),
            i64::try_from(job.epoch).unwrap_or(i64::MAX),
            i64::try_from(job.seq).unwrap_or(i64::MAX),
            verified.digest().to_string(),
            job.job_id.to_string(),
            job.attempt,
            to_json(envelope, "a job")?,
            new.now.as_millis()
        ],
    )
    .map(|_| ())
    .map_err(JournalError::sql("extend the chain"))
}

fn insert_job(
    tx: &Transaction<'_>,
    verified: &Verified<Job>,
    now: Timestamp,
) -> Result<(), JournalError> {
    let job = verified.get();
    tx.execute(
        "INSERT INTO jobs (job, attempt, kind, tenant, digest, payload, state, cancelled, accepted_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', 0, ?7)",
        params![
            job.job_id.to_string(),
            job.attempt,
            job.work.kind().as_str(),
            job.work.tenant().map(|tenant| tenant.to_string()),
            verified.digest().to_string(),
            to_json(job, "a job")?,
            now.as_millis()
        ],
    )
    .map_err(JournalError::sql("record a job"))?;
    outbox::open(tx, job.job_id, job.attempt)?;
    let event = Event {
        n: 0,
        at: now,
        step: String::new(),
        what: EventKind::Accepted,
        message: format!("accepted as number {} of epoch {}", job.seq, job.epoch),
    };
    outbox::append_event(tx, job.job_id, job.attempt, event).map(|_| ())
}
