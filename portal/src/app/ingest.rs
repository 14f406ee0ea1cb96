//! What tenants' apps send is kept, once.
//!
//! A batch with an id is noted in the transaction that keeps its items: one that comes again, before or
//! after a crash, changes nothing and gets the answer of the first time. There is no audit row: nothing
//! that an admin or agent is responsible for changes.

use std::collections::HashMap;

use freehold_protocol::ids::TenantId;

use crate::{
    api::ingest::BatchAnswer,
    db::ingest::{
        IngestTx, TenantNumber,
        batches::{self, BatchKind, Taken},
        health::{self, NewHealth},
        logs::{self, NewLine},
        usage::{self, NewValue},
    },
    domain::ingest::{MAX_METRICS_A_DAY, Reason, day},
    error::{AppError, Kind},
    ingest::batch::Refusals,
};

/// What all batches have.
#[derive(Debug)]
pub struct Batch {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id and the SHA-256 of its body.
    pub id: Option<(String, [u8; 32])>,
    /// Bytes of its body.
    pub bytes: u64,
    /// What was refused already.
    pub refusals: Refusals,
    /// How many times were clamped.
    pub clamped: u64,
}

/// A tenant's app has sent lines.
#[derive(Debug)]
pub struct StoreLogs {
    /// The batch.
    pub batch: Batch,
    /// Its good lines.
    pub lines: Vec<NewLine>,
}

/// A tenant's app has sent values of metrics.
#[derive(Debug)]
pub struct StoreUsage {
    /// The batch.
    pub batch: Batch,
    /// Its good values with their places.
    pub values: Vec<(u64, NewValue)>,
}

/// A tenant's app has said how it is.
#[derive(Debug)]
pub struct StoreHealth {
    /// Whose it is.
    pub tenant: TenantId,
    /// What it says.
    pub health: NewHealth,
    /// Bytes of its body.
    pub bytes: u64,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Stored {
    /// What is answered.
    pub answer: BatchAnswer,
    /// How many items were refused for each reason; nothing for a batch that was there already.
    pub refused: [u64; Reason::ALL.len()],
    /// Bytes that its id and answer take; they count like those of its body.
    pub kept: u64,
}

/// What a batch of so many lines or values counts: an empty one is work, too, and its id is kept.
#[must_use]
pub fn items(sent: u64) -> u64 {
    sent.max(1)
}

impl Batch {
    /// The answer of the first time, if this batch was there already.
    fn seen(
        &self,
        tx: &IngestTx<'_>,
        tenant: TenantNumber,
        kind: BatchKind,
    ) -> Result<Option<Stored>, AppError> {
        let Some((id, digest)) = &self.id else { return Ok(None) };
        let Some(taken) = batches::find(tx, tenant, kind, id)? else { return Ok(None) };
        if taken.digest != digest {
            return Err(AppError::new(
                Kind::Conflict,
                "batch_id_reused",
                "this batch id was used for a batch with other content",
            )
            .advice("use a fresh id, such as a UUID, for every batch, and the same id only to send the same bytes again"));
        }
        let answer: BatchAnswer = serde_json::from_str(&taken.answer)?;
        let answer = BatchAnswer { repeated: true, ..answer };
        Ok(Some(Stored { answer, refused: [0; Reason::ALL.len()], kept: 0 }))
    }

    fn note(
        self,
        tx: &IngestTx<'_>,
        tenant: TenantNumber,
        kind: BatchKind,
        accepted: u64,
    ) -> Result<Stored, AppError> {
        let refused = self.refusals.total();
        let answer = BatchAnswer {
            batch_id: self.id.as_ref().map(|(id, _)| id.clone()),
            accepted,
            refused,
            clamped: self.clamped,
            repeated: false,
            refusals: self.refusals.listed,
        };
        let mut kept = 0;
        if let Some((id, digest)) = self.id {
            let taken = Taken { digest: digest.to_vec(), answer: serde_json::to_string(&answer)? };
            kept = batches::kept_bytes(&id, &taken.answer);
            batches::put(tx, tenant, kind, &id, &taken)?;
        }
        let items = items(accepted + refused);
        batches::count(tx, tenant, day(tx.now()), items, self.bytes + kept)?;
        Ok(Stored { answer, refused: self.refusals.counts, kept })
    }
}

impl StoreLogs {
    /// Keeps the lines, unless the batch was there already.
    ///
    /// # Errors
    /// 409 `batch_id_reused`.
    pub fn apply(self, tx: &IngestTx<'_>) -> Result<Stored, AppError> {
        let tenant = tx.number(self.batch.tenant)?;
        if let Some(stored) = self.batch.seen(tx, tenant, BatchKind::Logs)? {
            return Ok(stored);
        }
        if !self.lines.is_empty() {
            logs::insert(tx, tenant, &self.lines)?;
        }
        self.batch.note(tx, tenant, BatchKind::Logs, self.lines.len() as u64)
    }
}

impl StoreUsage {
    /// Adds the values to their days, unless the batch was there already.
    ///
    /// # Errors
    /// 409 `batch_id_reused`.
    pub fn apply(mut self, tx: &IngestTx<'_>) -> Result<Stored, AppError> {
        let tenant = tx.number(self.batch.tenant)?;
        if let Some(stored) = self.batch.seen(tx, tenant, BatchKind::Usage)? {
            return Ok(stored);
        }
        let mut room: HashMap<i64, u64> = HashMap::new();
        let mut accepted = 0;
        for (index, value) in &self.values {
            let day = day(value.at);
            if !usage::has(tx, tenant, day, &value.metric)? {
                let room = match room.entry(day) {
                    std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::hash_map::Entry::Vacant(entry) => {
                        let there = usage::count(tx, tenant, day)?;
                        entry.insert(MAX_METRICS_A_DAY.saturating_sub(there))
                    }
                };
                if *room == 0 {
                    let detail = format!("at most {MAX_METRICS_A_DAY} metrics a day");
                    self.batch.refusals.note(*index, "name", Reason::TooManyMetrics, detail);
                    continue;
                }
                *room -= 1;
            }
            usage::add(tx, tenant, day, value)?;
            accepted += 1;
        }
        self.batch.note(tx, tenant, BatchKind::Usage, accepted)
    }
}

impl StoreHealth {
    /// Keeps it unless a later one is there; says whether it was kept.
    ///
    /// # Errors
    /// When the database fails.
    pub fn apply(self, tx: &IngestTx<'_>) -> Result<bool, AppError> {
        let tenant = tx.number(self.tenant)?;
        batches::count(tx, tenant, day(tx.now()), 1, self.bytes)?;
        health::put(tx, tenant, &self.health)
    }
}
