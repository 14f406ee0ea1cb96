//! Buckets of failures: per address for logins, per address and per key for what apps send.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
};

use freehold_protocol::time::Timestamp;

use crate::{
    db::lock,
    error::{AppError, Kind},
};

/// Keys that are remembered; the least guilty are forgotten first.
const MAX_KEYS: usize = 10_000;

/// Counts failures per key (generic cell rate algorithm).
#[derive(Debug)]
pub struct Failures<K> {
    burst: i64,
    refill_millis: i64,
    /// The moment at which each key will be innocent again.
    innocent_at: Mutex<HashMap<K, Timestamp>>,
}

impl<K: Hash + Eq> Failures<K> {
    /// Allows this many at once and a minute.
    #[must_use]
    pub fn per_minute(failures: u32) -> Self {
        Self::new(failures.max(1).into(), 60_000 / i64::from(failures.max(1)))
    }

    /// Allows `burst` failures at once, one of which is forgotten each `refill_millis`.
    #[must_use]
    pub fn new(burst: i64, refill_millis: i64) -> Self {
        Self { burst, refill_millis, innocent_at: Mutex::default() }
    }

    /// The seconds to wait for a key that has failed too often.
    #[must_use]
    pub fn over(&self, key: &K, now: Timestamp) -> Option<u32> {
        let mut innocent_at = lock(&self.innocent_at);
        let at = innocent_at.get_mut(key)?;
        *at = (*at).min(self.latest(now));
        let over = at.millis_since(now) - (self.burst - 1) * self.refill_millis;
        (over > 0).then(|| u32::try_from(over / 1000 + 1).unwrap_or(60))
    }

    /// Nobody waits for longer than all failures take to be forgotten: what lies beyond was counted before
    /// the clock was set back.
    fn latest(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(self.burst * self.refill_millis)
    }

    /// Notes a failure.
    pub fn failed(&self, key: K, now: Timestamp) {
        let mut innocent_at = lock(&self.innocent_at);
        if innocent_at.len() >= MAX_KEYS {
            innocent_at.retain(|_, at| *at > now);
            if innocent_at.len() >= MAX_KEYS {
                let half = now.plus_millis(self.burst * self.refill_millis / 2);
                innocent_at.retain(|_, at| *at > half);
            }
            if innocent_at.len() >= MAX_KEYS {
                innocent_at.clear();
            }
        }
        let at = innocent_at.entry(key).or_insert(now);
        *at = (*at).max(now).plus_millis(self.refill_millis).min(self.latest(now));
    }
}

/// Counts per address who fails to prove who it is. It never locks a good token out: whoever asks is looked up
/// first, by a keyed hash, and only if the checksum is right, so that a flood of bad tokens costs little.
#[derive(Debug)]
pub struct Throttle(Failures<IpAddr>);

impl Throttle {
    /// Allows this many at once and a minute.
    #[must_use]
    pub fn per_minute(failures: u32) -> Self {
        Self(Failures::per_minute(failures))
    }

    /// Counts a failure to prove who asks; any other error is handed back as it is. An address that has failed
    /// too often gets 429 with the seconds to wait in its place, and then it is not counted.
    #[must_use]
    pub fn counted(&self, error: AppError, peer: IpAddr, now: Timestamp) -> AppError {
        if error.kind != Kind::Unauthenticated {
            return error;
        }
        let Some(retry_after_secs) = self.0.over(&network(peer), now) else {
            self.0.failed(network(peer), now);
            return error;
        };
        AppError::new(
            Kind::TooMany { retry_after_secs },
            "too_many_failures",
            "too many requests from your address had no valid token",
        )
        .advice("check the token that your script or command line uses")
    }
}

/// One IPv6 client has a whole /64.
#[must_use]
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let s = v6.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request with a bad token gets: the seconds to wait, if any.
    fn fail(throttle: &Throttle, peer: &str, now: Timestamp) -> Option<u32> {
        let bad = AppError::new(Kind::Unauthenticated, "token_missing", "x");
        match throttle.counted(bad, peer.parse().unwrap(), now).kind {
            Kind::TooMany { retry_after_secs } => Some(retry_after_secs),
            kind => {
                assert_eq!(kind, Kind::Unauthenticated);
                None
            }
        }
    }

    #[test]
    fn ten_failures_then_one_every_six_seconds() {
        let throttle = Throttle::per_minute(10);
        let now = Timestamp::from_millis(1_000_000);
        for _ in 0..10 {
            assert_eq!(fail(&throttle, "2001:db8::1", now), None);
        }
        assert_eq!(fail(&throttle, "2001:db8::2", now), Some(7));
        assert_eq!(fail(&throttle, "2001:db8:0:1::1", now), None);
        assert_eq!(fail(&throttle, "2001:db8::1", now.plus_secs(6)), None);
        assert_eq!(fail(&throttle, "2001:db8::1", now.plus_secs(6)), Some(7));
        assert_eq!(fail(&throttle, "2001:db8::1", now.plus_secs(70)), None);
    }

    #[test]
    fn what_is_no_failure_to_prove_who_asks_is_neither_counted_nor_replaced() {
        let throttle = Throttle::per_minute(1);
        let peer = [203, 0, 113, 9].into();
        let now = Timestamp::from_millis(1_000_000);
        let other = || AppError::new(Kind::Forbidden, "forbidden", "x");
        assert_eq!(throttle.counted(other(), peer, now).kind, Kind::Forbidden);
        assert_eq!(fail(&throttle, "203.0.113.9", now), None);
        assert!(fail(&throttle, "203.0.113.9", now).is_some());
        assert_eq!(throttle.counted(other(), peer, now).kind, Kind::Forbidden);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let failures = Failures::per_minute(10);
        let now = Timestamp::from_millis(1_790_000_000_000);
        let before = now.plus_secs(-3_600);
        failures.failed("asked", now);
        assert_eq!(failures.over(&"asked", before), Some(7));
        assert_eq!(failures.over(&"asked", before.plus_secs(6)), None);
        // A failure that nobody has asked about before is counted from the new time, too.
        failures.failed("noted", now);
        failures.failed("noted", before);
        assert_eq!(failures.over(&"noted", before.plus_secs(6)), None);
    }
}
