//! How long the portal may hold a poll, where the network cuts what is silent.

use std::time::Duration;

use freehold_protocol::wire::MAX_WAIT_SECS;

/// How long a request may be held, by experience. A proxy or a firewall that cuts what is silent for
/// a while turns every long poll into a failure; then shorter waits and pauses between them take its
/// place, down to a plain interval, with the portal's own wait tried again now and then.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) most: u32,
    good: u32,
}

impl Holding {
    /// A failure after this many seconds may come from the wait.
    const SUSPICIOUS_SECS: u64 = 5;
    /// After so many good answers twice the wait is tried.
    const GOOD: u32 = 20;

    pub(super) const fn new() -> Self {
        Self { most: MAX_WAIT_SECS, good: 0 }
    }

    /// A poll that asked for `wait_secs` failed after `took`.
    pub(super) fn failed(&mut self, wait_secs: u32, took: Duration) {
        if wait_secs > 0 && took.as_secs() >= Self::SUSPICIOUS_SECS {
            self.most = wait_secs.min(u32::try_from(took.as_secs()).unwrap_or(wait_secs)) / 2;
            self.good = 0;
        }
    }

    /// A poll was answered, and the portal asks for this wait. Gives the wait to ask for, and the
    /// pause that takes the place of the rest.
    pub(super) fn answered(&mut self, offered_secs: u32) -> (u32, Duration) {
        let offered = offered_secs.min(MAX_WAIT_SECS);
        if self.most < MAX_WAIT_SECS {
            self.good += 1;
            if self.good >= Self::GOOD {
                self.most = (self.most * 2).clamp(2, MAX_WAIT_SECS);
                self.good = 0;
            }
        }
        let wait = offered.min(self.most);
        (wait, Duration::from_secs((offered - wait).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_cuts_long_polls_gets_shorter_ones_with_pauses() {
        let mut holding = Holding::new();
        assert_eq!(holding.answered(25), (25, Duration::ZERO));
        // A portal that is down fails at once: no reason to hold shorter.
        holding.failed(25, Duration::from_millis(20));
        assert_eq!(holding.answered(25), (25, Duration::ZERO));
        // Cut after 20 s: 10 s pass, and the pause keeps the interval.
        holding.failed(25, Duration::from_secs(20));
        assert_eq!(holding.answered(25), (10, Duration::from_secs(15)));
        holding.failed(10, Duration::from_secs(10));
        holding.failed(5, Duration::from_secs(5));
        assert_eq!(holding.answered(25), (2, Duration::from_secs(23)));
        // It comes back when the network does.
        let waits: Vec<u32> = (0..200).map(|_| holding.answered(25).0).collect();
        assert!(waits.is_sorted() && waits[0] == 2 && waits[199] == 25, "{waits:?}");
    }
}
