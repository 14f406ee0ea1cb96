//! Stopping a command from another thread, and noticing that it has gone quiet.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A switch that is thrown once and stops everything that watches it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<(Mutex<bool>, Condvar)>);

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels; repeating it changes nothing.
    pub fn cancel(&self) {
        let (flag, changed) = &*self.0;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, unless cancelled; returns whether it was cancelled.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> bool {
        let (flag, changed) = &*self.0;
        let guard = flag.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _timeout) = changed
            .wait_timeout_while(guard, duration, |cancelled| !*cancelled)
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }
}

/// When something was last heard of a piece of work. Clones share it.
#[derive(Debug, Clone)]
pub struct Activity(Arc<Mutex<Instant>>);

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Activity {
    /// Active now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that something happened.
    pub fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long nothing has happened.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_wakes_when_cancelled() {
        let token = CancelToken::new();
        assert!(!token.sleep(Duration::from_millis(5)));
        let other = token.clone();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(token.sleep(Duration::from_secs(30))));
            other.cancel();
        });
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(other.is_cancelled());
    }
}
