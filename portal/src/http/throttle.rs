//! A bucket of failed logins per address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
};

use freehold_protocol::time::Timestamp;

use crate::{
    db::lock,
    error::{AppError, Kind},
};

/// Failures that an address may make at once.
const BURST: i64 = 10;
/// Time after which one of them is forgotten, in milliseconds: ten a minute.
const REFILL_MILLIS: i64 = 6_000;
/// Addresses that are remembered; the least guilty are forgotten first.
const MAX_ADDRESSES: usize = 10_000;

/// Counts failed authentications. It stops guessing and, since a refused address costs no database
/// query, floods of bad tokens; it never locks a token out.
#[derive(Debug, Default)]
pub struct Throttle {
    /// The moment at which each address will be innocent again (generic cell rate algorithm).
    innocent_at: Mutex<HashMap<IpAddr, Timestamp>>,
}

impl Throttle {
    /// Refuses an address that has failed too often.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub fn check(&self, peer: IpAddr, now: Timestamp) -> Result<(), AppError> {
        let Some(innocent_at) = lock(&self.innocent_at).get(&network(peer)).copied() else {
            return Ok(());
        };
        let over = innocent_at.millis_since(now) - (BURST - 1) * REFILL_MILLIS;
        if over <= 0 {
            return Ok(());
        }
        let secs = u32::try_from(over / 1000 + 1).unwrap_or(60);
        Err(AppError::new(
            Kind::TooMany { retry_after_secs: secs },
            "too_many_failures",
            "too many requests from your address had no valid token",
        )
        .advice("check the token that your script or command line uses"))
    }

    /// Notes a failure.
    pub fn failed(&self, peer: IpAddr, now: Timestamp) {
        let mut innocent_at = lock(&self.innocent_at);
        if innocent_at.len() >= MAX_ADDRESSES {
            innocent_at.retain(|_, at| *at > now);
            if innocent_at.len() >= MAX_ADDRESSES {
                let half = now.plus_millis(BURST * REFILL_MILLIS / 2);
                innocent_at.retain(|_, at| *at > half);
            }
            if innocent_at.len() >= MAX_ADDRESSES {
                innocent_at.clear();
            }
        }
        let at = innocent_at.entry(network(peer)).or_insert(now);
        *at = (*at).max(now).plus_millis(REFILL_MILLIS);
    }
}

/// One IPv6 client has a whole /64.
fn network(peer: IpAddr) -> IpAddr {
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
        let throttle = Throttle::default();
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
