//! Memory that all request bodies may take together.
//!
//! A cap per request is not enough: twelve thousand clients that each send an allowed megabyte and hold
//! back the last byte would take twelve gigabytes.

use std::sync::atomic::{AtomicUsize, Ordering};

/// One request's part of the memory; given back when dropped, after its handler.
#[derive(Debug)]
pub(super) struct Share<'a> {
    used: &'a AtomicUsize,
    limit: usize,
    held: usize,
}

impl<'a> Share<'a> {
    pub(super) fn none(used: &'a AtomicUsize, limit: usize) -> Self {
        Self { used, limit, held: 0 }
    }

    /// Takes what is missing to `bytes`; false, and nothing taken, when there is not so much.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.held);
        let before = self.used.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.limit {
            self.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.held += more;
        true
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_together_and_given_back() {
        let used = AtomicUsize::new(0);
        let (mut one, mut two) = (Share::none(&used, 10), Share::none(&used, 10));
        assert!(one.grow_to(6) && two.grow_to(4) && one.grow_to(5));
        assert!(!two.grow_to(5));
        drop(one);
        assert!(two.grow_to(10));
        drop(two);
        assert_eq!(used.into_inner(), 0);
    }
}
