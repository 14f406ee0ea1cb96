//! What a caller may reach who is limited to one tenant: per route, in one table, and checked again in the
//! very transaction that does what was asked.

use freehold_protocol::ids::{JobId, TenantId, TenantSlug};

use super::{account_route::AccountRoute, licensing_route::LicensingRoute, route::AdminRoute};
use crate::{
    db::{Read, job_views, licenses, tenants},
    domain::ids::LicenseId,
    error::{AppError, Kind},
};

/// What of the portal a route touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The caller alone.
    Oneself,
    /// More than one tenant, or nothing of a tenant: closed to whoever is limited to one.
    Portal,
    /// A list from which the handler leaves out what is not the caller's.
    List,
    /// One tenant.
    Tenant(TenantSlug),
    /// The tenant of one job.
    Job(JobId),
    /// The tenants of one license.
    License(LicenseId),
}

/// What an admin route touches. A new route that is not named here is closed to callers who are limited
/// to a tenant.
#[must_use]
pub fn reach(route: &AdminRoute) -> Reach {
    use AccountRoute as A;
    use AdminRoute as R;
    use LicensingRoute as L;
    match route {
        R::Version
        | R::Account(
            A::Login
            | A::Refresh
            | A::Logout
            | A::Me
            | A::UpdateMe
            | A::ChangePassword
            | A::GetSettings
            | A::UpdateSettings
            | A::ListOwnSessions
            | A::EndOwnSession(_),
        ) => Reach::Oneself,
        R::ListTenants | R::ListJobs | R::Licensing(L::ListLicenses) => Reach::List,
        R::GetTenant(slug)
        | R::UpdateTenant(slug)
        | R::DeployTenant(slug)
        | R::CheckTenant(slug)
        | R::RevealCredentials(slug)
        | R::TenantLogs(slug)
        | R::TenantUsage(slug)
        | R::Licensing(
            L::ListTenantKeys(slug)
            | L::CreateTenantKey(slug)
            | L::RotateTenantKey(slug, _)
            | L::RevokeTenantKey(slug, _),
        ) => Reach::Tenant(slug.clone()),
        R::GetJob(id)
        | R::DeleteJob(id)
        | R::JobEvents(id)
        | R::CancelJob(id)
        | R::RetryJob(id)
        | R::ResumeJob(id) => Reach::Job(*id),
        R::Licensing(L::GetLicense(id)) => Reach::License(*id),
        // Hosts, blueprints, plans and customers are everybody's. That a tenant is added, taken from its
        // host or forgotten, and what its license is worth, is for whoever runs the portal to say.
        _ => Reach::Portal,
    }
}

/// The limits of one caller on one route.
#[derive(Debug, Clone)]
pub struct Guard {
    tenant: Option<TenantId>,
    reach: Reach,
}

impl Guard {
    /// For a caller who is limited to a tenant, or not.
    #[must_use]
    pub const fn new(tenant: Option<TenantId>, reach: Reach) -> Self {
        Self { tenant, reach }
    }

    /// The one tenant that lists may show.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }

    /// Refuses what is not the caller's. What belongs to another tenant looks as if it were not there.
    ///
    /// # Errors
    /// 403 for what is no tenant's, 404 for another tenant's.
    pub fn check(&self, read: &Read<'_>) -> Result<(), AppError> {
        let Some(own) = self.tenant else { return Ok(()) };
        let (is_own, what, id) = match &self.reach {
            Reach::Oneself | Reach::List => return Ok(()),
            Reach::Portal => return Err(beyond_tenant()),
            Reach::Tenant(slug) => {
                let tenant = tenants::by_slug(read, slug)?;
                (tenant.is_some_and(|tenant| tenant.id == own), "tenant", slug.to_string())
            }
            Reach::Job(id) => {
                let tenant = job_views::tenant_of(read, *id)?;
                (tenant == Some(own), "job", id.to_string())
            }
            Reach::License(id) => {
                let license = licenses::of_tenant(read, own)?;
                (license.is_some_and(|license| license.id == *id), "license", id.to_string())
            }
        };
        if is_own { Ok(()) } else { Err(AppError::not_found(what, id)) }
    }
}

/// The refusal of what is not within one tenant.
#[must_use]
pub fn beyond_tenant() -> AppError {
    AppError::new(
        Kind::Forbidden,
        "beyond_tenant",
        "whoever is limited to one tenant may not do this",
    )
    .advice("ask somebody who looks after the whole portal")
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
