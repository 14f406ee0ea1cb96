//! License validation from memory.
//!
//! Everything that a question needs is in one immutable [`Snapshot`]; a question takes no database
//! connection. Whatever changes something that validation depends on counts it in the same
//! transaction (`db::licensing::touch`), and the snapshot is made anew before the one who changed it
//! gets an answer. Changes that came another way are found by [`Desk::look`], which the housekeeping
//! thread calls ten times a second. What time alone changes is judged at each question.

mod lease;
mod snapshot;
mod upkeep;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use freehold_protocol::time::Timestamp;

pub use self::{
    lease::jwks,
    snapshot::{KeyEntry, KeyRefused, LicenseEntry, Snapshot},
};
use crate::{
    app::{keyed_hash::Keyed, licenses, tenant_keys},
    db::{Db, licensing, lock},
    domain::{
        ids::{LicenseId, TenantKeyId},
        license_key::LicenseKey,
        validation::ValidationCode,
    },
    error::{AppError, chain},
    keys::MasterKey,
};

/// How often the use of a key and of a license is noted in the database, in milliseconds: hourly.
const NOTE_MILLIS: i64 = 3_600_000;
/// Uses that wait to be noted; one that finds no room is noted an hour later.
const MAX_NOTES: usize = 4096;

/// A use that waits to be noted.
#[derive(Debug, Clone, Copy)]
enum Used {
    Key(TenantKeyId, Timestamp),
    License(LicenseId, Timestamp),
}

/// Whether a use is to be noted, once an hour.
fn due(last: &AtomicI64, now: Timestamp) -> bool {
    let seen = last.load(Ordering::Relaxed);
    now.as_millis() - seen > NOTE_MILLIS
        && last
            .compare_exchange(seen, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}

/// Where tenant apps ask about licenses.
pub struct Desk {
    snapshot: RwLock<Arc<Snapshot>>,
    refreshing: Mutex<()>,
    key_hash: Keyed,
    license_hash: Keyed,
    answered: [AtomicU64; ValidationCode::ALL.len()],
    used: Mutex<Vec<Used>>,
    seq: AtomicI64,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

impl Desk {
    /// Takes the first snapshot.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn open(db: &Db, master: &MasterKey) -> Result<Self, AppError> {
        let first = db.read(Snapshot::load)?;
        Ok(Self {
            snapshot: RwLock::new(Arc::new(first)),
            refreshing: Mutex::new(()),
            key_hash: Keyed::new(master, tenant_keys::HASH_PURPOSE),
            license_hash: Keyed::new(master, licenses::HASH_PURPOSE),
            answered: [const { AtomicU64::new(0) }; ValidationCode::ALL.len()],
            used: Mutex::new(Vec::new()),
            seq: AtomicI64::new(0),
        })
    }

    /// The snapshot now. Take it once per question, so that one answer is of one piece.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the snapshot anew when the database has moved on.
    ///
    /// # Errors
    /// When the database cannot be read; the old snapshot stays.
    pub fn refresh(&self, db: &Db) -> Result<(), AppError> {
        // One at a time: those who wait find it done by the one before.
        let _turn = lock(&self.refreshing);
        if db.read(licensing::generation)? == self.snapshot().generation() {
            return Ok(());
        }
        let fresh = Arc::new(db.read(Snapshot::load)?);
        let old = {
            let mut place = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
            place.replaced(self.seq.load(Ordering::Relaxed));
            std::mem::replace(&mut *place, fresh)
        };
        // Taken apart only here, where no question waits for the lock.
        drop(old);
        Ok(())
    }

    /// [`Desk::refresh`] for those who cannot do anything about a failure. It is logged, and tried
    /// again a tenth of a second later.
    pub fn look(&self, db: &Db) {
        if let Err(error) = self.refresh(db) {
            tracing::error!(
                error = chain(&error),
                "license validation works with an older snapshot"
            );
        }
    }

    /// The tenant key that a secret is. An unknown secret takes the same way as a known one; the
    /// caller has looked at its shape already.
    ///
    /// # Errors
    /// Why it is good for nothing.
    pub fn tenant_key<'s>(
        &self,
        snapshot: &'s Snapshot,
        secret: &str,
        now: Timestamp,
    ) -> Result<&'s KeyEntry, KeyRefused> {
        snapshot.key(&self.key_hash.hash(secret.as_bytes()), now)
    }

    /// The license that a key opens.
    #[must_use]
    pub fn license<'s>(
        &self,
        snapshot: &'s Snapshot,
        key: &LicenseKey,
    ) -> Option<&'s LicenseEntry> {
        snapshot.license(&self.license_hash.hash(key.as_bytes()))
    }

    /// The number of a lease that is made now from this snapshot. It rises from lease to lease, so that apps know an
    /// older copy as such: the time, or one more than the last when the clock was set back. A lease that was on its
    /// way while the snapshot was replaced does not overtake those of the newer one.
    pub fn next_seq(&self, snapshot: &Arc<Snapshot>, now: Timestamp) -> i64 {
        // Held until the number is taken: a newer snapshot's begin after it.
        let current = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, snapshot) {
            return snapshot.late_seq();
        }
        let after = |last: i64| now.as_millis().max(last.saturating_add(1));
        after(self.seq.update(Ordering::Relaxed, Ordering::Relaxed, after))
    }

    /// Counts an answer, and notes that key and license were used.
    pub fn note(
        &self,
        code: ValidationCode,
        key: &KeyEntry,
        license: Option<&LicenseEntry>,
        now: Timestamp,
    ) {
        self.answered[code as usize].fetch_add(1, Ordering::Relaxed);
        self.note_key(key, now);
        if let Some(license) = license.filter(|_| code.is_ones_own())
            && due(&license.validated, now)
        {
            self.note_use(Used::License(license.id, now));
        }
    }

    /// Notes that a key was used.
    pub fn note_key(&self, key: &KeyEntry, now: Timestamp) {
        if due(&key.used, now) {
            self.note_use(Used::Key(key.id, now));
        }
    }

    fn note_use(&self, note: Used) {
        let mut used = lock(&self.used);
        if used.len() < MAX_NOTES {
            used.push(note);
        }
    }

    /// Answers by code since the start.
    pub fn answered(&self) -> impl Iterator<Item = (ValidationCode, u64)> {
        ValidationCode::ALL
            .iter()
            .map(|code| (*code, self.answered[*code as usize].load(Ordering::Relaxed)))
    }
}
