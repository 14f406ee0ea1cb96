//! The status of a tenant, as its jobs move it.

use freehold_protocol::job::JobKind;

use super::{job::JobState, spelled};

spelled! {
    /// Where a tenant stands.
    TenantStatus, "tenant status" {
        /// Its first deploy waits.
        Pending = "pending",
        /// Its first deploy runs.
        Provisioning = "provisioning",
        /// It serves.
        Active = "active",
        /// It was taken off the air, its data is kept.
        Suspended = "suspended",
        /// Its first deploy failed, or a change of it got stuck.
        Failed = "failed",
        /// Its first deploy was cancelled.
        Cancelled = "cancelled",
        /// Its removal is under way.
        Removing = "removing",
        /// It is gone.
        Removed = "removed",
    }
}

/// The status when a job is given to the agent.
#[must_use]
pub const fn after_dispatch(kind: JobKind, now: TenantStatus, deployed: bool) -> TenantStatus {
    match kind {
        // An update leaves the tenant on the air until the new release is proven.
        JobKind::DeployTenant if !deployed => TenantStatus::Provisioning,
        // Deleting what an earlier removal kept: the name and domain may be another's by now.
        JobKind::RemoveTenant if matches!(now, TenantStatus::Removed) => now,
        JobKind::RemoveTenant => TenantStatus::Removing,
        JobKind::DeployTenant | JobKind::CheckTenant | JobKind::ProbeHost => now,
    }
}

/// The status when a job has come to rest (or waits for another attempt: `Queued`).
#[must_use]
pub const fn after_job(
    kind: JobKind,
    state: JobState,
    now: TenantStatus,
    deployed: bool,
) -> TenantStatus {
    match (kind, state) {
        (JobKind::CheckTenant | JobKind::ProbeHost, _) => now,
        (_, JobState::Leased | JobState::Running) => now,
        (JobKind::RemoveTenant, _) if matches!(now, TenantStatus::Removed) => now,
        // Its name and domain may be another's by now: a deployment that should not have been there
        // does not bring it back by failing.
        (JobKind::DeployTenant, state)
            if matches!(now, TenantStatus::Removed) && !matches!(state, JobState::Succeeded) =>
        {
            now
        }
        (_, JobState::RollbackFailed) => TenantStatus::Failed,
        (JobKind::DeployTenant, JobState::Succeeded) => TenantStatus::Active,
        (JobKind::RemoveTenant, JobState::Succeeded) => TenantStatus::Removed,
        // A removal that waits again is still a removal.
        (JobKind::RemoveTenant, JobState::Queued) => TenantStatus::Removing,
        (JobKind::DeployTenant, JobState::Queued) if !deployed => TenantStatus::Pending,
        (JobKind::DeployTenant, JobState::Cancelled) if !deployed => TenantStatus::Cancelled,
        // An update that was undone has left the old release running; so has a removal that failed
        // before it changed anything.
        _ if deployed => TenantStatus::Active,
        _ => TenantStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TenantStatus::*;

    #[test]
    fn a_failed_update_leaves_the_tenant_active_and_a_failed_first_deploy_does_not() {
        let deploy =
            |state, deployed| after_job(JobKind::DeployTenant, state, Provisioning, deployed);
        assert_eq!(deploy(JobState::Succeeded, false), Active);
        assert_eq!(deploy(JobState::RolledBack, false), Failed);
        assert_eq!(deploy(JobState::RolledBack, true), Active);
        assert_eq!(deploy(JobState::RollbackFailed, true), Failed);
        assert_eq!(deploy(JobState::Cancelled, false), Cancelled);
        assert_eq!(deploy(JobState::Cancelled, true), Active);
        assert_eq!(deploy(JobState::Queued, false), Pending);
        let remove = |state| after_job(JobKind::RemoveTenant, state, Removing, true);
        assert_eq!(remove(JobState::Succeeded), Removed);
        assert_eq!(remove(JobState::Failed), Active);
        assert_eq!(after_dispatch(JobKind::RemoveTenant, Removed, false), Removed);
        assert_eq!(after_job(JobKind::RemoveTenant, JobState::Failed, Removed, false), Removed);
        let of_removed = |state| after_job(JobKind::DeployTenant, state, Removed, false);
        assert_eq!(of_removed(JobState::Failed), Removed);
        assert_eq!(of_removed(JobState::Expired), Removed);
        assert_eq!(after_job(JobKind::CheckTenant, JobState::Failed, Active, true), Active);
        assert_eq!(after_dispatch(JobKind::DeployTenant, Active, true), Active);
        assert_eq!(after_dispatch(JobKind::DeployTenant, Pending, false), Provisioning);
    }
}
