//! Watches one run of a step from a second thread: ends it at its deadline or on an order, and
//! notices when nothing is heard of it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use freehold_protocol::failure::{Failure, FailureClass};

use crate::runner::{Activity, CancelToken};

/// How often the watcher looks.
const TICK: Duration = Duration::from_millis(50);

/// Most progress messages of one step, and the least time between two.
const MAX_PROGRESS: u32 = 200;
const PROGRESS_PAUSE: Duration = Duration::from_millis(400);

/// What ends a run early.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// An order from outside; none where nothing may stop the run any more.
    pub order: Option<&'a CancelToken>,
    /// Time left of the whole job.
    pub job: Option<Duration>,
    /// Longest time of this run.
    pub step: Duration,
    /// After this much silence a notice is given.
    pub quiet: Duration,
}

/// Why a run was ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// An admin ordered it.
    Ordered,
    /// The job's time was over.
    JobTime,
    /// The step's time was over.
    StepTime(Duration),
}

impl Interruption {
    /// As a failure of the named step.
    #[must_use]
    pub fn to_failure(self, step: &str, job_secs: u32) -> Failure {
        match self {
            Self::Ordered => Failure::new(
                FailureClass::Cancelled,
                format!("the job was cancelled while {step} ran"),
                "queue a new job when it is wanted again",
            ),
            Self::JobTime => Failure::new(
                FailureClass::Host,
                format!("the job was not done within {job_secs} s; {step} was running"),
                "look at the step times of the job; queue it again with a longer timeout if they are right",
            ),
            Self::StepTime(limit) => Failure::new(
                FailureClass::Host,
                format!("{step} was not done within {} s", limit.as_secs()),
                "look at the job's last events and at the load of the host, then queue it again",
            ),
        }
    }
}

/// Runs `work` with a token of its own, and cancels that when a bound is reached. `on_quiet` is
/// called from another thread after each full `quiet` without a sign of life.
pub fn supervise<T>(
    bounds: Bounds<'_>,
    activity: &Activity,
    on_quiet: &(dyn Fn(Duration) + Sync),
    work: impl FnOnce(&CancelToken) -> T,
) -> (T, Option<Interruption>) {
    let token = CancelToken::new();
    let interrupted = Mutex::new(None);
    let begun = Instant::now();
    let value = std::thread::scope(|scope| {
        // Dropped when `work` ends, by a panic too: that wakes the watcher at once.
        let (alive, ended) = channel::<()>();
        let (watched, interrupted) = (&token, &interrupted);
        scope.spawn(move || {
            let mut quiet_notices = 0;
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let reached = if bounds.order.is_some_and(CancelToken::is_cancelled) {
                    Some(Interruption::Ordered)
                } else if bounds.job.is_some_and(|left| begun.elapsed() >= left) {
                    Some(Interruption::JobTime)
                } else if begun.elapsed() >= bounds.step {
                    Some(Interruption::StepTime(bounds.step))
                } else {
                    None
                };
                if let Some(reached) = reached {
                    *interrupted.lock().unwrap_or_else(PoisonError::into_inner) = Some(reached);
                    watched.cancel();
                    break;
                }
                let quiet = activity.quiet_for();
                if quiet < bounds.quiet {
                    quiet_notices = 0;
                } else if quiet >= bounds.quiet * (quiet_notices + 1) {
                    quiet_notices += 1;
                    on_quiet(quiet);
                }
            }
        });
        let value = work(&token);
        drop(alive);
        value
    });
    (value, interrupted.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Lets through as many progress messages as a person can follow.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<(u32, Option<Instant>)>);

impl Throttle {
    /// Whether the next message may go out.
    pub fn admit(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, last) = *state;
        if count >= MAX_PROGRESS || last.is_some_and(|last| last.elapsed() < PROGRESS_PAUSE) {
            return false;
        }
        *state = (count + 1, Some(Instant::now()));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn wait(token: &CancelToken) -> bool {
        token.sleep(LONG)
    }

    #[test]
    fn each_bound_ends_the_work() {
        let order = CancelToken::new();
        order.cancel();
        let bounds = Bounds { order: Some(&order), job: None, step: LONG, quiet: LONG };
        let activity = Activity::new();
        let (cancelled, why) = supervise(bounds, &activity, &|_| (), wait);
        assert_eq!((cancelled, why), (true, Some(Interruption::Ordered)));

        let short = Duration::from_millis(60);
        let bounds = Bounds { order: None, job: None, step: short, quiet: LONG };
        let (_, why) = supervise(bounds, &activity, &|_| (), wait);
        assert_eq!(why, Some(Interruption::StepTime(short)));

        let bounds = Bounds { job: Some(Duration::ZERO), step: LONG, ..bounds };
        let (_, why) = supervise(bounds, &activity, &|_| (), wait);
        assert_eq!(why, Some(Interruption::JobTime));

        let (value, why) = supervise(Bounds { job: None, ..bounds }, &activity, &|_| (), |_| 7);
        assert_eq!((value, why), (7, None));
    }

    #[test]
    fn silence_is_noticed() {
        let notices = AtomicU32::new(0);
        let quiet = Duration::from_millis(100);
        let bounds = Bounds { order: None, job: None, step: Duration::from_millis(400), quiet };
        let notice = |_| {
            notices.fetch_add(1, Ordering::SeqCst);
        };
        supervise(bounds, &Activity::new(), &notice, wait);
        assert!(notices.load(Ordering::SeqCst) >= 1);
    }
}
