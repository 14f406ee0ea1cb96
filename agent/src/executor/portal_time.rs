//! Portal time: what the portal signed last, plus what has passed since on the clock that counts
//! from the machine's start. The host's own clock decides nothing.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
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

/// The clock by which jobs expire, and which engine and reports use.
#[derive(Debug)]
pub struct PortalClock {
    host: Arc<dyn Clock>,
    boot_id: String,
    anchor: Mutex<Option<Anchor>>,
}

impl PortalClock {
    /// A clock that knows no portal time yet.
    #[must_use]
    pub fn new(host: Arc<dyn Clock>) -> Self {
        // Tells whether the machine was started since; without it nothing is carried over.
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { host, boot_id: boot_id.trim().to_owned(), anchor: Mutex::new(None) }
    }

    /// Takes up what [`Self::to_text`] wrote before a restart of the process. After a restart of the
    /// machine it is worthless: who knows how long that took.
    pub fn restore(&self, text: &str) {
        let anchor: Option<Anchor> = serde_json::from_str(text).ok();
        *self.lock() = anchor.filter(|a| a.boot_id == self.boot_id && !a.boot_id.is_empty());
    }

    /// The anchor that an answer with this time makes, for the journal.
    #[must_use]
    pub fn to_text(&self, now: Timestamp) -> String {
        serde_json::to_string(&self.anchor_at(now)).unwrap_or_default()
    }

    /// Takes a time that the portal has just signed.
    pub fn set(&self, now: Timestamp) {
        *self.lock() = Some(self.anchor_at(now));
    }

    /// Portal time, if it is known.
    #[must_use]
    pub fn portal_now(&self) -> Option<Timestamp> {
        let guard = self.lock();
        let anchor = guard.as_ref()?;
        let passed = self.boot_millis().saturating_sub(anchor.boot_millis);
        Some(anchor.now.plus_millis(i64::try_from(passed).unwrap_or(i64::MAX)))
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Anchor>> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

        let text = clock.to_text(Timestamp::from_millis(9_005_000));
        let again = PortalClock::new(Arc::clone(&host) as Arc<dyn Clock>);
        again.restore(&text);
        host.advance(Duration::from_secs(1));
        assert_eq!(again.portal_now(), Some(Timestamp::from_millis(9_006_000)));
        again.restore(&text.replace("bootId\":\"", "bootId\":\"other"));
        assert_eq!(again.portal_now(), None);
        again.restore("rubbish");
        assert_eq!(again.portal_now(), None);
    }
}
