//! What admins want of tenants themselves: create, change, forget. Work on their hosts is in
//! `tenant_work.rs`.

use std::collections::BTreeSet;

use freehold_protocol::ids::{JobId, TenantId, TenantSlug};
use serde_json::json;
use uuid::Uuid;

use super::{
    changed::Changed,
    license_status,
    queue_job::JobRules,
    request_follow, request_retry,
    tenant_draft::{Wanted, draft, refuse_held_domain},
    tenant_input::Fields,
    tenant_license,
    tenant_work::{Deploy, refuse_if_busy, removed},
    tokens, users,
};
use crate::{
    api::tenants as wire,
    db::{
        Read, Tx,
        audit::{self, Entry},
        blueprints,
        hosts::HostRow,
        tenants::{self, TenantRow},
    },
    domain::{ids::LicenseId, tenant::TenantStatus},
    error::AppError,
};

/// The tenant with a slug.
///
/// # Errors
/// When there is none.
pub fn find(read: &Read<'_>, slug: &TenantSlug) -> Result<TenantRow, AppError> {
    tenants::by_slug(read, slug)?.ok_or_else(|| AppError::not_found("tenant", slug))
}

pub(super) fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &'static str,
    tenant: &TenantRow,
    detail: serde_json::Value,
) -> Result<(), AppError> {
    audit::append(
        tx,
        &Entry { actor, action, object_kind: "tenant", object_id: &tenant.id.to_string(), detail },
    )
}

/// Somebody wants a new tenant.
#[derive(Debug)]
pub struct CreateTenant {
    /// As it was written.
    pub request: wire::CreateTenant,
    /// Who asks.
    pub actor: String,
    /// How the job is queued.
    pub rules: JobRules,
}

impl CreateTenant {
    /// Writes it down and, when asked for, queues its deployment.
    ///
    /// # Errors
    /// Every wrong field at once; then a taken name, an unknown host or blueprint, a full host.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(TenantRow, Option<JobId>), AppError> {
        let id = TenantId::from_uuid(Uuid::now_v7());
        let wanted = Wanted { id, written: &self.request, actor: &self.actor, request: None };
        let tenant = draft(tx, Fields::default(), &wanted)?;
        add(tx, &tenant, &self.actor)?;
        let job = if self.request.deploy {
            let deploy = Deploy {
                slug: tenant.slug.clone(),
                release: None,
                actor: self.actor,
                rules: self.rules,
            };
            Some(deploy.apply(tx)?)
        } else {
            None
        };
        let tenant =
            tenants::by_id(tx, id)?.ok_or_else(|| AppError::bug("a new tenant is gone"))?;
        Ok((tenant, job))
    }
}

/// Adds a tenant that was drafted.
///
/// # Errors
/// `name_taken` by a race that the draft could not see.
pub(super) fn add(tx: &Tx<'_>, tenant: &TenantRow, actor: &str) -> Result<(), AppError> {
    tenants::insert(tx, tenant)?;
    let detail = json!({ "slug": tenant.slug, "domain": tenant.domain, "host": tenant.host, "release": tenant.release_wanted, "license": tenant.license });
    record(tx, actor, "tenant.create", tenant, detail)
}

/// What an update changed. Settings are named without their values: any may be a secret.
fn changed(before: &TenantRow, after: &TenantRow) -> serde_json::Value {
    let state = |tenant: &TenantRow| {
        json!({
            "name": tenant.name,
            "domain": tenant.domain,
            "release": tenant.release_wanted,
            "license": tenant.license,
            "certificate": tenant.certificate,
        })
    };
    let names: BTreeSet<&String> = before.settings.keys().chain(after.settings.keys()).collect();
    let changed = Changed::between(&state(before), &state(after));
    let add = |changed: Changed, name: &String| {
        let differs = before.settings.get(name) != after.settings.get(name);
        changed.unshown(&format!("settings/{name}"), differs)
    };
    names.into_iter().fold(changed, add).detail()
}

/// Somebody wants to change what is wanted of a tenant.
#[derive(Debug)]
pub struct UpdateTenant {
    /// Which.
    pub slug: TenantSlug,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: wire::UpdateTenant,
    /// Who asks.
    pub actor: String,
}

impl UpdateTenant {
    /// Changes it. The host sees nothing of it before the next deployment.
    ///
    /// # Errors
    /// Wrong fields, 412, a taken domain, an unknown release, a removed tenant, one that is to be deployed as it
    /// was approved.
    pub fn apply(self, tx: &Tx<'_>) -> Result<TenantRow, AppError> {
        let mut tenant = find(tx, &self.slug)?;
        if tenant.status == TenantStatus::Removed {
            return Err(removed(&tenant));
        }
        super::check_generation(self.generation, tenant.generation)?;
        let before = tenant.clone();
        let request = self.request;
        let mut fields = Fields::default();
        if let Some(name) = request.name {
            fields.person_text("/name", &name);
            tenant.name = name;
        }
        if let Some(domain) = fields.parse_optional("/domain", request.domain.as_deref()) {
            tenant.domain = domain;
        }
        let license = match &request.license {
            Some(Some(text)) => Some(fields.parse::<LicenseId>("/license", text)),
            Some(None) => Some(None),
            None => None,
        };
        if request.certificate.is_some() {
            tenant.certificate = fields.certificate(request.certificate.as_ref());
        }
        fields.done()?;
        if let Some(license) = license {
            tenant.license = license.map(|id| tenant_license::choose(tx, id)).transpose()?;
        }
        if let Some(other) =
            tenants::by_domain(tx, &tenant.domain)?.filter(|other| other.id != tenant.id)
        {
            return Err(AppError::conflict(
                "domain_taken",
                format!("the tenant {} has this domain", other.slug),
            )
            .advice("choose another domain"));
        }
        refuse_held_domain(tx, &tenant.domain, None)?;
        if let Some(number) = request.release {
            if blueprints::release(tx, &tenant.blueprint, number)?.is_none() {
                return Err(AppError::invalid(
                    "/release",
                    format!("{} has no release {number}", tenant.blueprint),
                ));
            }
            tenant.release_wanted = number;
        }
        for (name, value) in request.settings {
            match value {
                Some(value) => tenant.settings.insert(name, value),
                None => tenant.settings.remove(&name),
            };
        }
        let (_, model) = blueprints::content(tx, &tenant.blueprint, tenant.release_wanted)?;
        let mut fields = Fields::default();
        fields.settings(&model, &tenant.settings);
        fields.done()?;
        if tenant.wants_other_than(&before) {
            request_retry::refuse_if_bound(tx, &before)?;
        }
        tenants::update_wanted(tx, &tenant)?;
        record(tx, &self.actor, "tenant.update", &tenant, changed(&before, &tenant))?;
        // A license that a running tenant gets is in use from now on.
        if tenant.release_deployed.is_some() {
            license_status::activate(tx, tenant.id, &self.actor)?;
        }
        find(tx, &self.slug)
    }
}

/// Whether a host takes one more tenant. Each counts once, from when it is added until it is removed or
/// forgotten, whatever its status: one that waits, failed or is being removed has its name and, if it is
/// tried again, its place there. Jobs do not count, and neither does data that a removal has kept.
pub(super) fn refuse_if_full(read: &Read<'_>, host: &HostRow) -> Result<(), AppError> {
    let there = tenants::count_on_host(read, host.id)?;
    if host.tenant_limit.is_none_or(|limit| there < limit) {
        return Ok(());
    }
    Err(AppError::conflict(
        "host_full",
        format!("{} has {there} tenants, which is its limit", host.name),
    )
    .advice(format!(
        "choose another host, or raise the limit with `freehold host update {} --tenant-limit N`",
        host.name
    )))
}

/// Somebody wants a tenant forgotten of which nothing runs, or whose host was given up.
#[derive(Debug)]
pub struct Forget {
    /// Which.
    pub slug: TenantSlug,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// Who asks.
    pub actor: String,
}

impl Forget {
    /// Deletes the row and its jobs at rest; the audit log keeps what was done.
    ///
    /// # Errors
    /// 412, or a tenant that may be on its host.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let tenant = find(tx, &self.slug)?;
        super::check_generation(self.generation, tenant.generation)?;
        refuse_if_busy(&tenant)?;
        // Its host was given up: what may still lie there is out of reach, and the admin has said so.
        let given_up = tenant.unknown_since.is_some();
        if !tenant.kept_volumes.is_empty() && !given_up {
            let slug = &tenant.slug;
            return Err(AppError::conflict(
                "data_kept",
                format!("the data of the tenant {slug} is still on {}", tenant.host),
            )
            .advice(format!("delete it first: `freehold tenant remove {slug} --delete-data`")));
        }
        match tenant.status {
            _ if given_up => {}
            TenantStatus::Pending | TenantStatus::Removed => {}
            // Rolled back before it was ever up: the host holds nothing of it.
            TenantStatus::Failed | TenantStatus::Cancelled if tenant.release_deployed.is_none() => {
            }
            TenantStatus::Provisioning
            | TenantStatus::Active
            | TenantStatus::Suspended
            | TenantStatus::Failed
            | TenantStatus::Cancelled
            | TenantStatus::Removing => {
                return Err(AppError::conflict(
                    "tenant_deployed",
                    format!("the tenant {} may be on its host", tenant.slug),
                )
                .advice(format!("remove it first: `freehold tenant remove {}`", tenant.slug)));
            }
        }
        tenants::delete(tx, tenant.id, tenant.status)?;
        // Who was limited to it has nothing left to look after.
        tokens::revoke_of_tenant(tx, tenant.id, &self.actor)?;
        users::disable_of_tenant(tx, tenant.id, &self.actor)?;
        request_follow::tenant_gone(tx, tenant.id, "its tenant was forgotten", &self.actor)?;
        let detail = json!({ "slug": tenant.slug, "hostGivenUp": given_up });
        record(tx, &self.actor, "tenant.delete", &tenant, detail)
    }
}
