//! A right that one job at a time has. Waiting for it ends when the job is stopped or its step's
//! time is over, as waiting for a command does.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::runner::CancelToken;

/// How often a waiting thread looks whether it is to stop.
const TICK: Duration = Duration::from_millis(50);

/// A right that one thread at a time has.
#[derive(Debug, Default)]
pub struct Turns {
    taken: Mutex<bool>,
    given_back: Condvar,
}

/// Proof that this thread has the right; given back when it is dropped.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for the right; nothing when it was to stop first.
    #[must_use]
    pub fn take(&self, cancel: &CancelToken) -> Option<Turn<'_>> {
        // What is guarded are files and programs, not memory: a panic elsewhere spoils nothing here.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken {
            if cancel.is_cancelled() {
                return None;
            }
            taken = self
                .given_back
                .wait_timeout(taken, TICK)
                .map(|(taken, _)| taken)
                .unwrap_or_else(|poisoned| poisoned.into_inner().0);
        }
        *taken = true;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn one_at_a_time_and_whoever_is_stopped_does_not_wait_on() {
        let (turns, never) = (Turns::default(), CancelToken::new());
        let first = turns.take(&never).unwrap();
        let stopped = CancelToken::new();
        stopped.cancel();
        assert!(turns.take(&stopped).is_none());

        let (later, begun) = (CancelToken::new(), Instant::now());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.take(&later).is_none());
            later.cancel();
            assert!(waiting.join().unwrap());
            let next = scope.spawn(|| turns.take(&never).is_some());
            drop(first);
            assert!(next.join().unwrap());
        });
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(turns.take(&never).is_some(), "it was not given back");
    }

    #[test]
    fn a_panic_gives_it_back() {
        let (turns, never) = (Turns::default(), CancelToken::new());
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _turn = turns.take(&never);
            panic!("in the middle");
        }));
        assert!(outcome.is_err());
        assert!(turns.take(&never).is_some());
    }
}
