//! What each tenant may send: items a minute (lines, values, reports) and bytes a day.
//!
//! Items follow the generic cell rate algorithm: a minute's worth at once, then as fast as it refills.
//! Bytes are counted per day (UTC); the count is in the database as well, so that a restart forgives
//! nothing. Tenants are remembered for as long as the portal runs; only those with a good key come here.

use std::{collections::HashMap, sync::Mutex};

use freehold_protocol::{ids::TenantId, time::Timestamp};

use crate::{
    db::lock,
    domain::ingest::{DAY_MILLIS, day},
    error::{AppError, Kind},
};

const MINUTE_MICROS: i64 = 60_000_000;

#[derive(Debug, Clone, Copy)]
struct Sent {
    /// When all that was sent will be forgotten, in microseconds.
    forgotten_at: i64,
    day: i64,
    bytes: u64,
}

/// What is left to a tenant, for the headers of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Items that may come now.
    pub items: u64,
    /// Seconds until all of a minute's items may come.
    pub items_reset_secs: u64,
    /// Bytes that may come today.
    pub bytes: u64,
    /// Seconds until the next day.
    pub bytes_reset_secs: u64,
}

/// A tenant wants more than it may.
#[derive(Debug)]
pub struct OverQuota {
    /// 429 with the seconds to wait.
    pub error: AppError,
    /// What is left.
    pub left: Left,
}

impl OverQuota {
    fn new(error: AppError, left: Left) -> Box<Self> {
        Box::new(Self { error, left })
    }
}

/// What all tenants have sent.
#[derive(Debug)]
pub struct Quotas {
    items_a_minute: u32,
    bytes_a_day: u64,
    tenants: Mutex<HashMap<TenantId, Sent>>,
}

impl Quotas {
    /// Quotas of this size.
    #[must_use]
    pub fn new(items_a_minute: u32, bytes_a_day: u64) -> Self {
        Self { items_a_minute: items_a_minute.max(1), bytes_a_day, tenants: Mutex::default() }
    }

    /// Items a minute and bytes a day.
    #[must_use]
    pub const fn size(&self) -> (u32, u64) {
        (self.items_a_minute, self.bytes_a_day)
    }

    /// Whether it is known what a tenant has sent today. What was counted on a later day, before the clock was
    /// set back, says nothing of today.
    #[must_use]
    pub fn knows(&self, tenant: TenantId, now: Timestamp) -> bool {
        lock(&self.tenants).get(&tenant).is_some_and(|sent| sent.day <= day(now))
    }

    /// Learns what a tenant has sent today, unless it is known.
    pub fn learn(&self, tenant: TenantId, bytes: u64, now: Timestamp) {
        let today = day(now);
        let fresh = Sent { forgotten_at: 0, day: today, bytes };
        let mut tenants = lock(&self.tenants);
        let sent = tenants.entry(tenant).or_insert(fresh);
        if sent.day > today {
            *sent = Sent { day: today, bytes, ..*sent };
        }
    }

    /// Takes a part of what a tenant may send, or nothing of it.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub fn take(
        &self,
        tenant: TenantId,
        items: u64,
        bytes: u64,
        now: Timestamp,
    ) -> Result<Left, Box<OverQuota>> {
        let mut tenants = lock(&self.tenants);
        let today = day(now);
        let sent = tenants.entry(tenant).or_insert(Sent { forgotten_at: 0, day: today, bytes: 0 });
        if sent.day < today {
            *sent = Sent { day: today, bytes: 0, ..*sent };
        }
        let micros = now.as_millis() * 1000;
        let wanted =
            i64::try_from(items).unwrap_or(i64::MAX / MINUTE_MICROS).saturating_mul(self.each());
        // Nobody waits for longer than a minute: what lies beyond was counted before the clock was set back.
        let latest = micros + MINUTE_MICROS + self.each();
        sent.forgotten_at = sent.forgotten_at.clamp(micros, latest);
        let forgotten_at = sent.forgotten_at + wanted;
        let over = forgotten_at - latest;
        if over > 0 {
            let secs = u32::try_from(over / 1_000_000 + 1).unwrap_or(60);
            let (rate, _) = self.size();
            let message = format!("more than {rate} lines, values and reports a minute");
            return Err(OverQuota::new(exceeded(secs, message), self.left(sent, now)));
        }
        if sent.bytes.saturating_add(bytes) > self.bytes_a_day {
            let secs = u32::try_from(until_tomorrow(now)).unwrap_or(86_400);
            let message = format!("more than {} MB a day", self.bytes_a_day >> 20);
            return Err(OverQuota::new(exceeded(secs, message), self.left(sent, now)));
        }
        sent.forgotten_at = forgotten_at;
        sent.bytes += bytes;
        Ok(self.left(sent, now))
    }

    /// Counts bytes that are known only afterwards. They may go beyond what a tenant may send: then its next
    /// batch is refused.
    pub fn charge(&self, tenant: TenantId, bytes: u64, now: Timestamp) -> Left {
        let mut tenants = lock(&self.tenants);
        let fresh = Sent { forgotten_at: 0, day: day(now), bytes: 0 };
        let sent = tenants.entry(tenant).or_insert(fresh);
        sent.bytes = sent.bytes.saturating_add(bytes);
        self.left(sent, now)
    }

    /// Gives back what was taken for something that came to nothing: a batch that was there already.
    pub fn give_back(&self, tenant: TenantId, items: u64, bytes: u64) {
        if let Some(sent) = lock(&self.tenants).get_mut(&tenant) {
            let items = i64::try_from(items).unwrap_or(0);
            sent.forgotten_at -= items.saturating_mul(self.each());
            sent.bytes = sent.bytes.saturating_sub(bytes);
        }
    }

    /// Microseconds after which one item is forgotten.
    fn each(&self) -> i64 {
        (MINUTE_MICROS / i64::from(self.items_a_minute)).max(1)
    }

    fn left(&self, sent: &Sent, now: Timestamp) -> Left {
        let debt = (sent.forgotten_at - now.as_millis() * 1000).max(0);
        Left {
            items: u64::try_from((MINUTE_MICROS - debt) / self.each()).unwrap_or(0),
            items_reset_secs: debt.unsigned_abs().div_ceil(1_000_000),
            bytes: self.bytes_a_day.saturating_sub(sent.bytes),
            bytes_reset_secs: until_tomorrow(now),
        }
    }
}

fn until_tomorrow(now: Timestamp) -> u64 {
    (DAY_MILLIS - now.as_millis().rem_euclid(DAY_MILLIS)).unsigned_abs().div_ceil(1000)
}

fn exceeded(retry_after_secs: u32, what: String) -> AppError {
    AppError::new(Kind::TooMany { retry_after_secs }, "quota_exceeded", format!("the app sends {what}"))
        .advice("keep the batch and send it again after Retry-After, with the same batch id; an operator can raise the quota (docs/operations.md)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        TenantId::from_uuid(uuid::Uuid::now_v7())
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_as_it_refills() {
        let quotas = Quotas::new(6_000, u64::MAX);
        let (a, b) = (tenant(), tenant());
        let now = Timestamp::from_millis(1_790_000_000_000);
        assert_eq!(quotas.take(a, 6_000, 0, now).unwrap().items, 0);
        let OverQuota { error, left } = *quotas.take(a, 500, 0, now).unwrap_err();
        assert_eq!(error.kind, Kind::TooMany { retry_after_secs: 5 });
        assert_eq!((left.items, left.items_reset_secs), (0, 60));
        quotas.take(b, 6_000, 0, now).unwrap();
        quotas.take(a, 500, 0, now.plus_secs(5)).unwrap();
        // What came to nothing is not counted.
        quotas.give_back(a, 500, 0);
        quotas.take(a, 500, 0, now.plus_secs(5)).unwrap();
        assert!(quotas.take(a, 500, 0, now.plus_secs(5)).is_err());
    }

    #[test]
    fn bytes_are_counted_by_the_day_and_known_after_a_restart() {
        let quotas = Quotas::new(1_000_000, 1000);
        let a = tenant();
        let now =
            Timestamp::from_millis(1_790_000_000_000 / DAY_MILLIS * DAY_MILLIS).plus_secs(86_000);
        assert!(!quotas.knows(a, now));
        quotas.learn(a, 900, now);
        quotas.take(a, 1, 100, now).unwrap();
        let OverQuota { error, left } = *quotas.take(a, 1, 1, now).unwrap_err();
        assert_eq!(error.kind, Kind::TooMany { retry_after_secs: 400 });
        assert_eq!(left.bytes, 0);
        quotas.take(a, 1, 1000, now.plus_secs(400)).unwrap();
    }

    #[test]
    fn what_is_known_afterwards_counts_for_the_next_batch() {
        let quotas = Quotas::new(1_000_000, 1000);
        let a = tenant();
        let now = Timestamp::from_millis(1_790_000_000_000);
        quotas.take(a, 1, 900, now).unwrap();
        assert_eq!(quotas.charge(a, 60, now).bytes, 40);
        assert_eq!(quotas.charge(a, 60, now).bytes, 0);
        assert!(quotas.take(a, 1, 1, now).is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_tenant_for_longer_than_a_minute() {
        let quotas = Quotas::new(6_000, 1000);
        let a = tenant();
        let now = Timestamp::from_millis(1_790_000_000_000);
        quotas.learn(a, 0, now);
        quotas.take(a, 10, 1000, now).unwrap();
        let before = now.plus_secs(-3 * 86_400);
        // The count of that day is asked for again: the one in memory is another day's.
        assert!(!quotas.knows(a, before));
        quotas.learn(a, 900, before);
        let OverQuota { error, .. } = *quotas.take(a, 10, 1, before).unwrap_err();
        assert_eq!(error.kind, Kind::TooMany { retry_after_secs: 1 });
        assert!(quotas.knows(a, before));
        quotas.take(a, 10, 100, before.plus_secs(1)).unwrap();
        let left = quotas.take(a, 1, 0, before.plus_secs(62)).unwrap();
        assert_eq!((left.items, left.bytes), (5_999, 0));
    }
}
