//! What a tenant's license means for the tenant: which one it may get, and what it may want of its
//! host.

use freehold_protocol::{
    blueprint::{Blueprint, limits},
    failure::{Failure, FailureClass},
};

use super::{app_env, licenses, plans, tenant_input::Fields};
use crate::{
    db::{Read, plans::PlanRow, tenants::TenantRow},
    domain::{
        disk::{self, Amount},
        ids::LicenseId,
        license::{LicenseStatus, Standing},
    },
    error::AppError,
};

/// The license that an admin names for a tenant.
///
/// # Errors
/// `/license` when there is none, or when it is revoked.
pub(super) fn choose(read: &Read<'_>, id: LicenseId) -> Result<LicenseId, AppError> {
    match licenses::find(read, id) {
        Ok(license) if license.status == LicenseStatus::Revoked => Err(AppError::invalid(
            "/license",
            format!("the license {id} is revoked; make a new one with `freehold license add`"),
        )),
        Ok(license) => Ok(license.id),
        Err(error) if error.code == "not_found" => Err(AppError::invalid(
            "/license",
            format!("there is no license {id}; `freehold license list` shows all"),
        )),
        Err(error) => Err(error),
    }
}

/// Refuses to bring a tenant to a release whose license is worth nothing now, or that wants more of
/// the host than the license's plan gives, or of the portal what there is not; and a tenant that has
/// more on the disk than the plan gives. A tenant without a license is not bounded.
///
/// What is on the disk does not stand against the release that runs: to deploy it again is how a tenant
/// is mended, and takes nothing more. A quota that is full must not become an outage.
///
/// # Errors
/// `license_not_valid` (409), or the blueprint's fields (422); see [`app_env::admit`].
pub(super) fn allow_deploy(
    read: &Read<'_>,
    tenant: &TenantRow,
    (number, blueprint): (u32, &Blueprint),
) -> Result<(), AppError> {
    app_env::admit(read, tenant, blueprint)?;
    let Some(plan) = worth_something(read, tenant)? else { return Ok(()) };
    let wants = blueprint.freehold.resources;
    let mut fields = Fields::default();
    for (name, wanted, given, unit) in [
        ("memoryMb", wants.memory_mb, plan.quotas.memory_mb, "MiB of memory"),
        ("cpuMillis", wants.cpu_millis, plan.quotas.cpu_millis, "thousandths of a processor"),
        ("diskGb", wants.disk_gb, plan.quotas.disk_gb, "GiB of disk"),
    ] {
        if let Some(given) = given.filter(|given| wanted > *given) {
            fields.refuse(
                format!("/blueprint/resources/{name}"),
                format!(
                    "the release wants {wanted} {unit}, and the plan {} gives {given}: use a smaller release or another plan",
                    plan.name
                ),
            );
        }
    }
    if plan.quotas.disk_gb.is_none_or(|given| wants.disk_gb <= given)
        && let Some(Failure { what, advice, .. }) = outgrown(tenant, &plan, number)
    {
        fields.refuse("/blueprint/resources/diskGb".to_owned(), format!("{what}: {advice}"));
    }
    // What the engine lets the services take together: a release must not want little and take much.
    let takes = cpu_of_services(blueprint);
    if let Some(given) = plan.quotas.cpu_millis
        && wants.cpu_millis <= given
        && takes > u64::from(given)
    {
        fields.refuse(
            "/blueprint/resources/cpuMillis".to_owned(),
            format!(
                "the services of the release may take {takes} thousandths of a processor together, and the plan {} gives {given}: lower `cpus` of the services (one without it counts {}), or use another plan",
                plan.name,
                limits::CPU_DEFAULT_MILLIS
            ),
        );
    }
    fields.done()
}

/// Why the release `number` is not for a tenant that has more on the disk than its plan gives; none when it has
/// not, or when that release runs.
pub(super) fn outgrown(tenant: &TenantRow, plan: &PlanRow, number: u32) -> Option<Failure> {
    let (given, has) = (plan.quotas.disk_gb?, tenant.disk?);
    if has.used_bytes <= disk::gib(given) || tenant.release_deployed == Some(number) {
        return None;
    }
    let (slug, plan) = (&tenant.slug, &plan.name);
    Some(Failure::new(
        FailureClass::Request,
        format!(
            "the tenant has {} on the disk, and the plan {plan} gives {given} GiB of disk",
            Amount(has.used_bytes)
        ),
        format!(
            "delete data and have it counted again (`freehold tenant check {slug}`), or use another plan or a larger one (`freehold plan update {plan} --disk-gb GIB`); the release that runs can be deployed again all the same"
        ),
    ))
}

/// What the services may take of the processors together, in thousandths of one.
fn cpu_of_services(blueprint: &Blueprint) -> u64 {
    let of = |limit: Option<u32>| u64::from(limit.unwrap_or(limits::CPU_DEFAULT_MILLIS));
    blueprint.services.values().map(|service| of(service.limits.cpu_millis)).sum()
}

/// The plan of a tenant's license, which must be worth something now; none of a tenant without a license.
///
/// # Errors
/// `license_not_valid` (409).
pub(super) fn worth_something(
    read: &Read<'_>,
    tenant: &TenantRow,
) -> Result<Option<PlanRow>, AppError> {
    let Some(id) = tenant.license else { return Ok(None) };
    let license = licenses::find(read, id)?;
    let plan = plans::find(read, &license.plan)?;
    let slug = &tenant.slug;
    match plan.expiry.judge(license.status, license.expires_at, read.now()) {
        Standing::Valid | Standing::InGrace { .. } => {}
        Standing::Expired | Standing::Suspended | Standing::Revoked => {
            let status = license.status.at(license.expires_at, read.now());
            return Err(AppError::conflict(
                "license_not_valid",
                format!("the license {id} of the tenant {slug} is {status}"),
            )
            .advice(format!(
                "reinstate or renew it, or give the tenant another: `freehold tenant update {slug} --license ID`"
            )));
        }
    }
    Ok(Some(plan))
}
