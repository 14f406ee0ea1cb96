//! A tenant as somebody wants it → a row that could be added now: for whoever adds one, and for whoever asks for
//! one.

use std::collections::BTreeMap;

use freehold_protocol::{
    ids::{Domain, ProvisionRequestId, TenantId, TenantSlug},
    time::Timestamp,
};

use super::{
    tenant_input::{Fields, given},
    tenant_license,
    tenants::refuse_if_full,
};
use crate::{
    api::tenants::CreateTenant,
    db::{
        Read, blueprints, hosts, requests,
        tenants::{self, TenantRow},
    },
    domain::tenant::TenantStatus,
    error::AppError,
};

/// What is wanted, and by whom.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The tenant's identifier.
    pub(super) id: TenantId,
    /// As it was written.
    pub(super) written: &'a CreateTenant,
    /// Who asked.
    pub(super) actor: &'a str,
    /// The request that holds the name and the address for this tenant.
    pub(super) request: Option<ProvisionRequestId>,
}

/// Checks everything and makes the row, which is not added. `fields` may have wrong ones of the caller's already.
///
/// # Errors
/// Every wrong field at once; then a taken name, an unknown host or blueprint, a full host.
pub(super) fn draft(
    read: &Read<'_>,
    mut fields: Fields,
    wanted: &Wanted<'_>,
) -> Result<TenantRow, AppError> {
    let written = wanted.written;
    let slug = fields.parse::<TenantSlug>("/slug", &written.slug);
    fields.person_text("/name", &written.name);
    let domain = fields.parse("/domain", &written.domain);
    let host = fields.parse("/host", &written.host);
    let blueprint = fields.parse("/blueprint", &written.blueprint);
    let admin_email = fields.parse_optional("/adminEmail", written.admin_email.as_deref());
    if let Some(admin_name) = &written.admin_name {
        fields.person_text("/adminName", admin_name);
        if written.admin_email.is_none() {
            fields.refuse("/adminEmail", "give the address of the person named in adminName");
        }
    }
    let certificate = fields.certificate(written.certificate.as_ref());
    let license = fields.parse_optional("/license", written.license.as_deref());
    fields.done()?;
    let (slug, domain) = (given(slug)?, given(domain)?);
    let (host, blueprint) = (given(host)?, given(blueprint)?);

    let host = hosts::by_name(read, &host)?.ok_or_else(|| {
        AppError::invalid(
            "/host",
            format!("there is no host {host}; `freehold host list` shows all"),
        )
    })?;
    let latest = blueprints::latest(read, &blueprint)?.ok_or_else(|| {
        AppError::invalid(
            "/blueprint",
            format!("there is no blueprint {blueprint}; publish it with `freehold blueprint push`"),
        )
    })?;
    let number = written.release.unwrap_or(latest.number);
    if blueprints::release(read, &blueprint, number)?.is_none() {
        return Err(AppError::invalid(
            "/release",
            format!("{blueprint} has no release {number}; the newest is {}", latest.number),
        ));
    }
    let (_, model) = blueprints::content(read, &blueprint, number)?;
    let mut fields = Fields::default();
    fields.settings(&model, &written.settings);
    if written.deploy {
        fields.required_settings(&model, &written.settings);
    }
    fields.done()?;
    if let Some(other) = tenants::by_slug(read, &slug)? {
        refuse_taken_name(&other)?;
    }
    if let Some(request) = requests::holder_of_slug(read, &slug)?
        && wanted.request != Some(request)
    {
        return Err(held("name_taken", &slug, request));
    }
    if let Some(other) = tenants::by_domain(read, &domain)? {
        return Err(AppError::conflict(
            "domain_taken",
            format!("the tenant {} has the domain {domain}", other.slug),
        )
        .advice("choose another domain"));
    }
    refuse_held_domain(read, &domain, wanted.request)?;
    let license = license.map(|id| tenant_license::choose(read, id)).transpose()?;
    refuse_if_full(read, &host)?;
    let now: Timestamp = read.now();
    Ok(TenantRow {
        id: wanted.id,
        slug,
        name: written.name.clone(),
        domain,
        host_id: host.id,
        host: host.name,
        blueprint,
        release_wanted: number,
        release_deployed: None,
        status: TenantStatus::Pending,
        settings: written.settings.clone(),
        admin_email,
        admin_name: written.admin_name.clone(),
        onboarded: false,
        certificate,
        license,
        endpoints: BTreeMap::new(),
        ports: BTreeMap::new(),
        health: None,
        disk: None,
        disk_given_gb: None,
        kept_volumes: Vec::new(),
        credentials_waiting: false,
        credentials_shown_at: None,
        open_job: None,
        generation: 1,
        created_by: wanted.actor.to_owned(),
        created_at: now,
        updated_at: now,
        removed_at: None,
        unknown_since: None,
    })
}

/// Refuses a domain that a request holds which nobody has decided on.
///
/// # Errors
/// `domain_taken`.
pub(super) fn refuse_held_domain(
    read: &Read<'_>,
    domain: &Domain,
    own: Option<ProvisionRequestId>,
) -> Result<(), AppError> {
    match requests::holder_of_domain(read, domain)? {
        Some(request) if own != Some(request) => Err(held("domain_taken", domain, request)),
        Some(_) | None => Ok(()),
    }
}

fn held(
    code: &'static str,
    what: &impl std::fmt::Display,
    request: ProvisionRequestId,
) -> AppError {
    AppError::conflict(code, format!("the request {request} asks for {what}")).advice(format!(
        "choose another one, or have that request decided: `freehold request show {request}`"
    ))
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
