//! How many requests a caller may make: per address while nobody knows who asks, per token or user, and per
//! API key of a tenant (generic cell rate algorithm).
//!
//! Whoever is known does not count for the address: a thousand agents, or an office, behind one NAT do not
//! hinder each other. Callers on the portal's own machine have no address of their own to count for.

use std::{
    cell::Cell,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::Mutex,
};

use freehold_protocol::time::Timestamp;

use super::{server::Response, throttle::network};
use crate::{
    config::Config,
    db::lock,
    domain::ids::TenantKeyId,
    error::{AppError, Kind},
};

/// Locks, so that callers rarely wait for each other.
const SHARDS: usize = 64;
/// Callers that one shard remembers; those who have asked least are forgotten first.
const MAX_PER_SHARD: usize = 1_024;
const MINUTE_MICROS: i64 = 60_000_000;

/// Counts requests per caller: a minute's worth at once, and then as they are forgotten.
#[derive(Debug)]
pub struct Rate<K> {
    name: &'static str,
    per_minute: u32,
    hasher: RandomState,
    /// The moment, in microseconds, at which each caller will have all of it again.
    whole_at: Vec<Mutex<HashMap<K, i64>>>,
}

/// A caller has asked too often.
#[derive(Debug)]
pub struct Over {
    /// The refusal.
    pub error: AppError,
    /// What is left: nothing, but when it will be there again.
    pub left: Left,
}

/// What is left to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    name: &'static str,
    per_minute: u32,
    /// Requests that it may make at once.
    pub requests: u32,
    /// Seconds until all of it is there again.
    pub whole_in_secs: u32,
}

impl<K: Hash + Eq> Rate<K> {
    /// Allows this many a minute; 0: any number.
    #[must_use]
    pub fn new(name: &'static str, per_minute: u32) -> Self {
        let whole_at = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { name, per_minute, hasher: RandomState::new(), whole_at }
    }

    /// Counts a request. Nothing is said where nothing is limited.
    ///
    /// # Errors
    /// 429 with the seconds to wait; the request is not counted then.
    pub fn take(&self, caller: K, now: Timestamp) -> Result<Option<Left>, Box<Over>> {
        if self.per_minute == 0 {
            return Ok(None);
        }
        let now = now.as_millis().saturating_mul(1_000);
        let each = MINUTE_MICROS / i64::from(self.per_minute);
        let shard = usize::try_from(self.hasher.hash_one(&caller) % SHARDS as u64).unwrap_or(0);
        let mut whole_at = lock(&self.whole_at[shard]);
        if whole_at.len() >= MAX_PER_SHARD && !whole_at.contains_key(&caller) {
            make_room(&mut whole_at, now);
        }
        let at = whole_at.entry(caller).or_insert(now);
        *at = (*at).clamp(now, latest(now));
        let after = *at + each;
        let over = after - now - MINUTE_MICROS;
        if over > 0 {
            let left = self.left(0, *at - now);
            let retry_after_secs = u32::try_from(over / 1_000_000 + 1).unwrap_or(60);
            let error = AppError::new(
                Kind::TooMany { retry_after_secs },
                "too_many_requests",
                format!("more than {} requests a minute", self.per_minute),
            )
            .advice(format!(
                "wait for {retry_after_secs} seconds; docs/security.md names the limits"
            ));
            return Err(Box::new(Over { error, left }));
        }
        *at = after;
        let requests = u32::try_from((-over) / each).unwrap_or(0);
        Ok(Some(self.left(requests, after - now)))
    }

    fn left(&self, requests: u32, whole_in: i64) -> Left {
        let whole_in_secs = u32::try_from(whole_in / 1_000_000 + 1).unwrap_or(60);
        Left { name: self.name, per_minute: self.per_minute, requests, whole_in_secs }
    }
}

/// Nobody waits for longer than a minute: what lies beyond was counted before the clock was set back.
const fn latest(now: i64) -> i64 {
    now.saturating_add(MINUTE_MICROS)
}

fn make_room<K: Hash + Eq>(whole_at: &mut HashMap<K, i64>, now: i64) {
    whole_at.retain(|_, at| {
        *at = (*at).min(latest(now));
        *at > now
    });
    let mut least = MINUTE_MICROS / 8;
    while whole_at.len() >= MAX_PER_SHARD {
        whole_at.retain(|_, at| *at > now + least);
        least += MINUTE_MICROS / 8;
    }
}

/// Says what is left (draft-ietf-httpapi-ratelimit-headers).
#[must_use]
pub fn with_left(response: Response, left: Left) -> Response {
    let Left { name, per_minute, requests, whole_in_secs } = left;
    response
        .with_header("ratelimit-policy", format!("\"{name}\";q={per_minute};w=60"))
        .with_header("ratelimit", format!("\"{name}\";r={requests};t={whole_in_secs}"))
}

/// The limits of all callers.
#[derive(Debug)]
pub struct Rates {
    address: Rate<IpAddr>,
    /// Agents that have not proved themselves: apart, so that they use up nobody's login behind the same NAT.
    agents: Rate<IpAddr>,
    /// Tokens and users, by their identifiers.
    caller: Rate<String>,
    /// API keys of tenants that ask about licenses.
    pub key: Rate<TenantKeyId>,
}

impl Rates {
    /// As configured.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            address: Rate::new("address", config.requests_per_minute),
            agents: Rate::new("agents", config.requests_per_minute),
            caller: Rate::new("token", config.requests_per_minute_per_token),
            key: Rate::new("key", config.validations_per_minute_per_key),
        }
    }

    /// Counts a request of somebody who is not known.
    ///
    /// # Errors
    /// 429.
    pub fn stranger(
        &self,
        peer: IpAddr,
        now: Timestamp,
        left: &Cell<Option<Left>>,
    ) -> Result<(), AppError> {
        if peer.is_loopback() {
            return Ok(());
        }
        told(self.address.take(network(peer), now), left)
    }

    /// Counts a request of an agent that has not proved itself, and notes what is left. It is refused anyway,
    /// with the reason.
    pub fn unproven_agent(&self, peer: IpAddr, now: Timestamp, left: &Cell<Option<Left>>) {
        if peer.is_loopback() {
            return;
        }
        left.set(match self.agents.take(network(peer), now) {
            Ok(left) => left,
            Err(over) => Some(over.left),
        });
    }

    /// Counts a request of a token or a user.
    ///
    /// # Errors
    /// 429.
    pub fn caller(
        &self,
        id: String,
        now: Timestamp,
        left: &Cell<Option<Left>>,
    ) -> Result<(), AppError> {
        told(self.caller.take(id, now), left)
    }
}

/// Notes what is left, whatever the outcome.
///
/// # Errors
/// That of the outcome.
pub fn told(
    outcome: Result<Option<Left>, Box<Over>>,
    left: &Cell<Option<Left>>,
) -> Result<(), AppError> {
    match outcome {
        Ok(now) => {
            left.set(now);
            Ok(())
        }
        Err(over) => {
            left.set(Some(over.left));
            Err(over.error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    #[test]
    fn a_minutes_worth_at_once_and_then_one_after_the_other() {
        let rate = Rate::new("address", 100);
        for n in 0..100 {
            let left = rate.take("a", NOW).unwrap().unwrap();
            assert_eq!(left.requests, 99 - n);
        }
        let Over { error, left } = *rate.take("a", NOW).unwrap_err();
        assert_eq!(error.kind, Kind::TooMany { retry_after_secs: 1 });
        assert_eq!((left.requests, left.whole_in_secs), (0, 61));
        // Who was refused is not punished for having asked.
        assert!(rate.take("a", NOW.plus_millis(600)).is_ok());
        assert!(rate.take("a", NOW.plus_millis(600)).is_err());
        assert!(rate.take("b", NOW).is_ok());
        assert_eq!(rate.take("a", NOW.plus_secs(61)).unwrap().unwrap().requests, 99);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let rate = Rate::new("address", 100);
        assert_eq!(rate.take("a", NOW).unwrap().unwrap().requests, 99);
        let before = NOW.plus_secs(-3_600);
        let Over { error, left } = *rate.take("a", before).unwrap_err();
        assert_eq!(error.kind, Kind::TooMany { retry_after_secs: 1 });
        assert_eq!((left.requests, left.whole_in_secs), (0, 61));
        assert!(rate.take("a", before.plus_secs(1)).is_ok());
        assert_eq!(rate.take("a", before.plus_secs(62)).unwrap().unwrap().requests, 99);
    }

    #[test]
    fn room_is_made_at_once_however_far_the_clock_is_set_back() {
        let rate: Rate<u32> = Rate::new("address", 100);
        let callers = u32::try_from(SHARDS * MAX_PER_SHARD).unwrap();
        for n in 0..callers {
            assert!(rate.take(n, NOW).is_ok());
        }
        let years = NOW.plus_secs(-20 * 365 * 86_400);
        for n in callers..callers + 10_000 {
            assert!(rate.take(n, years).is_ok());
        }
    }

    #[test]
    fn zero_is_no_limit_and_costs_nothing() {
        let rate = Rate::new("key", 0);
        for _ in 0..1000 {
            assert_eq!(rate.take(1, NOW).unwrap(), None);
        }
        assert!(rate.whole_at.iter().all(|shard| lock(shard).is_empty()));
    }

    #[test]
    fn memory_is_bounded_and_a_flood_of_addresses_does_not_free_the_guilty() {
        let rate: Rate<u32> = Rate::new("address", 100);
        for _ in 0..100 {
            assert!(rate.take(0, NOW).is_ok());
        }
        for n in 1..200_000 {
            assert!(rate.take(n, NOW).is_ok());
        }
        let kept: usize = rate.whole_at.iter().map(|shard| lock(shard).len()).sum();
        assert!(kept <= SHARDS * MAX_PER_SHARD, "{kept}");
        assert!(rate.take(0, NOW).is_err());
    }

    #[test]
    fn whoever_is_on_this_machine_has_no_address_to_count_for() {
        let config = Config { requests_per_minute: 1, ..Config::default() };
        let (rates, left) = (Rates::new(&config), Cell::new(None));
        for _ in 0..10 {
            rates.stranger([127, 0, 0, 1].into(), NOW, &left).unwrap();
        }
        assert_eq!(left.get(), None);
        rates.stranger([203, 0, 113, 1].into(), NOW, &left).unwrap();
        assert_eq!(left.get().map(|left| left.requests), Some(0));
        assert!(rates.stranger([203, 0, 113, 1].into(), NOW, &left).is_err());
        assert!(rates.stranger([203, 0, 113, 2].into(), NOW, &left).is_ok());
    }
}
