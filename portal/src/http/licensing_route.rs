//! Routes of the business side of the admin API: plans, customers, licenses, API keys of tenants.

use freehold_protocol::ids::{BlueprintName, TenantSlug};

use super::{
    spec::{Param, Spec},
    table::routes,
};
use crate::{
    api::{
        customers::{CreateCustomer, CustomerView, UpdateCustomer},
        keys::{KeysView, RotateKeys},
        licenses::{
            Because, CreateLicense, LicenseCreated, LicenseKeyShown, LicenseView, RenewLicense,
            UpdateLicense,
        },
        plans::{CreatePlan, PlanView, UpdatePlan},
        schema::{LicenseStatusWord, OrganizationId},
        tenant_keys::{RotateTenantKey, TenantKeyCreated, TenantKeyView},
    },
    app::role::Permission,
    domain::ids::{CustomerId, LicenseId, TenantKeyId},
};

const OF_CUSTOMERS: &[Param] =
    &[Param::new::<OrganizationId>("organizationId", "Only the customer whose apps send this.")];
const OF_LICENSES: &[Param] = &[
    Param::new::<CustomerId>("customer", "Only those of this customer."),
    Param::new::<BlueprintName>("plan", "Only those of this plan."),
    Param::new::<LicenseStatusWord>("status", "Only those with this status."),
];

routes! {
    /// Plans, customers, licenses and API keys of tenants. A plan changes every license of it, a revoked
    /// license never comes back, and a shown key is a secret that has left the portal: these are owners'.
    pub enum LicensingRoute: Permission under "/api/v1" {
        Get ["plans"] => ListPlans, Read, "Plans by name", Spec::lists::<PlanView>();
        Post ["plans"] => CreatePlan, Own, "Adds a plan",
            Spec::makes::<PlanView>().asks::<CreatePlan>().etag().location();
        Get ["plans", name] => GetPlan(name: BlueprintName), Read, "A plan", Spec::gives::<PlanView>().etag();
        Patch ["plans", name] => UpdatePlan(name: BlueprintName), Own, "Changes a plan and every license of it",
            Spec::changes::<PlanView>().asks::<UpdatePlan>();
        Delete ["plans", name] => DeletePlan(name: BlueprintName), Own, "Deletes a plan that no license has",
            Spec::done().may_match().refuses(&[409]);
        Post ["plans", name, "archive"] => ArchivePlan(name: BlueprintName), Own, "Takes no new licenses",
            Spec::gives::<PlanView>().etag();
        Post ["plans", name, "unarchive"] => UnarchivePlan(name: BlueprintName), Own, "Takes new licenses again",
            Spec::gives::<PlanView>().etag();
        Get ["customers"] => ListCustomers, Read, "Customers", Spec::lists::<CustomerView>().query(OF_CUSTOMERS);
        Post ["customers"] => CreateCustomer, Operate, "Adds a customer",
            Spec::makes::<CustomerView>().asks::<CreateCustomer>().etag().location();
        Get ["customers", id] => GetCustomer(id: CustomerId), Read, "A customer",
            Spec::gives::<CustomerView>().etag();
        Patch ["customers", id] => UpdateCustomer(id: CustomerId), Operate, "Changes a customer",
            Spec::changes::<CustomerView>().asks::<UpdateCustomer>();
        Delete ["customers", id] => DeleteCustomer(id: CustomerId), Operate,
            "Deletes a customer without tenants, and its licenses", Spec::done().may_match().refuses(&[409]);
        Get ["licenses"] => ListLicenses, Read, "Licenses", Spec::lists::<LicenseView>().query(OF_LICENSES);
        Post ["licenses"] => CreateLicense, Operate, "Makes a license with its key",
            Spec::makes::<LicenseCreated>().asks::<CreateLicense>().etag().location();
        Get ["licenses", id] => GetLicense(id: LicenseId), Read, "A license as it is now",
            Spec::gives::<LicenseView>().etag();
        Patch ["licenses", id] => UpdateLicense(id: LicenseId), Operate, "Changes plan or differences",
            Spec::changes::<LicenseView>().asks::<UpdateLicense>();
        Post ["licenses", id, "suspend"] => SuspendLicense(id: LicenseId), Operate, "Suspends a license",
            Spec::gives::<LicenseView>().asks::<Because>().etag().refuses(&[409]);
        Post ["licenses", id, "reinstate"] => ReinstateLicense(id: LicenseId), Operate, "Ends a suspension",
            Spec::gives::<LicenseView>().etag().refuses(&[409]);
        Post ["licenses", id, "renew"] => RenewLicense(id: LicenseId), Operate, "Sets when its time is over",
            Spec::gives::<LicenseView>().asks::<RenewLicense>().etag().refuses(&[409]);
        Post ["licenses", id, "revoke"] => RevokeLicense(id: LicenseId), Own, "Revokes a license for good",
            Spec::gives::<LicenseView>().asks::<Because>().etag().refuses(&[409]);
        Post ["licenses", id, "reveal"] => RevealLicenseKey(id: LicenseId), Own, "Shows its key once more",
            Spec::gives::<LicenseKeyShown>();
        Get ["tenants", slug, "keys"] => ListTenantKeys(slug: TenantSlug), Read,
            "API keys of the tenant's app, without their secrets", Spec::lists::<TenantKeyView>();
        Post ["tenants", slug, "keys"] => CreateTenantKey(slug: TenantSlug), Operate, "Makes a key, shown this once",
            Spec::makes::<TenantKeyCreated>();
        Post ["tenants", slug, "keys", id, "rotate"] => RotateTenantKey(slug: TenantSlug, id: TenantKeyId),
            Operate, "Makes a key that replaces this one",
            Spec::makes::<TenantKeyCreated>().may_ask::<RotateTenantKey>();
        Delete ["tenants", slug, "keys", id] => RevokeTenantKey(slug: TenantSlug, id: TenantKeyId),
            Operate, "Revokes a key", Spec::done().refuses(&[409]);
        Post ["keys", "rotate-lease"] => RotateLeaseKeys, Own, "Draws a new key for leases",
            Spec::gives::<KeysView>().asks::<RotateKeys>().refuses(&[409]);
    }
}
