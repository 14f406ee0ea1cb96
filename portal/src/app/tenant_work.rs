//! What admins want done with a tenant on its host: deploy, check, remove.

use freehold_protocol::{
    ids::{JobId, TenantSlug},
    job::{Admin, CheckTenant, DataOnRemove, DeployTenant, ReleaseRef, RemoveTenant, Work},
};

use super::{
    queue_job::{JobRules, QueueJob},
    request_retry::anew,
    tenant_draft::refuse_held_domain,
    tenant_input::Fields,
    tenant_license,
    tenants::{find, refuse_if_full},
};
use crate::{
    api::tenants as wire,
    db::{
        Read, Tx, blueprints, deployments, hosts, requests,
        tenants::{self, TenantRow},
    },
    domain::{request::RequestStatus, tenant::TenantStatus},
    error::AppError,
};

/// Somebody wants a tenant deployed, or brought to another release.
#[derive(Debug)]
pub struct Deploy {
    /// Which.
    pub slug: TenantSlug,
    /// The release; the wanted one when absent.
    pub release: Option<u32>,
    /// Who asks.
    pub actor: String,
    /// How the job is queued.
    pub rules: JobRules,
}

impl Deploy {
    /// Queues it.
    ///
    /// # Errors
    /// An unknown release, a missing setting, a tenant that is busy or removed.
    pub fn apply(self, tx: &Tx<'_>) -> Result<JobId, AppError> {
        let mut tenant = find(tx, &self.slug)?;
        match tenant.status {
            TenantStatus::Removed => bring_back(tx, &tenant)?,
            TenantStatus::Pending
            | TenantStatus::Provisioning
            | TenantStatus::Active
            | TenantStatus::Suspended
            | TenantStatus::Failed
            | TenantStatus::Cancelled
            | TenantStatus::Removing => refuse_if_busy(&tenant)?,
        }
        if self.rules.approval_required && !deployments::was_deployed(tx, tenant.id)? {
            return Err(approval_required(tx, &tenant)?);
        }
        let number = self.release.unwrap_or(tenant.release_wanted);
        let work = deployment(tx, &tenant, number)?.into();
        if tenant.release_wanted != number {
            tenant.release_wanted = number;
            tenants::update_wanted(tx, &tenant)?;
        }
        QueueJob { host: tenant.host_id, work, actor: self.actor, rules: self.rules }.apply(tx)
    }
}

/// The work that brings a tenant to a release, if it may be brought there.
///
/// # Errors
/// An unknown release, wrong or missing settings, a license that is worth nothing now or gives too little.
pub(super) fn deployment(
    read: &Read<'_>,
    tenant: &TenantRow,
    number: u32,
) -> Result<Work, AppError> {
    let release = blueprints::release(read, &tenant.blueprint, number)?.ok_or_else(|| {
        AppError::invalid("/release", format!("{} has no release {number}", tenant.blueprint))
    })?;
    let (_, model) = blueprints::content(read, &tenant.blueprint, number)?;
    let mut fields = Fields::default();
    fields.settings(&model, &tenant.settings);
    fields.required_settings(&model, &tenant.settings);
    fields.done()?;
    tenant_license::allow_deploy(read, tenant, (number, &model))?;
    Ok(Work::DeployTenant(Box::new(DeployTenant {
        tenant: tenant.id,
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        domain: tenant.domain.clone(),
        release: ReleaseRef { blueprint: tenant.blueprint.clone(), number, digest: release.digest },
        blueprint: model,
        settings: tenant.settings.clone(),
        admin: first_admin(tenant),
        certificate: tenant.certificate.clone(),
    })))
}

/// The first admin, as long as it has not been onboarded.
pub(super) fn first_admin(tenant: &TenantRow) -> Option<Admin> {
    let email = tenant.admin_email.as_ref().filter(|_| !tenant.onboarded)?;
    let name = tenant.admin_name.clone().unwrap_or_else(|| email.as_str().to_owned());
    Some(Admin { email: email.clone(), name })
}

/// The refusal of a first deployment that nobody has approved, with the way to it.
pub(super) fn approval_required(read: &Read<'_>, tenant: &TenantRow) -> Result<AppError, AppError> {
    let slug = &tenant.slug;
    let next = match requests::by_tenant(read, tenant.id)? {
        Some(request) if request.status == RequestStatus::Failed => {
            format!("try what was approved again: `freehold request retry {}`", request.id)
        }
        Some(request) if request.status == RequestStatus::Approved => {
            format!("see `freehold request show {}`", request.id)
        }
        Some(_) | None => anew(slug),
    };
    Ok(AppError::conflict(
        "approval_required",
        format!("the first deployment of the tenant {slug} must be approved"),
    )
    .advice(next))
}

/// Somebody wants to know how a tenant is.
#[derive(Debug)]
pub struct Check {
    /// Which.
    pub slug: TenantSlug,
    /// Who asks.
    pub actor: String,
    /// How the job is queued.
    pub rules: JobRules,
}

impl Check {
    /// Queues it.
    ///
    /// # Errors
    /// A tenant that was never deployed, is busy or removed.
    pub fn apply(self, tx: &Tx<'_>) -> Result<JobId, AppError> {
        let tenant = find(tx, &self.slug)?;
        refuse_if_busy(&tenant)?;
        if tenant.release_deployed.is_none() {
            return Err(not_deployed(&tenant));
        }
        let work = CheckTenant { tenant: tenant.id, slug: tenant.slug.clone() };
        let work = Work::CheckTenant(work).into();
        QueueJob { host: tenant.host_id, work, actor: self.actor, rules: self.rules }.apply(tx)
    }
}

/// Somebody wants a tenant off its host.
#[derive(Debug)]
pub struct Remove {
    /// Which.
    pub slug: TenantSlug,
    /// As it was written.
    pub request: wire::RemoveTenant,
    /// Who asks.
    pub actor: String,
    /// How the job is queued.
    pub rules: JobRules,
}

impl Remove {
    /// Queues it.
    ///
    /// # Errors
    /// Wrong fields; a tenant that was never deployed, is busy or removed.
    pub fn apply(self, tx: &Tx<'_>) -> Result<JobId, AppError> {
        let data = match self.request.data.as_str() {
            "keep" => DataOnRemove::Keep,
            "delete" => DataOnRemove::Delete,
            _ => {
                return Err(AppError::invalid(
                    "/data",
                    "say keep (volumes and secrets stay on the host) or delete (they are gone for good)",
                ));
            }
        };
        if data == DataOnRemove::Delete
            && self.request.confirm.as_deref() != Some(self.slug.as_str())
        {
            return Err(AppError::invalid(
                "/confirm",
                format!("repeat the slug ({}) to delete the tenant's data for good", self.slug),
            ));
        }
        let tenant = find(tx, &self.slug)?;
        match tenant.status {
            // What was kept can be deleted later.
            TenantStatus::Removed
                if data == DataOnRemove::Delete && !tenant.kept_volumes.is_empty() =>
            {
                refuse_if_busy(&tenant)?;
            }
            TenantStatus::Removed => return Err(removed(&tenant)),
            TenantStatus::Pending => {
                return Err(AppError::conflict(
                    "not_deployed",
                    format!("the tenant {} was never deployed", tenant.slug),
                )
                .advice("delete it instead: there is nothing on the host"));
            }
            TenantStatus::Provisioning
            | TenantStatus::Active
            | TenantStatus::Suspended
            | TenantStatus::Failed
            | TenantStatus::Cancelled
            | TenantStatus::Removing => refuse_if_busy(&tenant)?,
        }
        let work = RemoveTenant { tenant: tenant.id, slug: tenant.slug, data };
        let work = Work::RemoveTenant(work).into();
        QueueJob { host: tenant.host_id, work, actor: self.actor, rules: self.rules }.apply(tx)
    }
}

pub(super) fn not_deployed(tenant: &TenantRow) -> AppError {
    AppError::conflict("not_deployed", format!("the tenant {} is not deployed", tenant.slug))
        .advice(format!("deploy it with `freehold tenant deploy {}`", tenant.slug))
}

pub(super) fn removed(tenant: &TenantRow) -> AppError {
    AppError::conflict("tenant_removed", format!("the tenant {} was removed", tenant.slug))
        .advice("create it again to use the name anew")
}

/// A removed tenant whose data was kept comes back as one that waits for its first deploy: its name
/// and domain are taken from now on.
fn bring_back(tx: &Tx<'_>, tenant: &TenantRow) -> Result<(), AppError> {
    if tenant.kept_volumes.is_empty() {
        return Err(removed(tenant));
    }
    if let Some(other) = tenants::by_domain(tx, &tenant.domain)? {
        return Err(AppError::conflict(
            "domain_taken",
            format!("the tenant {} has the domain {} now", other.slug, tenant.domain),
        )
        .advice("move that tenant to another domain first"));
    }
    refuse_held_domain(tx, &tenant.domain, None)?;
    // It did not count while it was removed.
    refuse_if_full(tx, &hosts::get(tx, tenant.host_id)?)?;
    deployments::set_status(tx, tenant.id, tenant.status, TenantStatus::Pending)
}

/// A tenant has one piece of work at a time.
pub(super) fn refuse_if_busy(tenant: &TenantRow) -> Result<(), AppError> {
    let Some(job) = tenant.open_job else { return Ok(()) };
    Err(AppError::conflict(
        "tenant_busy",
        format!("job {job} of the tenant {} is not at rest", tenant.slug),
    )
    .advice(format!(
        "watch it with `freehold job watch {job}`, or cancel it; when it is stuck, resume it"
    )))
}
