//! The business side of the admin API, as `http/licensing_route.rs` names it.

use super::{Context, customers, licenses, plans, portal, tenant_keys};
use crate::{
    app::plans::Archiving,
    error::AppError,
    http::{licensing_route::LicensingRoute, respond::Answer},
};

/// Does what is asked.
pub(super) fn dispatch(ctx: &Context<'_>, route: LicensingRoute) -> Result<Answer, AppError> {
    use LicensingRoute as R;
    match route {
        R::ListPlans => plans::list(ctx),
        R::CreatePlan => plans::create(ctx),
        R::GetPlan(name) => plans::get(ctx, &name),
        R::UpdatePlan(name) => plans::update(ctx, name),
        R::DeletePlan(name) => plans::delete(ctx, name),
        R::ArchivePlan(name) => plans::archive(ctx, name, Archiving::Archive),
        R::UnarchivePlan(name) => plans::archive(ctx, name, Archiving::Unarchive),
        R::ListCustomers => customers::list(ctx),
        R::CreateCustomer => customers::create(ctx),
        R::GetCustomer(id) => customers::get(ctx, id),
        R::UpdateCustomer(id) => customers::update(ctx, id),
        R::DeleteCustomer(id) => customers::delete(ctx, id),
        R::ListLicenses => licenses::list(ctx),
        R::CreateLicense => licenses::create(ctx),
        R::GetLicense(id) => licenses::get(ctx, id),
        R::UpdateLicense(id) => licenses::update(ctx, id),
        R::SuspendLicense(id) => licenses::suspend(ctx, id),
        R::ReinstateLicense(id) => licenses::reinstate(ctx, id),
        R::RenewLicense(id) => licenses::renew(ctx, id),
        R::RevokeLicense(id) => licenses::revoke(ctx, id),
        R::RevealLicenseKey(id) => licenses::reveal(ctx, id),
        R::ListTenantKeys(slug) => tenant_keys::list(ctx, &slug),
        R::CreateTenantKey(slug) => tenant_keys::create(ctx, slug),
        R::RotateTenantKey(slug, id) => tenant_keys::rotate(ctx, slug, id),
        R::RevokeTenantKey(slug, id) => tenant_keys::revoke(ctx, slug, id),
        R::RotateLeaseKeys => portal::rotate_lease(ctx),
    }
}
