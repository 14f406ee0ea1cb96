//! Routes of the business side of the admin API: plans, customers, licenses, API keys of tenants.
//! `route.rs` hands over what stands below their addresses.

use freehold_protocol::ids::{BlueprintName, TenantSlug};

use super::{
    route::{RouteError, part},
    server::Method,
};
use crate::{
    app::role::Permission,
    domain::ids::{CustomerId, LicenseId, TenantKeyId},
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "docs/api.md describes each, and the table below shows its address"
)]
pub enum LicensingRoute {
    ListPlans,
    CreatePlan,
    GetPlan(BlueprintName),
    UpdatePlan(BlueprintName),
    DeletePlan(BlueprintName),
    ArchivePlan(BlueprintName),
    UnarchivePlan(BlueprintName),
    ListCustomers,
    CreateCustomer,
    GetCustomer(CustomerId),
    UpdateCustomer(CustomerId),
    DeleteCustomer(CustomerId),
    ListLicenses,
    CreateLicense,
    GetLicense(LicenseId),
    UpdateLicense(LicenseId),
    SuspendLicense(LicenseId),
    ReinstateLicense(LicenseId),
    RenewLicense(LicenseId),
    RevokeLicense(LicenseId),
    RevealLicenseKey(LicenseId),
    ListTenantKeys(TenantSlug),
    CreateTenantKey(TenantSlug),
    RotateTenantKey(TenantSlug, TenantKeyId),
    RevokeTenantKey(TenantSlug, TenantKeyId),
    RotateLeaseKeys,
}

impl LicensingRoute {
    /// What a caller must be allowed to do.
    #[must_use]
    pub const fn permission(&self) -> Permission {
        match self {
            Self::ListPlans
            | Self::GetPlan(_)
            | Self::ListCustomers
            | Self::GetCustomer(_)
            | Self::ListLicenses
            | Self::GetLicense(_)
            | Self::ListTenantKeys(_) => Permission::Read,
            Self::CreateCustomer
            | Self::UpdateCustomer(_)
            | Self::DeleteCustomer(_)
            | Self::CreateLicense
            | Self::UpdateLicense(_)
            | Self::SuspendLicense(_)
            | Self::ReinstateLicense(_)
            | Self::RenewLicense(_)
            | Self::CreateTenantKey(_)
            | Self::RotateTenantKey(..)
            | Self::RevokeTenantKey(..) => Permission::Operate,
            // A plan changes every license of it; a revoked license never comes back; a shown key
            // is a secret that has left the portal.
            Self::CreatePlan
            | Self::UpdatePlan(_)
            | Self::DeletePlan(_)
            | Self::ArchivePlan(_)
            | Self::UnarchivePlan(_)
            | Self::RevokeLicense(_)
            | Self::RevealLicenseKey(_)
            | Self::RotateLeaseKeys => Permission::Own,
        }
    }
}

/// Everything that stands at an address.
pub(super) fn at(segments: &[&str]) -> Result<Vec<(Method, LicensingRoute)>, RouteError> {
    use LicensingRoute as R;
    use Method::{Delete, Get, Patch, Post};
    Ok(match segments {
        ["plans"] => vec![(Get, R::ListPlans), (Post, R::CreatePlan)],
        ["plans", name] => {
            let name: BlueprintName = part(name)?;
            vec![
                (Get, R::GetPlan(name.clone())),
                (Patch, R::UpdatePlan(name.clone())),
                (Delete, R::DeletePlan(name)),
            ]
        }
        ["plans", name, "archive"] => vec![(Post, R::ArchivePlan(part(name)?))],
        ["plans", name, "unarchive"] => vec![(Post, R::UnarchivePlan(part(name)?))],
        ["customers"] => vec![(Get, R::ListCustomers), (Post, R::CreateCustomer)],
        ["customers", id] => {
            let id: CustomerId = part(id)?;
            vec![
                (Get, R::GetCustomer(id)),
                (Patch, R::UpdateCustomer(id)),
                (Delete, R::DeleteCustomer(id)),
            ]
        }
        ["licenses"] => vec![(Get, R::ListLicenses), (Post, R::CreateLicense)],
        ["licenses", id] => {
            let id: LicenseId = part(id)?;
            vec![(Get, R::GetLicense(id)), (Patch, R::UpdateLicense(id))]
        }
        ["licenses", id, "suspend"] => vec![(Post, R::SuspendLicense(part(id)?))],
        ["licenses", id, "reinstate"] => vec![(Post, R::ReinstateLicense(part(id)?))],
        ["licenses", id, "renew"] => vec![(Post, R::RenewLicense(part(id)?))],
        ["licenses", id, "revoke"] => vec![(Post, R::RevokeLicense(part(id)?))],
        ["licenses", id, "reveal"] => vec![(Post, R::RevealLicenseKey(part(id)?))],
        ["keys", "rotate-lease"] => vec![(Post, R::RotateLeaseKeys)],
        ["tenants", slug, "keys"] => {
            let slug: TenantSlug = part(slug)?;
            vec![(Get, R::ListTenantKeys(slug.clone())), (Post, R::CreateTenantKey(slug))]
        }
        ["tenants", slug, "keys", id] => {
            vec![(Delete, R::RevokeTenantKey(part(slug)?, part(id)?))]
        }
        ["tenants", slug, "keys", id, "rotate"] => {
            vec![(Post, R::RotateTenantKey(part(slug)?, part(id)?))]
        }
        _ => return Err(RouteError::Unknown),
    })
}
