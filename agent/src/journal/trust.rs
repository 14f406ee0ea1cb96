//! The enrollment, the trust documents that followed it, and single settings.

use freehold_protocol::dsse::{Envelope, Verified};
use freehold_protocol::ids::Sha256Digest;
use freehold_protocol::time::Timestamp;
use freehold_protocol::trust::Trust;
use freehold_protocol::wire::Receipt;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Journal, JournalError, from_json, parse, to_json};

/// Who this host is, as its portal has signed it.
#[derive(Debug, Clone)]
pub struct Enrollment {
    /// The portal's address.
    pub portal_url: String,
    /// The receipt.
    pub receipt: Receipt,
    /// The trust document in force.
    pub trust: Trust,
}

/// What an enrollment leaves in the journal.
#[derive(Debug, Clone)]
pub struct NewEnrollment<'a> {
    /// The portal's address.
    pub portal_url: &'a str,
    /// The signed receipt, already verified.
    pub receipt: &'a Envelope,
    /// What it says.
    pub content: &'a Receipt,
    /// Digest of the trust document.
    pub pin: Sha256Digest,
    /// The trust documents from the pinned one to the one in force, with their versions.
    pub trust: &'a [(u64, Envelope)],
}

fn unreadable(what: &str, why: impl std::fmt::Display) -> JournalError {
    JournalError::Unreadable { what: what.to_owned(), why: why.to_string() }
}

impl Journal {
    /// Replaces the enrollment; what was still to be told to the former portal is dropped, jobs that
    /// were accepted from it and had not begun are closed.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn enroll(&self, new: &NewEnrollment<'_>, now: Timestamp) -> Result<(), JournalError> {
        const DOING: &str = "record the enrollment";
        let receipt = to_json(new.receipt, "the receipt")?;
        self.write(DOING, |tx| {
            tx.execute_batch(
                "DELETE FROM trust; DELETE FROM enrollment; DELETE FROM outbox; DELETE FROM refusals;
                 DELETE FROM settings WHERE name = 'portal_time';
                 UPDATE jobs SET state = 'rested' WHERE state = 'waiting';",
            )
            .map_err(JournalError::sql(DOING))?;
            tx.execute(
                "INSERT INTO enrollment (one, portal_url, receipt, trust_pin, agent, enrolled_at)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                params![
                    new.portal_url,
                    receipt,
                    new.pin.to_string(),
                    new.content.agent_id.to_string(),
                    now.as_millis()
                ],
            )
            .map_err(JournalError::sql(DOING))?;
            for (version, envelope) in new.trust {
                insert_trust(tx, *version, &to_json(envelope, "the trust document")?, now)?;
            }
            Ok(())
        })
    }

    /// The enrollment in force, its signatures checked again from the pinned digest on.
    ///
    /// # Errors
    /// When the journal does not work, or what it holds does not verify.
    pub fn enrollment(&self) -> Result<Option<Enrollment>, JournalError> {
        const DOING: &str = "read the enrollment";
        self.read(DOING, |tx| {
            let row = tx
                .query_row("SELECT portal_url, receipt, trust_pin FROM enrollment", [], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                    ))
                })
                .optional()
                .map_err(JournalError::sql(DOING))?;
            let Some((portal_url, receipt, pin)) = row else { return Ok(None) };
            let mut documents = tx
                .prepare("SELECT envelope FROM trust ORDER BY version")
                .map_err(JournalError::sql(DOING))?;
            let envelopes: Vec<String> = documents
                .query_map([], |row| row.get(0))
                .and_then(Iterator::collect)
                .map_err(JournalError::sql(DOING))?;
            let mut trust: Option<Trust> = None;
            let mut receipt_content = None;
            let receipt: Envelope = from_json(&receipt, "the receipt")?;
            for text in envelopes {
                let envelope: Envelope = from_json(&text, "a trust document")?;
                let next = match &trust {
                    None => Trust::pin(&envelope, parse(&pin, "the trust pin")?),
                    Some(trust) => trust.next(&envelope),
                }
                .map_err(|error| unreadable("a trust document", error))?;
                // The receipt was signed by a job key of one of them: the one in force at the time.
                if receipt_content.is_none() {
                    let opened = receipt.open::<Receipt>(&next.document().job_keys, 1);
                    receipt_content = opened.ok().map(Verified::into_inner);
                }
                trust = Some(next);
            }
            match (trust, receipt_content) {
                (Some(trust), Some(receipt)) => Ok(Some(Enrollment { portal_url, receipt, trust })),
                (None, _) => Err(unreadable("the trust document", "there is none")),
                (_, None) => Err(unreadable("the receipt", "no trusted key has signed it")),
            }
        })
    }

    /// Forgets the enrollment; the record of what was done stays.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn unenroll(&self) -> Result<(), JournalError> {
        const DOING: &str = "forget the enrollment";
        self.write(DOING, |tx| {
            tx.execute_batch("DELETE FROM trust; DELETE FROM enrollment; DELETE FROM outbox;")
                .map_err(JournalError::sql(DOING))
        })
    }

    /// A single setting.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn setting(&self, name: &str) -> Result<Option<String>, JournalError> {
        const DOING: &str = "read a setting";
        self.read(DOING, |tx| {
            tx.query_row("SELECT value FROM settings WHERE name = ?1", [name], |row| row.get(0))
                .optional()
                .map_err(JournalError::sql(DOING))
        })
    }

    /// Sets a single setting.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<(), JournalError> {
        self.write("write a setting", |tx| put_setting(tx, name, value))
    }

    /// Counts a refusal; returns how often this reason was met.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn record_refusal(
        &self,
        code: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<u64, JournalError> {
        const DOING: &str = "record a refusal";
        self.write(DOING, |tx| {
            tx.query_row(
                "INSERT INTO refusals (code, message, times, last_at) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (code) DO UPDATE SET message = ?2, times = times + 1, last_at = ?3
                 RETURNING times",
                params![code, message, now.as_millis()],
                |row| row.get::<_, i64>(0),
            )
            .map(i64::unsigned_abs)
            .map_err(JournalError::sql(DOING))
        })
    }

    /// Refusals since a time: code, sentence, how often.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn refusals_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<(String, String, u64)>, JournalError> {
        const DOING: &str = "read the refusals";
        self.read(DOING, |tx| {
            tx.prepare(
                "SELECT code, message, times FROM refusals WHERE last_at >= ?1 ORDER BY code LIMIT 20",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([since.as_millis()], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs()))
                    })?
                    .collect()
            })
            .map_err(JournalError::sql(DOING))
        })
    }
}

pub(super) fn insert_trust(
    tx: &Transaction<'_>,
    version: u64,
    envelope: &str,
    now: Timestamp,
) -> Result<(), JournalError> {
    tx.execute(
        "INSERT INTO trust (version, envelope, taken_at) VALUES (?1, ?2, ?3)",
        params![i64::try_from(version).unwrap_or(i64::MAX), envelope, now.as_millis()],
    )
    .map(|_| ())
    .map_err(JournalError::sql("record a trust document"))
}

pub(super) fn put_setting(
    tx: &Transaction<'_>,
    name: &str,
    value: &str,
) -> Result<(), JournalError> {
    tx.execute(
        "INSERT INTO settings (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = ?2",
        [name, value],
    )
    .map(|_| ())
    .map_err(JournalError::sql("write a setting"))
}
