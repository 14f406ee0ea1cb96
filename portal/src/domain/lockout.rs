//! How failed logins slow down further ones: a few are free, then each doubles the wait, up to a quarter of
//! an hour. Nobody is locked out for good, since whoever can fail in another's name could do that to them.

use freehold_protocol::time::Timestamp;

/// Longest wait, in seconds.
pub const MOST_SECS: i64 = 15 * 60;
/// Time without a failure after which all are forgotten, in seconds.
pub const FORGET_SECS: i64 = 3_600;

/// The failures of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// How many there were.
    pub count: u32,
    /// The last one.
    pub last_at: Option<Timestamp>,
}

/// The wait after the `count`th failure when `free` of them cost nothing, in seconds.
#[must_use]
pub const fn wait_secs(count: u32, free: u32) -> i64 {
    if count < free {
        return 0;
    }
    let doublings = count - free;
    if doublings >= 10 {
        return MOST_SECS;
    }
    let secs = 1_i64 << doublings;
    if secs < MOST_SECS { secs } else { MOST_SECS }
}

impl Failures {
    /// As of now: no failure is yet to come. One that seems so was counted before the clock was set back.
    #[must_use]
    pub fn seen_at(self, now: Timestamp) -> Self {
        Self { last_at: self.last_at.map(|last| last.min(now)), ..self }
    }

    /// The seconds that are left to wait.
    #[must_use]
    pub fn left_secs(self, free: u32, now: Timestamp) -> Option<u32> {
        let last = self.last_at?;
        let end = last.plus_secs(wait_secs(self.count, free));
        let left = end.millis_since(now);
        // Rounded up: who comes back then is let in.
        (left > 0).then(|| u32::try_from((left + 999) / 1000).unwrap_or(1))
    }

    /// Whether all of it is forgotten.
    #[must_use]
    pub fn is_forgotten(self, now: Timestamp) -> bool {
        self.last_at.is_none_or(|last| now.millis_since(last) > FORGET_SECS * 1000)
    }

    /// With one more failure.
    #[must_use]
    pub fn one_more(self, now: Timestamp) -> Self {
        let before = if self.is_forgotten(now) { 0 } else { self.count };
        Self { count: before.saturating_add(1), last_at: Some(now) }
    }

    /// With one failure less: it was none, or says nothing.
    #[must_use]
    pub const fn one_less(self) -> Self {
        Self { count: self.count.saturating_sub(1), last_at: self.last_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_quarter_of_an_hour() {
        let waits: Vec<i64> = (0..=17).map(|count| wait_secs(count, 5)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(wait_secs(u32::MAX, 5), MOST_SECS);
    }

    #[test]
    fn a_wait_ends_and_an_hour_forgets() {
        let now = Timestamp::from_millis(1_000_000);
        let mut failures = Failures::default();
        assert_eq!(failures.left_secs(5, now), None);
        for _ in 0..7 {
            failures = failures.one_more(now);
        }
        assert_eq!(failures.left_secs(5, now), Some(4));
        assert_eq!(failures.left_secs(5, now.plus_millis(3_500)), Some(1));
        assert_eq!(failures.left_secs(5, now.plus_secs(4)), None);
        assert_eq!(failures.one_less().left_secs(5, now), Some(2));
        assert_eq!(failures.one_more(now.plus_secs(FORGET_SECS)).count, 8);
        assert_eq!(failures.one_more(now.plus_secs(FORGET_SECS + 1)).count, 1);
        // Nobody waits for more than the longest wait, however often somebody has failed.
        let many = Failures { count: u32::MAX, last_at: Some(now) };
        assert_eq!(many.left_secs(5, now), Some(900));
        assert_eq!(many.one_more(now).count, u32::MAX);
        assert_eq!(Failures::default().one_less().count, 0);
    }
}
