//! How long commits take: a histogram that the writer fills and `/metrics` shows.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of the buckets, in milliseconds. A commit is one fsync and at times a checkpoint.
const BOUNDS_MILLIS: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 250, 1000, 5000];

/// Durations of commits since the start.
#[derive(Debug, Default)]
pub struct Commits {
    buckets: [AtomicU64; BOUNDS_MILLIS.len()],
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Commits {
    /// Notes a commit.
    pub(super) fn note(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(place) = BOUNDS_MILLIS.iter().position(|bound| nanos <= bound * 1_000_000) {
            self.buckets[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Upper bounds in seconds, each with the number of commits that took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut total = 0;
        BOUNDS_MILLIS.iter().zip(&self.buckets).map(move |(millis, count)| {
            total += count.load(Ordering::Relaxed);
            (Duration::from_millis(*millis).as_secs_f64(), total)
        })
    }

    /// How many there were, and how long all of them took, in seconds.
    #[must_use]
    pub fn total(&self) -> (u64, f64) {
        let nanos = self.nanos.load(Ordering::Relaxed);
        (self.count.load(Ordering::Relaxed), Duration::from_nanos(nanos).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_took_no_longer() {
        let commits = Commits::default();
        for millis in [1, 3, 9_000] {
            commits.note(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = commits.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(commits.total(), (3, 9.004));
    }
}
