//! How long to pause after a failure.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);

/// Capped exponential pauses with jitter, so that a thousand agents do not come back at once when
/// their portal does.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    most: Duration,
}

impl Backoff {
    /// Pauses of at most `most`.
    #[must_use]
    pub const fn new(most: Duration) -> Self {
        Self { failures: 0, most }
    }

    /// It worked: the next pause is the first one again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often it failed in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The pause after one more failure; at least what the portal asked for.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let pause = jittered(doubled.min(self.most));
        // What the portal asks is bounded too: a wrong header must not silence an agent for days.
        pause.max(asked.unwrap_or_default().min(self.most))
    }
}

/// The duration, up to a fifth shorter or longer.
#[must_use]
pub fn jittered(duration: Duration) -> Duration {
    let mut raw = [0; 2];
    // Without random bytes there is no jitter, and nothing worse.
    let part = match getrandom::fill(&mut raw) {
        Ok(()) => f64::from(u16::from_le_bytes(raw)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    };
    duration.mul_f64(0.8 + 0.4 * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_cap_and_start_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(60));
        let pauses: Vec<f64> = (0..40).map(|_| backoff.next(None).as_secs_f64()).collect();
        assert!((0.8..=1.2).contains(&pauses[0]), "{}", pauses[0]);
        assert!((12.8..=19.2).contains(&pauses[4]), "{}", pauses[4]);
        assert!(pauses[10..].iter().all(|pause| (48.0..=72.0).contains(pause)));
        backoff.reset();
        assert!(backoff.next(None) < Duration::from_secs(2));
        assert!(backoff.next(Some(Duration::from_secs(20))) >= Duration::from_secs(20));
        assert!(backoff.next(Some(Duration::from_secs(90_000))) <= Duration::from_secs(60));
    }
}
