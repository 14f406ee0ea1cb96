//! The state machine of a job.

use freehold_protocol::{failure::Failure, job::Work, report::Outcome, time::Timestamp};

use super::spelled;

spelled! {
    /// Where a job stands.
    JobState, "job state" {
        /// Waits for its agent, or for the time of its next attempt.
        Queued = "queued",
        /// Signed and given to the agent, which has not said yet that it works on it.
        Leased = "leased",
        /// The agent works on it.
        Running = "running",
        /// Done.
        Succeeded = "succeeded",
        /// Refused or failed before anything was changed.
        Failed = "failed",
        /// Failed, and every change undone.
        RolledBack = "rolled_back",
        /// Stuck: failed, and a change could not be undone. A person must look.
        RollbackFailed = "rollback_failed",
        /// Cancelled by an admin or because it stood still.
        Cancelled = "cancelled",
        /// Not started before its expiry.
        Expired = "expired",
        /// Failed on every attempt that it had.
        Dead = "dead",
    }
}

impl JobState {
    /// The one table of transitions. Statements name the old state, so what is not here cannot
    /// happen by a race either. One way is outside of it: a job that failed only because its report
    /// never came takes the state of [`Self::of_outcome`] when it comes after all.
    #[must_use]
    pub const fn can_become(self, next: Self) -> bool {
        match self {
            Self::Queued => {
                matches!(next, Self::Leased | Self::Cancelled | Self::Expired | Self::Failed)
            }
            // Back to queued: another attempt, or the chain started anew before it was accepted.
            Self::Leased => !matches!(next, Self::Leased),
            Self::Running => !matches!(next, Self::Leased | Self::Running),
            // An admin has its undo tried again, or its agent was replaced.
            Self::RollbackFailed => matches!(next, Self::Running | Self::Failed),
            // An admin queues it once more.
            Self::Failed | Self::RolledBack | Self::Cancelled | Self::Expired | Self::Dead => {
                matches!(next, Self::Queued)
            }
            Self::Succeeded => false,
        }
    }

    /// The state that an outcome brings a job to rest in.
    #[must_use]
    pub const fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Expired => Self::Expired,
            Outcome::Stuck => Self::RollbackFailed,
            Outcome::Failed => Self::Failed,
            Outcome::RolledBack => Self::RolledBack,
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_rested(self) -> bool {
        !matches!(self, Self::Queued | Self::Leased | Self::Running)
    }

    /// Whether it is in the agent's hands.
    #[must_use]
    pub const fn is_out(self) -> bool {
        matches!(self, Self::Leased | Self::Running)
    }

    /// Whether an admin may queue it once more.
    #[must_use]
    pub const fn can_requeue(self) -> bool {
        self.is_rested() && self.can_become(Self::Queued)
    }

    /// Whether it may be deleted: at rest, and nobody has to look any more.
    #[must_use]
    pub const fn can_delete(self) -> bool {
        self.is_rested() && !matches!(self, Self::RollbackFailed)
    }
}

/// What a report makes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterReport {
    /// It rests.
    Rest(JobState),
    /// It waits for another attempt.
    Retry {
        /// Not before this time.
        not_before: Timestamp,
    },
}

/// Judges a report. A failure is tried again only when nothing was left behind and its class says
/// that time alone may help.
#[must_use]
pub fn after_report(
    outcome: Outcome,
    failure: Option<&Failure>,
    attempt: u32,
    max_attempts: u32,
    cancel_requested: bool,
    now: Timestamp,
) -> AfterReport {
    let rest = JobState::of_outcome(outcome);
    let may_retry = matches!(outcome, Outcome::Failed | Outcome::RolledBack)
        && failure.is_some_and(|failure| failure.class.retry_may_help());
    if !may_retry {
        return AfterReport::Rest(rest);
    }
    if cancel_requested {
        return AfterReport::Rest(JobState::Cancelled);
    }
    if attempt >= max_attempts {
        return AfterReport::Rest(JobState::Dead);
    }
    AfterReport::Retry { not_before: now.plus_secs(backoff_secs(attempt)) }
}

/// Wait after a failed attempt: 30 s, doubled each time, at most an hour.
#[must_use]
pub const fn backoff_secs(attempt: u32) -> i64 {
    const FIRST: i64 = 30;
    const MOST: i64 = 3600;
    let doublings = if attempt == 0 { 0 } else { attempt - 1 };
    if doublings >= 7 {
        return MOST;
    }
    let wait = FIRST << doublings;
    if wait > MOST { MOST } else { wait }
}

/// How long a step may be silent because it says so itself, in seconds, beyond what any step may: a
/// hook prints nothing while the database builds an index.
#[must_use]
pub fn silent_secs(work: &Work, step: &str) -> u32 {
    let Work::DeployTenant(deploy) = work else { return 0 };
    let mut hooks = deploy.blueprint.freehold.hooks.iter();
    hooks.find(|(name, _)| *name == step).map_or(0, |(_, hook)| hook.timeout_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use freehold_protocol::failure::FailureClass;

    #[test]
    fn the_whole_table_of_transitions() {
        use JobState::*;
        let table: &[(JobState, &[JobState])] = &[
            (Queued, &[Leased, Failed, Cancelled, Expired]),
            (
                Leased,
                &[
                    Queued,
                    Running,
                    Succeeded,
                    Failed,
                    RolledBack,
                    RollbackFailed,
                    Cancelled,
                    Expired,
                    Dead,
                ],
            ),
            (
                Running,
                &[Queued, Succeeded, Failed, RolledBack, RollbackFailed, Cancelled, Expired, Dead],
            ),
            (Succeeded, &[]),
            (Failed, &[Queued]),
            (RolledBack, &[Queued]),
            (RollbackFailed, &[Running, Failed]),
            (Cancelled, &[Queued]),
            (Expired, &[Queued]),
            (Dead, &[Queued]),
        ];
        assert_eq!(table.len(), JobState::ALL.len());
        for (from, allowed) in table {
            for to in JobState::ALL {
                assert_eq!(from.can_become(*to), allowed.contains(to), "{from} -> {to}");
            }
            assert!(!from.can_become(*from), "{from}");
        }
    }

    #[test]
    fn only_failures_that_time_may_mend_are_tried_again_and_the_last_is_dead() {
        let now = Timestamp::from_millis(0);
        let upstream = Failure::new(FailureClass::Upstream, "registry", "wait");
        let app = Failure::new(FailureClass::App, "unhealthy", "fix it");
        let judge = |outcome, failure, attempt, cancel| {
            after_report(outcome, failure, attempt, 3, cancel, now)
        };
        let retry = |secs| AfterReport::Retry { not_before: now.plus_secs(secs) };
        let rest = AfterReport::Rest;
        assert_eq!(judge(Outcome::RolledBack, Some(&upstream), 1, false), retry(30));
        assert_eq!(judge(Outcome::Failed, Some(&upstream), 2, false), retry(60));
        assert_eq!(judge(Outcome::Failed, Some(&upstream), 3, false), rest(JobState::Dead));
        assert_eq!(judge(Outcome::Failed, Some(&upstream), 1, true), rest(JobState::Cancelled));
        assert_eq!(judge(Outcome::RolledBack, Some(&app), 1, false), rest(JobState::RolledBack));
        assert_eq!(
            judge(Outcome::Stuck, Some(&upstream), 1, false),
            rest(JobState::RollbackFailed)
        );
        assert_eq!(judge(Outcome::Succeeded, None, 1, true), rest(JobState::Succeeded));
        assert_eq!(judge(Outcome::Expired, None, 1, false), rest(JobState::Expired));
        assert_eq!(backoff_secs(8), 3600);
        assert_eq!(backoff_secs(u32::MAX), 3600);
    }
}
