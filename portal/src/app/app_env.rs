//! What a deploy brings for the tenant's app: the variables that its blueprint uses and the portal
//! delivers. Whether there will be values is seen when the deploy is asked for; the values themselves
//! are put together when the job is handed to its agent, sealed for that agent, job and attempt.
//!
//! The API key in it is made by the first deploy that needs one and stays, sealed under the master key,
//! so that every later deploy brings the same. A rotation makes the next one: the next deploy brings that,
//! and only when an agent reports that it is in use does the grace period of the one before begin. A host
//! that is away for a week, or a deploy that is undone, leaves the app with a key that is good. A release
//! that uses no key ends those of the one before in the same way: nobody is left who could rotate them.

use std::collections::BTreeMap;

use freehold_protocol::{
    app_env::{AppEnv, EnvContext, SealedEnv, key_mark},
    blueprint::{
        Blueprint,
        delivered::{Delivered, Need},
    },
    failure::{Failure, FailureClass},
    ids::{Sha256Digest, TenantId},
    job::Work,
    secret::Secret,
};
use serde_json::json;

use super::{customers, licenses, tenant_input::Fields, tenant_keys};
use crate::{
    api::tenant_keys::DEFAULT_ROTATION_HOURS,
    db::{
        Read, Tx,
        agents::AgentRow,
        audit::{self, Entry},
        delivered_keys,
        jobs::JobRow,
        tenant_keys::{self as db_keys, TenantKeyRow},
        tenants::{self, TenantRow},
    },
    error::{AppError, Kind},
    keys::{KeyError, MasterKey, Place, PortalKeys},
    licensing,
};

/// Who makes a key that a deploy needs.
const MAKER: &str = "system";

fn place<'a>(row: &'a str, tenant: &'a str) -> Place<'a> {
    Place { table: "tenant_keys", column: "sealed", row, tenant, version: 1 }
}

/// Refuses a deploy for whose app there would be no license, or no key.
///
/// # Errors
/// `/license` (422); `too_many_keys`.
pub(super) fn admit(
    read: &Read<'_>,
    tenant: &TenantRow,
    blueprint: &Blueprint,
) -> Result<(), AppError> {
    let used = blueprint.delivered();
    let mut fields = Fields::default();
    for (name, _) in used.iter().filter(|(_, need)| **need == Need::Required) {
        if name.is_of_license() && tenant.license.is_none() {
            fields.refuse(
                "/license",
                format!(
                    "the release uses {name} and the tenant has no license: give it one with `freehold tenant update {} --license ID`, or write ${{{name}:-}} in the blueprint if the app can do without",
                    tenant.slug
                ),
            );
        }
    }
    fields.done()?;
    if used.get(&Delivered::TenantKey) == Some(&Need::Required)
        && delivered_keys::next(read, tenant.id)?.is_none()
    {
        tenant_keys::admit_another(read, tenant)?;
    }
    Ok(())
}

/// Refuses a deploy for whose app the portal has no address.
///
/// # Errors
/// `public_url_missing`.
pub(super) fn admit_address(work: &Work, has_public_url: bool) -> Result<(), AppError> {
    let Work::DeployTenant(deploy) = work else { return Ok(()) };
    let need = deploy.blueprint.delivered().get(&Delivered::PortalUrl).copied();
    if need == Some(Need::Required) && !has_public_url {
        return Err(AppError::conflict(
            "public_url_missing",
            format!(
                "the release uses {}, and this portal is not told its own address",
                Delivered::PortalUrl
            ),
        )
        .advice("set public_url in portal.toml to an address that apps on the hosts reach, restart the portal, and deploy again"));
    }
    Ok(())
}

/// What a job brings, sealed for its agent, and what is to be noted once the job is signed: until then
/// nothing is stored, so that a job that fails before it is handed out leaves no key and no trace of one.
#[derive(Debug)]
pub(super) struct Delivery {
    /// For the job.
    pub sealed: SealedEnv,
    key: Option<AppKey>,
    tenant: TenantRow,
    detail: serde_json::Value,
}

/// The key of a tenant's app.
#[derive(Debug)]
struct AppKey {
    row: TenantKeyRow,
    secret: Secret,
    is_new: bool,
}

/// What a job brings; none when its blueprint asks for nothing that there is. The failure is the job's:
/// trying it again by itself would not help.
pub(super) fn of_job(
    read: &Read<'_>,
    keys: &PortalKeys,
    public_url: Option<&str>,
    agent: &AgentRow,
    job: &JobRow,
) -> Result<Result<Option<Delivery>, Failure>, AppError> {
    let Work::DeployTenant(deploy) = &*job.work else { return Ok(Ok(None)) };
    let used = deploy.blueprint.delivered();
    if used.is_empty() {
        return Ok(Ok(None));
    }
    let tenant = tenants::by_id(read, deploy.tenant)?
        .ok_or_else(|| AppError::not_found("tenant", &deploy.slug))?;
    let (env, key) = match values(read, keys, public_url, &tenant, &used) {
        Ok(found) => found,
        Err(error) if error.kind == Kind::Internal => return Err(error),
        Err(error) => {
            return Ok(Err(Failure::new(FailureClass::Request, error.message, error.advice)));
        }
    };
    if let Err(error) = env.check(&deploy.blueprint) {
        let advice = "give the tenant a license, set public_url in portal.toml, or make the variable optional in the blueprint; then deploy again";
        return Ok(Err(Failure::new(FailureClass::Request, error.to_string(), advice)));
    }
    if env.is_empty() {
        return Ok(Ok(None));
    }
    let context = EnvContext {
        portal: keys.portal(),
        agent: agent.id,
        tenant: deploy.tenant,
        job: job.id,
        attempt: job.attempt,
    };
    let sealed = env
        .seal(&agent.seal_key, context)
        .map_err(|error| AppError::bug("what a job brings was not sealed").because(error))?;
    let names: Vec<_> = env.values().keys().map(|name| name.name()).collect();
    let of_license = env.values().keys().any(|name| name.is_of_license());
    let detail = json!({
        "tenant": tenant.slug, "names": names, "key": key.as_ref().map(|key| key.row.id),
        "license": tenant.license.filter(|_| of_license), "attempt": job.attempt,
    });
    Ok(Ok(Some(Delivery { sealed, key, tenant, detail })))
}

impl Delivery {
    /// Notes that the job that brings it is signed: stores a key that is new, and which job carries it.
    pub(super) fn note(
        mut self,
        tx: &Tx<'_>,
        master: &MasterKey,
        job: &JobRow,
    ) -> Result<(), AppError> {
        if let Some(AppKey { row, secret, is_new }) = &mut self.key {
            if *is_new {
                db_keys::insert(tx, row)?;
                keep(tx, master, row, secret, DEFAULT_ROTATION_HOURS)?;
                tenant_keys::record(tx, MAKER, "tenant_key.create", row.id, &self.tenant, None)?;
            }
            delivered_keys::note_sent(tx, row.id, job.id)?;
        }
        let (actor, object_id, detail) = (&*job.actor, &*job.id.to_string(), self.detail);
        let entry = Entry { actor, action: "job.deliver", object_kind: "job", object_id, detail };
        audit::append(tx, &entry)
    }
}

fn values(
    read: &Read<'_>,
    keys: &PortalKeys,
    public_url: Option<&str>,
    tenant: &TenantRow,
    used: &BTreeMap<Delivered, Need>,
) -> Result<(AppEnv, Option<AppKey>), AppError> {
    let mut env = AppEnv::default();
    let mut found = None;
    for (name, need) in used {
        let value = match name {
            Delivered::PortalUrl => public_url.map(|url| Secret::new(url.to_owned())),
            Delivered::Jwks => Some(Secret::new(licensing::jwks(keys.lease()).to_string())),
            Delivered::LicenseKey | Delivered::OrganizationId => {
                of_license(read, keys.master(), tenant, *name)?
            }
            Delivered::TenantKey => {
                found = key(read, keys.master(), tenant, *need)?;
                found.as_ref().map(|key| key.secret.clone())
            }
        };
        if let Some(value) = value {
            env.set(*name, value);
        }
    }
    Ok((env, found))
}

fn of_license(
    read: &Read<'_>,
    master: &MasterKey,
    tenant: &TenantRow,
    name: Delivered,
) -> Result<Option<Secret>, AppError> {
    let Some(id) = tenant.license else { return Ok(None) };
    let license = licenses::find(read, id)?;
    if name == Delivered::LicenseKey {
        let key = licenses::key_to_deliver(read, master, &license)?;
        let advice =
            "give the tenant another license, and see whether the database was changed by hand";
        return key.map(Some).map_err(|error| does_not_open("license", &error, advice));
    }
    let customer = customers::find(read, license.customer)?;
    Ok(Some(Secret::new(customer.organization_id)))
}

/// One job is refused for it, not the whole poll of its host.
fn does_not_open(whose: &str, error: &KeyError, advice: &str) -> AppError {
    AppError::conflict("key_does_not_open", format!("the {whose}'s key: {error}")).advice(advice)
}

/// The key that a tenant's app is given: the one that it was given last, or a new one. None when the app
/// can do without and the tenant has as many as it may have. However many were made lately, the system makes
/// at most one for each job; and a job that failed for it would not come again.
fn key(
    read: &Read<'_>,
    master: &MasterKey,
    tenant: &TenantRow,
    need: Need,
) -> Result<Option<AppKey>, AppError> {
    if let Some((row, sealed)) = delivered_keys::next(read, tenant.id)? {
        let secret = master.open(&place(&row.id.to_string(), &tenant.id.to_string()), &sealed);
        let advice = format!(
            "revoke it with `freehold tenant key revoke {} {}`, and deploy again",
            tenant.slug, row.id
        );
        let secret = secret.map_err(|error| does_not_open("tenant", &error, &advice))?;
        return Ok(Some(AppKey { row, secret, is_new: false }));
    }
    match tenant_keys::refuse_if_many(read, tenant) {
        Ok(()) => {}
        Err(error) if error.kind == Kind::Conflict && need == Need::Optional => return Ok(None),
        Err(error) => return Err(error),
    }
    let (row, secret) = tenant_keys::draft(read, master, tenant, None, MAKER)?;
    Ok(Some(AppKey { row, secret, is_new: true }))
}

/// Keeps a key that was just made, to be brought by the next deploys.
pub(super) fn keep(
    tx: &Tx<'_>,
    master: &MasterKey,
    key: &mut TenantKeyRow,
    secret: &Secret,
    grace_hours: u32,
) -> Result<(), AppError> {
    let sealed = master.seal(&place(&key.id.to_string(), &key.tenant.to_string()), secret)?;
    key.delivered = true;
    delivered_keys::mark(tx, key.id, &sealed, i64::from(grace_hours) * 3600)
}

/// A deploy is done: the key that it brought is in use, and the grace period of the one before begins. When
/// its release uses none, that of all begins.
///
/// `mark` says which key it was. A job that the host had done before this database was restored is answered
/// from the host's journal, and the key that it brings by now has not arrived: it is for the next deploy.
pub(super) fn arrived(
    tx: &Tx<'_>,
    master: &MasterKey,
    (tenant, job, mark): (TenantId, &JobRow, Option<Sha256Digest>),
    actor: &str,
) -> Result<(), AppError> {
    let Work::DeployTenant(deploy) = &*job.work else { return Ok(()) };
    if !uses_key(&deploy.blueprint) {
        let until = tx.now().plus_secs(i64::from(DEFAULT_ROTATION_HOURS) * 3600);
        let ended = delivered_keys::end_former(tx, tenant, None, until)?;
        if ended == 0 {
            return Ok(());
        }
        let detail = json!({ "keysEndAt": until, "keys": ended, "job": job.id });
        let object_id = &tenant.to_string();
        let action = "tenant_key.unused";
        return audit::append(
            tx,
            &Entry { actor, action, object_kind: "tenant", object_id, detail },
        );
    }
    let Some((key, sealed)) = delivered_keys::on_its_way(tx, tenant, job.id)? else {
        return Ok(());
    };
    let secret = master.open(&place(&key.to_string(), &tenant.to_string()), &sealed);
    if !secret.is_ok_and(|secret| mark == Some(key_mark(job.id, &secret))) {
        tracing::warn!(job = %job.id, %key, "the host has done the job with another key; this one waits for the next deploy");
        return Ok(());
    }
    let grace_secs = delivered_keys::note_arrived(tx, key)?;
    let until = tx.now().plus_secs(grace_secs);
    let former = delivered_keys::end_former(tx, tenant, Some(key), until)?;
    let detail = json!({
        "tenantId": tenant, "job": job.id, "formerEndsAt": (former > 0).then_some(until),
    });
    let object_id = &key.to_string();
    let entry =
        Entry { actor, action: "tenant_key.deliver", object_kind: "tenant_key", object_id, detail };
    audit::append(tx, &entry)
}

/// Whether a release uses the key of the tenant's app.
pub(super) fn uses_key(blueprint: &Blueprint) -> bool {
    blueprint.delivered().contains_key(&Delivered::TenantKey)
}
