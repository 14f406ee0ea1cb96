//! When each agent was last there: in memory at once, on the disk a moment later.
//!
//! A poll that finds nothing changes nothing but this, and a commit for each would cost more than
//! everything else about it. So it is noted here, everything that reads an agent reads it through this
//! memory ([`super::agents::get`]), and [`Db::save_seen`] writes what is new in one transaction now and
//! then and at the end. A crash loses the last few seconds of it and nothing else: whatever is
//! acknowledged to an agent (a job, a report, an event) never waits here.

use std::collections::HashMap;

use freehold_protocol::{ids::AgentId, time::Timestamp};

use super::{Db, Tx, agents, lock};
use crate::error::AppError;

/// Most agents that are written in one go: other writes wait meanwhile.
const BATCH: usize = 200;

/// What an empty poll says about its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When it came.
    pub at: Timestamp,
    /// When the next one should come.
    pub expected_at: Timestamp,
    /// The agent's clock minus the portal's.
    pub clock_skew_ms: i64,
    /// See [`super::agents::AgentRow::acked`]. What lies behind the row's is never noted here alone:
    /// the row says which envelopes nobody will ask for again.
    pub acked: (u64, u64),
}

#[derive(Debug)]
struct Entry {
    seen: Seen,
    state: State,
}

/// How much of an entry is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not yet.
    New,
    /// In a transaction that has not been acknowledged.
    Writing,
    /// All of it. Kept for one more round: a reader that began before it was written still needs it.
    Saved,
}

/// The memory. It holds an agent only from a poll until shortly after that was written.
#[derive(Debug, Default)]
pub(crate) struct SeenBook(std::sync::Mutex<HashMap<AgentId, Entry>>);

impl SeenBook {
    /// Notes a poll.
    pub(super) fn note(&self, agent: AgentId, seen: Seen) {
        lock(&self.0).insert(agent, Entry { seen, state: State::New });
    }

    /// What is newer than the row of the database, if anything is.
    pub(super) fn of(&self, agent: AgentId) -> Option<Seen> {
        lock(&self.0).get(&agent).map(|entry| entry.seen)
    }

    /// Forgets what has been on the disk since the round before; says whether anything is left to write.
    fn begin_round(&self) -> bool {
        let mut book = lock(&self.0);
        book.retain(|_, entry| entry.state != State::Saved);
        if book.is_empty() {
            // A fleet that came back at once must not hold its memory for ever.
            *book = HashMap::new();
        }
        !book.is_empty()
    }

    /// Takes a batch to be written.
    fn take(&self) -> Vec<(AgentId, Seen)> {
        let mut book = lock(&self.0);
        let new = book.iter_mut().filter(|(_, entry)| entry.state == State::New);
        new.take(BATCH)
            .map(|(agent, entry)| {
                entry.state = State::Writing;
                (*agent, entry.seen)
            })
            .collect()
    }

    /// Ends a batch. What was noted meanwhile is new again and stays so.
    fn end_batch(&self, state: State) {
        for entry in lock(&self.0).values_mut() {
            if entry.state == State::Writing {
                entry.state = state;
            }
        }
    }
}

impl Db {
    /// Writes what polls have noted and is not on the disk yet; says of how many agents. Call it from one
    /// thread at a time.
    ///
    /// # Errors
    /// When the database fails; then it is all tried again the next time.
    pub fn save_seen(&self) -> Result<usize, AppError> {
        let book = &self.inner.seen;
        if !book.begin_round() {
            return Ok(0);
        }
        let mut all = 0;
        loop {
            let saved = self.write(save_batch);
            book.end_batch(if saved.is_ok() { State::Saved } else { State::New });
            let count = saved?;
            all += count;
            if count < BATCH {
                return Ok(all);
            }
        }
    }
}

/// Within the transaction, not before it: what another transaction has just written of an agent must
/// not be overwritten with what was noted before that.
fn save_batch(tx: &Tx<'_>) -> Result<usize, AppError> {
    let batch = tx.seen.take();
    for (agent, seen) in &batch {
        agents::save_seen(tx, *agent, seen)?;
    }
    Ok(batch.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;

    fn at(secs: i64) -> Seen {
        let at = Timestamp::from_millis(secs * 1000);
        Seen { at, expected_at: at.plus_secs(25), clock_skew_ms: 0, acked: (1, 0) }
    }

    fn agent(n: u128) -> AgentId {
        AgentId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn what_is_noted_while_a_batch_is_written_is_not_lost() {
        let book = SeenBook::default();
        book.note(agent(1), at(1));
        book.note(agent(2), at(1));
        assert_eq!(book.take().len(), 2);
        book.note(agent(2), at(2));
        book.end_batch(State::Saved);
        assert_eq!(book.take(), [(agent(2), at(2))]);
        // One that failed is tried again.
        book.end_batch(State::New);
        assert_eq!(book.take(), [(agent(2), at(2))]);
        book.end_batch(State::Saved);
        assert_eq!(book.of(agent(1)), Some(at(1)), "for readers that began before");
        assert!(!book.begin_round());
        assert_eq!((book.of(agent(1)), book.of(agent(2))), (None, None));
    }

    #[test]
    fn a_fleet_is_written_in_batches() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("portal.db"), Arc::new(SystemClock)).unwrap();
        let fleet = BATCH * 2 + 1;
        db.read(|read| {
            for n in 0..fleet {
                read.note_seen(agent(n as u128), at(1));
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(db.save_seen().unwrap(), fleet);
        assert_eq!(db.save_seen().unwrap(), 0);
    }
}
