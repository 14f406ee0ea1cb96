//! The status of a license, and what it is worth at a moment: pure, and the same for the admin API,
//! for validation and for leases.

use freehold_protocol::time::Timestamp;

use super::spelled;

/// Most days of grace.
pub const MAX_GRACE_DAYS: u32 = 365;
const DAY_SECS: i64 = 86_400;

spelled! {
    /// Where a license stands.
    LicenseStatus, "license status" {
        /// No tenant of it was deployed yet. It is valid already: an app that asks while it is
        /// deployed must not be refused.
        PendingDeployment = "pending_deployment",
        /// A tenant of it was deployed.
        Active = "active",
        /// Taken back for a time.
        Suspended = "suspended",
        /// Its time is over. What that means is for the plan's expiry strategy.
        Expired = "expired",
        /// Taken back for good.
        Revoked = "revoked",
    }
}

spelled! {
    /// What happens to licenses of a plan when their time is over.
    ExpiryStrategy, "expiry strategy" {
        /// They are refused at once.
        Restrict = "restrict",
        /// They work on for the plan's days of grace.
        Grace = "grace",
        /// They work on without end; apps are told that the license has expired.
        Allow = "allow",
    }
}

/// What can happen to a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LicenseEvent {
    /// A tenant of it was deployed.
    Activate,
    /// An admin takes it back for a time.
    Suspend,
    /// An admin ends the suspension.
    Reinstate,
    /// Its time is over.
    Expire,
    /// An admin gives it another end.
    Renew,
    /// An admin takes it back for good.
    Revoke,
}

/// What the table of statuses needs to know besides the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Whether a tenant of it was ever deployed.
    pub activated: bool,
    /// Whether its end (after the event) has passed.
    pub over: bool,
}

impl LicenseStatus {
    /// The one table of transitions: the status after an event, or `None` when the event cannot
    /// happen in this status.
    #[must_use]
    pub const fn after(self, event: LicenseEvent, past: Past) -> Option<Self> {
        use LicenseEvent as E;
        let usable = if past.over {
            Self::Expired
        } else if past.activated {
            Self::Active
        } else {
            Self::PendingDeployment
        };
        match (self, event) {
            (Self::Revoked, _) => None,
            (_, E::Revoke) => Some(Self::Revoked),
            (Self::Suspended, E::Suspend | E::Expire) => None,
            (_, E::Suspend) => Some(Self::Suspended),
            (Self::Suspended, E::Reinstate) => Some(usable),
            (_, E::Reinstate) => None,
            // Neither a deployment nor another end lifts a suspension.
            (Self::Suspended, E::Activate | E::Renew) => Some(Self::Suspended),
            (Self::PendingDeployment, E::Activate) => Some(Self::Active),
            (Self::Active | Self::Expired, E::Activate) => Some(self),
            (Self::PendingDeployment | Self::Active, E::Expire) => Some(Self::Expired),
            (Self::Expired, E::Expire) => None,
            (_, E::Renew) => Some(usable),
        }
    }

    /// The status as it is now: a license whose time is over has expired, whether or not the
    /// portal has noted it yet.
    #[must_use]
    pub fn at(self, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        match self {
            Self::PendingDeployment | Self::Active if is_over(expires_at, now) => Self::Expired,
            other => other,
        }
    }
}

/// Whether an end has passed.
#[must_use]
pub fn is_over(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|end| end <= now)
}

/// What a plan says about the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiryRule {
    /// What happens.
    pub strategy: ExpiryStrategy,
    /// Days of grace; counts only with [`ExpiryStrategy::Grace`].
    pub grace_days: u32,
}

/// What a license is worth at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is valid.
    Valid,
    /// It has expired and works on.
    InGrace {
        /// Until when; without end when absent.
        until: Option<Timestamp>,
    },
    /// It has expired, and its grace is over.
    Expired,
    /// It is suspended.
    Suspended,
    /// It is revoked.
    Revoked,
}

impl ExpiryRule {
    /// When a license with this end is worth nothing any more; never when absent.
    #[must_use]
    pub fn worthless_at(self, expires_at: Option<Timestamp>) -> Option<Timestamp> {
        let end = expires_at?;
        match self.strategy {
            ExpiryStrategy::Restrict => Some(end),
            ExpiryStrategy::Grace => Some(end.plus_secs(i64::from(self.grace_days) * DAY_SECS)),
            ExpiryStrategy::Allow => None,
        }
    }

    /// Judges a license.
    #[must_use]
    pub fn judge(
        self,
        status: LicenseStatus,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Standing {
        match status {
            LicenseStatus::Revoked => Standing::Revoked,
            LicenseStatus::Suspended => Standing::Suspended,
            // The end counts, not the noted status: an end that was moved is seen at once.
            LicenseStatus::PendingDeployment | LicenseStatus::Active | LicenseStatus::Expired => {
                let until = self.worthless_at(expires_at);
                if !is_over(expires_at, now) {
                    Standing::Valid
                } else if is_over(until, now) {
                    Standing::Expired
                } else {
                    Standing::InGrace { until }
                }
            }
        }
    }

    /// From when on the tenants of a license are due to be suspended, if ever: a plan's grace also
    /// softens a suspension or revocation for the tenants that run already. `since` is when the
    /// license got its status.
    #[must_use]
    pub fn tenants_due_at(
        self,
        status: LicenseStatus,
        since: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Option<Timestamp> {
        match status {
            LicenseStatus::Suspended | LicenseStatus::Revoked => Some(match self.strategy {
                ExpiryStrategy::Grace => since.plus_secs(i64::from(self.grace_days) * DAY_SECS),
                ExpiryStrategy::Restrict | ExpiryStrategy::Allow => since,
            }),
            LicenseStatus::PendingDeployment | LicenseStatus::Active | LicenseStatus::Expired => {
                self.worthless_at(expires_at)
            }
        }
    }
}

#[cfg(test)]
#[path = "license_tests.rs"]
mod tests;
