//! The status machine of a provision request.

use super::{job::JobState, spelled};

spelled! {
    /// Where a request stands.
    RequestStatus, "request status" {
        /// Waits for somebody to decide.
        Pending = "pending",
        /// Somebody has approved it; its tenant is there, its job waits or runs.
        Approved = "approved",
        /// Its job is done, and its tenant runs.
        Deployed = "deployed",
        /// Its job came to rest otherwise. The same job can be tried again.
        Failed = "failed",
        /// Somebody has turned it down.
        Rejected = "rejected",
        /// It was taken back, or its tenant was forgotten or removed after it had failed.
        Withdrawn = "withdrawn",
    }
}

spelled! {
    /// How the tenant is to be set apart from others.
    DeploymentModel, "deployment model" {
        /// A stack of its own: containers, database, network, volumes.
        Dedicated = "dedicated",
    }
}

/// What can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestEvent {
    /// Somebody approves it.
    Approve,
    /// Somebody turns it down.
    Reject,
    /// It is taken back.
    Withdraw,
    /// Its job is in this state now.
    Job(JobState),
    /// Its tenant was forgotten or removed.
    TenantGone,
}

impl RequestStatus {
    /// The one table of transitions: the status after an event, or `None` when the event cannot happen in
    /// this status. What a job says of a request that is not its own any more changes nothing.
    #[must_use]
    pub const fn after(self, event: RequestEvent) -> Option<Self> {
        use RequestEvent as E;
        match (self, event) {
            (Self::Pending, E::Approve) => Some(Self::Approved),
            (Self::Pending, E::Reject) => Some(Self::Rejected),
            (Self::Pending, E::Withdraw) => Some(Self::Withdrawn),
            (Self::Approved | Self::Failed, E::Job(state)) => Some(of_job(self, state)),
            // Its job has come to rest, or the tenant could have been neither forgotten nor removed.
            (Self::Approved | Self::Failed, E::TenantGone) => Some(Self::Withdrawn),
            (Self::Deployed | Self::Rejected | Self::Withdrawn, E::Job(_) | E::TenantGone) => {
                Some(self)
            }
            (Self::Pending, E::Job(_) | E::TenantGone)
            | (_, E::Approve | E::Reject | E::Withdraw) => None,
        }
    }
}

/// An approved request follows its job. That it was approved outlasts a failure: trying the job again, by
/// whichever way, needs no second approval.
const fn of_job(now: RequestStatus, state: JobState) -> RequestStatus {
    match state {
        JobState::Queued => RequestStatus::Approved,
        // A stuck job whose undo is tried again runs without having a second chance to succeed.
        JobState::Leased | JobState::Running => now,
        JobState::Succeeded => RequestStatus::Deployed,
        JobState::Failed
        | JobState::RolledBack
        | JobState::RollbackFailed
        | JobState::Cancelled
        | JobState::Expired
        | JobState::Dead => RequestStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table_of_decisions() {
        use RequestEvent::{Approve, Reject, TenantGone, Withdraw};
        use RequestStatus::*;
        let table = [
            (Pending, [Some(Approved), Some(Rejected), Some(Withdrawn), None]),
            (Approved, [None, None, None, Some(Withdrawn)]),
            (Deployed, [None, None, None, Some(Deployed)]),
            (Failed, [None, None, None, Some(Withdrawn)]),
            (Rejected, [None, None, None, Some(Rejected)]),
            (Withdrawn, [None, None, None, Some(Withdrawn)]),
        ];
        assert_eq!(table.len(), RequestStatus::ALL.len());
        for (from, to) in table {
            for (event, to) in [Approve, Reject, Withdraw, TenantGone].into_iter().zip(to) {
                assert_eq!(from.after(event), to, "{from} {event:?}");
            }
        }
    }

    #[test]
    fn a_request_follows_its_job() {
        use RequestStatus::*;
        for state in JobState::ALL {
            let event = RequestEvent::Job(*state);
            let (approved, failed) = (Approved.after(event), Failed.after(event));
            match state {
                JobState::Queued => {
                    assert_eq!((approved, failed), (Some(Approved), Some(Approved)))
                }
                JobState::Leased | JobState::Running => {
                    assert_eq!((approved, failed), (Some(Approved), Some(Failed)));
                }
                // Also late, after it was given up as lost.
                JobState::Succeeded => {
                    assert_eq!((approved, failed), (Some(Deployed), Some(Deployed)));
                }
                _ => assert_eq!((approved, failed), (Some(Failed), Some(Failed)), "{state}"),
            }
            for closed in [Deployed, Rejected, Withdrawn] {
                assert_eq!(closed.after(event), Some(closed), "{closed} {state}");
            }
            assert_eq!(Pending.after(event), None);
        }
    }
}
