//! Whether a host's agent is there.

use freehold_protocol::time::Timestamp;

use super::spelled;

spelled! {
    /// Whether the agent polls as it should.
    Presence, "presence" {
        /// No agent has polled yet.
        Never = "never",
        /// It polls in time.
        Online = "online",
        /// A poll is overdue.
        Late = "late",
        /// Several polls are overdue.
        Offline = "offline",
    }
}

/// A poll may be this late before it is called so: a slow network, a restart of the agent.
const SLACK_SECS: i64 = 20;
/// From when on the agent counts as offline.
const OFFLINE_SECS: i64 = 150;
/// From which difference on a host's clock is shown as wrong.
pub const SKEW_SHOWN_MS: i64 = 60_000;

/// Judges from the last poll and the time when the next one should have come.
#[must_use]
pub fn presence(
    last_seen: Option<Timestamp>,
    expected: Option<Timestamp>,
    now: Timestamp,
) -> Presence {
    let Some(last_seen) = last_seen else { return Presence::Never };
    let overdue_ms = now.millis_since(expected.unwrap_or(last_seen));
    if overdue_ms <= SLACK_SECS * 1000 {
        Presence::Online
    } else if overdue_ms <= OFFLINE_SECS * 1000 {
        Presence::Late
    } else {
        Presence::Offline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn online_late_offline() {
        let at = |secs: i64| Timestamp::from_millis(secs * 1000);
        let judge = |now| presence(Some(at(0)), Some(at(55)), at(now));
        assert_eq!(presence(None, None, at(0)), Presence::Never);
        assert_eq!(judge(75), Presence::Online);
        assert_eq!(judge(76), Presence::Late);
        assert_eq!(judge(205), Presence::Late);
        assert_eq!(judge(206), Presence::Offline);
    }
}
