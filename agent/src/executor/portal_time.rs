//! Portal time: what the portal signed last, plus what has passed since on the clock that counts
//! from the machine's start. The host's own clock decides nothing.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use freehold_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// One signed time, tied to the moment of its arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Anchor {
    now: Timestamp,
    boot_millis: u64,
    boot_id: String,
}

/// How far the time that is on the disk may be from what the portal signed last. Writing each answer's
/// time down would be a durable write for every poll of an idle host, for a few milliseconds: both
/// clocks go on at the same pace.
const KEPT_SLACK_MILLIS: i64 = 1_000;

/// The clock by which jobs expire, and which engine and reports use.
#[derive(Debug)]
pub struct PortalClock {
    host: Arc<dyn Clock>,
    boot_id: String,
    anchor: Mutex<Option<Anchor>>,
    /// What is on the disk for a restart.
    kept: Mutex<Option<Anchor>>,
}

/// A signed time for the journal.
#[derive(Debug)]
pub struct ToKeep(Anchor);

impl ToKeep {
    /// As it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

impl Anchor {
    /// The time that it tells when the clock since boot stands at `boot_millis`.
    fn at(&self, boot_millis: u64) -> Timestamp {
        let passed = boot_millis.saturating_sub(self.boot_millis);
        self.now.plus_millis(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

impl PortalClock {
    /// A clock that knows no portal time yet.
    #[must_use]
    pub fn new(host: Arc<dyn Clock>) -> Self {
        // Tells whether the machine was started since; without it nothing is carried over.
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            host,
            boot_id: boot_id.trim().to_owned(),
            anchor: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Takes up what [`ToKeep::to_text`] wrote before a restart of the process. After a restart of the
    /// machine it is worthless: who knows how long that took.
    pub fn restore(&self, text: &str) {
        let anchor: Option<Anchor> = serde_json::from_slice(text.as_bytes()).ok();
        let anchor = anchor.filter(|a| a.boot_id == self.boot_id && !a.boot_id.is_empty());
        lock(&self.kept).clone_from(&anchor);
        *lock(&self.anchor) = anchor;
    }

    /// What the journal must learn of a time that was signed now; nothing while what it has tells the
    /// same time.
    #[must_use]
    pub fn to_keep(&self, now: Timestamp) -> Option<ToKeep> {
        let kept = lock(&self.kept);
        let known = kept.as_ref().map(|kept| kept.at(self.boot_millis()));
        let same = known.is_some_and(|known| now.millis_since(known).abs() <= KEPT_SLACK_MILLIS);
        (!same).then(|| ToKeep(self.anchor_at(now)))
    }

    /// The journal has it.
    pub fn kept(&self, kept: ToKeep) {
        *lock(&self.kept) = Some(kept.0);
    }

    /// Takes a time that the portal has just signed.
    pub fn set(&self, now: Timestamp) {
        *lock(&self.anchor) = Some(self.anchor_at(now));
    }

    /// Portal time, if it is known.
    #[must_use]
    pub fn portal_now(&self) -> Option<Timestamp> {
        Some(lock(&self.anchor).as_ref()?.at(self.boot_millis()))
    }

    /// The host's clock minus portal time, in milliseconds.
    #[must_use]
    pub fn skew_millis(&self) -> Option<i64> {
        self.portal_now().map(|portal| self.host.now().millis_since(portal))
    }

    fn anchor_at(&self, now: Timestamp) -> Anchor {
        Anchor { now, boot_millis: self.boot_millis(), boot_id: self.boot_id.clone() }
    }

    fn boot_millis(&self) -> u64 {
        u64::try_from(self.host.since_boot().as_millis()).unwrap_or(u64::MAX)
    }
}

fn lock(anchor: &Mutex<Option<Anchor>>) -> MutexGuard<'_, Option<Anchor>> {
    anchor.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock for PortalClock {
    /// Portal time; the host's while none is known, because an event needs some time.
    fn now(&self) -> Timestamp {
        self.portal_now().unwrap_or_else(|| self.host.now())
    }
    fn since_boot(&self) -> Duration {
        self.host.since_boot()
    }
    fn certain(&self) -> Option<Timestamp> {
        self.portal_now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FixedClock;

    #[test]
    fn runs_on_from_the_signed_time_whatever_the_host_believes() {
        let host = Arc::new(FixedClock::at(Timestamp::from_millis(1_000)));
        let clock = PortalClock::new(Arc::clone(&host) as Arc<dyn Clock>);
        assert_eq!((clock.portal_now(), clock.now().as_millis()), (None, 1_000));
        clock.set(Timestamp::from_millis(9_000_000));
        host.advance(Duration::from_secs(5));
        assert_eq!(clock.portal_now(), Some(Timestamp::from_millis(9_005_000)));
        assert_eq!(clock.skew_millis(), Some(6_000 - 9_005_000));

        let text = clock.to_keep(Timestamp::from_millis(9_005_000)).unwrap().to_text();
        let again = PortalClock::new(Arc::clone(&host) as Arc<dyn Clock>);
        again.restore(&text);
        host.advance(Duration::from_secs(1));
        assert_eq!(again.portal_now(), Some(Timestamp::from_millis(9_006_000)));
        again.restore(&text.replace("bootId\":\"", "bootId\":\"other"));
        assert_eq!(again.portal_now(), None);
        again.restore("rubbish");
        assert_eq!(again.portal_now(), None);
    }

    #[test]
    fn only_another_time_is_worth_a_write() {
        let host = Arc::new(FixedClock::at(Timestamp::from_millis(1_000)));
        let clock = PortalClock::new(Arc::clone(&host) as Arc<dyn Clock>);
        let signed = |millis| Timestamp::from_millis(millis);
        clock.kept(clock.to_keep(signed(9_000_000)).unwrap());
        host.advance(Duration::from_secs(600));
        assert!(clock.to_keep(signed(9_600_000)).is_none());
        assert!(clock.to_keep(signed(9_601_000)).is_none());
        for other in [9_601_001, 9_598_999] {
            assert!(clock.to_keep(signed(other)).is_some());
        }
        // After a restart the journal's is known; after one of the machine it is worth nothing.
        let text = clock.to_keep(signed(9_700_000)).unwrap().to_text();
        let again = PortalClock::new(Arc::clone(&host) as Arc<dyn Clock>);
        again.restore(&text);
        assert!(again.to_keep(signed(9_700_000)).is_none());
        again.restore(&text.replace("bootId\":\"", "bootId\":\"other"));
        assert!(again.to_keep(signed(9_700_000)).is_some());
    }
}
