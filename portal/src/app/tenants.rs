//! What admins want of tenants themselves: create, change, forget. Work on their hosts is in
//! `tenant_work.rs`.

use std::collections::BTreeMap;

use freehold_protocol::ids::{JobId, TenantId, TenantSlug};
use serde_json::json;
use uuid::Uuid;

use super::{
    license_status,
    queue_job::JobRules,
    tenant_input::{Fields, given},
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
        hosts::{self, HostRow},
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
        let wire::CreateTenant {
            slug,
            name,
            domain,
            host,
            blueprint,
            release,
            settings,
            admin_email,
            admin_name,
            certificate,
            license,
            deploy,
        } = self.request;
        let mut fields = Fields::default();
        let slug = fields.parse::<TenantSlug>("/slug", &slug);
        fields.person_text("/name", &name);
        let domain = fields.parse("/domain", &domain);
        let host = fields.parse("/host", &host);
        let blueprint = fields.parse("/blueprint", &blueprint);
        let email_given = admin_email.is_some();
        let admin_email = fields.parse_optional("/adminEmail", admin_email.as_deref());
        if let Some(admin_name) = &admin_name {
            fields.person_text("/adminName", admin_name);
            if !email_given {
                fields.refuse("/adminEmail", "give the address of the person named in adminName");
            }
        }
        let certificate = fields.certificate(certificate.as_ref());
        let license = fields.parse_optional("/license", license.as_deref());
        fields.done()?;
        let (slug, domain) = (given(slug)?, given(domain)?);
        let (host, blueprint) = (given(host)?, given(blueprint)?);

        let host = hosts::by_name(tx, &host)?.ok_or_else(|| {
            AppError::invalid(
                "/host",
                format!("there is no host {host}; `freehold host list` shows all"),
            )
        })?;
        let latest = blueprints::latest(tx, &blueprint)?.ok_or_else(|| {
            AppError::invalid(
                "/blueprint",
                format!(
                    "there is no blueprint {blueprint}; publish it with `freehold blueprint push`"
                ),
            )
        })?;
        let number = release.unwrap_or(latest.number);
        if blueprints::release(tx, &blueprint, number)?.is_none() {
            return Err(AppError::invalid(
                "/release",
                format!("{blueprint} has no release {number}; the newest is {}", latest.number),
            ));
        }
        let (_, model) = blueprints::content(tx, &blueprint, number)?;
        let mut fields = Fields::default();
        fields.settings(&model, &settings);
        if deploy {
            fields.required_settings(&model, &settings);
        }
        fields.done()?;
        if let Some(other) = tenants::by_slug(tx, &slug)? {
            refuse_taken_name(&other)?;
        }
        if let Some(other) = tenants::by_domain(tx, &domain)? {
            return Err(AppError::conflict(
                "domain_taken",
                format!("the tenant {} has the domain {domain}", other.slug),
            )
            .advice("choose another domain"));
        }
        let license = license.map(|id| tenant_license::choose(tx, id)).transpose()?;
        refuse_if_full(tx, &host)?;
        let id = TenantId::from_uuid(Uuid::now_v7());
        let tenant = TenantRow {
            id,
            slug,
            name,
            domain,
            host_id: host.id,
            host: host.name,
            blueprint,
            release_wanted: number,
            release_deployed: None,
            status: TenantStatus::Pending,
            settings,
            admin_email,
            admin_name,
            onboarded: false,
            certificate,
            license,
            endpoints: BTreeMap::new(),
            ports: BTreeMap::new(),
            health: None,
            kept_volumes: Vec::new(),
            credentials_waiting: false,
            credentials_shown_at: None,
            open_job: None,
            generation: 1,
            created_by: self.actor.clone(),
            created_at: tx.now(),
            updated_at: tx.now(),
            removed_at: None,
            unknown_since: None,
        };
        tenants::insert(tx, &tenant)?;
        let detail = json!({ "slug": tenant.slug, "domain": tenant.domain, "host": tenant.host, "release": number, "license": tenant.license });
        record(tx, &self.actor, "tenant.create", &tenant, detail)?;
        let job = if deploy {
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
    /// Wrong fields, 412, a taken domain, an unknown release, a removed tenant.
    pub fn apply(self, tx: &Tx<'_>) -> Result<TenantRow, AppError> {
        let mut tenant = find(tx, &self.slug)?;
        if tenant.status == TenantStatus::Removed {
            return Err(removed(&tenant));
        }
        super::check_generation(self.generation, tenant.generation)?;
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
        tenants::update_wanted(tx, &tenant)?;
        let names: Vec<&String> = tenant.settings.keys().collect();
        let detail = json!({ "domain": tenant.domain, "release": tenant.release_wanted, "settings": names, "license": tenant.license });
        record(tx, &self.actor, "tenant.update", &tenant, detail)?;
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
pub(super) fn refuse_if_full(tx: &Tx<'_>, host: &HostRow) -> Result<(), AppError> {
    let there = tenants::count_on_host(tx, host.id)?;
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

/// The name of a removed tenant is free again, unless its data is still on its host: a new tenant
/// would find it there.
fn refuse_taken_name(other: &TenantRow) -> Result<(), AppError> {
    let slug = &other.slug;
    if other.status != TenantStatus::Removed {
        return Err(AppError::conflict("name_taken", format!("there is already a tenant {slug}"))
            .advice("choose another slug"));
    }
    if other.kept_volumes.is_empty() {
        return Ok(());
    }
    Err(AppError::conflict(
        "name_taken",
        format!("the data of the removed tenant {slug} is still on {}", other.host),
    )
    .advice(format!(
        "bring that tenant back with `freehold tenant deploy {slug}`, delete its data with `freehold tenant remove {slug} --delete-data`, or choose another slug"
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
        let detail = json!({ "slug": tenant.slug, "hostGivenUp": given_up });
        record(tx, &self.actor, "tenant.delete", &tenant, detail)
    }
}
