//! Counts of what came, for `/metrics`. No tenant is ever a label.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::ingest::Reason;

/// What kind of thing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Sort {
    Logs,
    Usage,
    Health,
}

impl Sort {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Usage, Self::Health];

    /// Its label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Usage => "usage",
            Self::Health => "health",
        }
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Stats {
    accepted: [AtomicU64; Sort::ALL.len()],
    bytes: [AtomicU64; Sort::ALL.len()],
    refused: [AtomicU64; Reason::ALL.len()],
    /// Batches that were there already.
    pub repeated: AtomicU64,
    /// Batches over a tenant's quota.
    pub over_quota: AtomicU64,
}

impl Stats {
    /// Counts what was taken.
    pub fn took(&self, sort: Sort, items: u64, bytes: u64) {
        self.accepted[sort as usize].fetch_add(items, Ordering::Relaxed);
        self.bytes[sort as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts lines that were refused for a reason.
    pub fn refused(&self, reason: Reason, lines: u64) {
        self.refused[reason as usize].fetch_add(lines, Ordering::Relaxed);
    }

    /// Items and bytes taken, by sort.
    pub fn taken(&self) -> impl Iterator<Item = (Sort, u64, u64)> {
        Sort::ALL.iter().map(|sort| {
            let at = *sort as usize;
            (
                *sort,
                self.accepted[at].load(Ordering::Relaxed),
                self.bytes[at].load(Ordering::Relaxed),
            )
        })
    }

    /// Lines refused, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL
            .iter()
            .map(|reason| (*reason, self.refused[*reason as usize].load(Ordering::Relaxed)))
    }
}
