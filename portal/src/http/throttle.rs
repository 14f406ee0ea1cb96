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
        let innocent_at = lock(&self.innocent_at).get(key).copied()?;
        let over = innocent_at.millis_since(now) - (self.burst - 1) * self.refill_millis;
        (over > 0).then(|| u32::try_from(over / 1000 + 1).unwrap_or(60))
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
        *at = (*at).max(now).plus_millis(self.refill_millis);
    }
}

/// Counts failed logins per address. It stops guessing and, since a refused address costs no
/// database query, floods of bad tokens; it never locks a token out.
#[derive(Debug)]
pub struct Throttle(Failures<IpAddr>);

impl Throttle {
    /// Allows this many at once and a minute.
    #[must_use]
    pub fn per_minute(failures: u32) -> Self {
        Self(Failures::per_minute(failures))
    }

    /// Refuses an address that has failed too often.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub fn check(&self, peer: IpAddr, now: Timestamp) -> Result<(), AppError> {
        let Some(retry_after_secs) = self.0.over(&network(peer), now) else { return Ok(()) };
        Err(AppError::new(
            Kind::TooMany { retry_after_secs },
            "too_many_failures",
            "too many requests from your address had no valid token",
        )
        .advice("check the token that your script or command line uses"))
    }

    /// Notes a failure.
    pub fn failed(&self, peer: IpAddr, now: Timestamp) {
        self.0.failed(network(peer), now);
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

    #[test]
    fn ten_failures_then_one_every_six_seconds() {
        let throttle = Throttle::per_minute(10);
        let peer: IpAddr = "2001:db8::1".parse().unwrap();
        let now = Timestamp::from_millis(1_000_000);
        for _ in 0..10 {
            throttle.check(peer, now).unwrap();
            throttle.failed(peer, now);
        }
        let refused = throttle.check("2001:db8::2".parse().unwrap(), now).unwrap_err();
        assert_eq!(refused.kind, Kind::TooMany { retry_after_secs: 7 });
        throttle.check("2001:db8:0:1::1".parse().unwrap(), now).unwrap();
        throttle.check(peer, now.plus_secs(6)).unwrap();
        throttle.failed(peer, now.plus_secs(6));
        assert!(throttle.check(peer, now.plus_secs(6)).is_err());
        throttle.check(peer, now.plus_secs(70)).unwrap();
    }
}
