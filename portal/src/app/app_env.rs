//! What a deploy brings for the tenant's app: the variables that its blueprint uses and the portal
//! delivers. Whether there will be values is seen when the deploy is asked for; the values themselves
//! are put together when the job is handed to its agent, sealed for that agent, job and attempt.
//!
//! The API key in it is made by the first deploy that needs one and stays, sealed under the master key,
//! so that every later deploy brings the same. A rotation makes the next one: the next deploy brings that,
//! and only when an agent reports that it is in use does the grace period of the one before begin. A host
//! that is away for a week, or a deploy that is undone, leaves the app with a key that is good.

use freehold_protocol::{
    app_env::{AppEnv, EnvContext, SealedEnv},
    blueprint::{
        Blueprint,
        delivered::{Delivered, Need},
    },
    failure::{Failure, FailureClass},
    ids::{JobId, TenantId},
    job::{DeployTenant, Work},
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
        tenant_keys::TenantKeyRow,
        tenants::{self, TenantRow},
    },
    domain::ids::TenantKeyId,
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
    if used.contains_key(&Delivered::TenantKey) && delivered_keys::next(read, tenant.id)?.is_none()
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

/// What a job brings, sealed for its agent; none when its blueprint asks for nothing that there is. The
/// failure is the job's: trying it again by itself would not help.
pub(super) fn of_job(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    public_url: Option<&str>,
    agent: &AgentRow,
    job: &JobRow,
) -> Result<Result<Option<SealedEnv>, Failure>, AppError> {
    let Work::DeployTenant(deploy) = &job.work else { return Ok(Ok(None)) };
    if deploy.blueprint.delivered().is_empty() {
        return Ok(Ok(None));
    }
    let env = match values(tx, keys, public_url, job, deploy) {
        Ok(env) => env,
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
    Ok(Ok(Some(sealed)))
}

fn values(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    public_url: Option<&str>,
    job: &JobRow,
    deploy: &DeployTenant,
) -> Result<AppEnv, AppError> {
    let used = deploy.blueprint.delivered();
    let tenant = tenants::by_id(tx, deploy.tenant)?
        .ok_or_else(|| AppError::not_found("tenant", &deploy.slug))?;
    let mut env = AppEnv::default();
    let mut key_id = None;
    for name in used.keys().copied() {
        let value = match name {
            Delivered::PortalUrl => public_url.map(|url| Secret::new(url.to_owned())),
            Delivered::Jwks => Some(Secret::new(licensing::jwks(keys.lease()).to_string())),
            Delivered::LicenseKey | Delivered::OrganizationId => {
                of_license(tx, keys.master(), &tenant, name)?
            }
            Delivered::TenantKey => {
                let (id, secret) = key(tx, keys.master(), &tenant)?;
                delivered_keys::note_sent(tx, id, job.id)?;
                key_id = Some(id);
                Some(secret)
            }
        };
        if let Some(value) = value {
            env.set(name, value);
        }
    }
    let names: Vec<_> = env.values().keys().map(|name| name.name()).collect();
    let detail = json!({
        "tenant": tenant.slug, "names": names, "key": key_id,
        "license": tenant.license.filter(|_| used.keys().any(|name| name.is_of_license())),
        "attempt": job.attempt,
    });
    let object_id = &job.id.to_string();
    let entry =
        Entry { actor: &job.actor, action: "job.deliver", object_kind: "job", object_id, detail };
    audit::append(tx, &entry)?;
    Ok(env)
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

/// The key that a tenant's app is given: the one that it was given last, or a new one.
fn key(
    tx: &Tx<'_>,
    master: &MasterKey,
    tenant: &TenantRow,
) -> Result<(TenantKeyId, Secret), AppError> {
    if let Some((key, sealed)) = delivered_keys::next(tx, tenant.id)? {
        let secret = master.open(&place(&key.id.to_string(), &tenant.id.to_string()), &sealed);
        let advice = format!(
            "revoke it with `freehold tenant key revoke {} {}`, and deploy again",
            tenant.slug, key.id
        );
        let secret = secret.map_err(|error| does_not_open("tenant", &error, &advice))?;
        return Ok((key.id, secret));
    }
    tenant_keys::admit_another(tx, tenant)?;
    let (mut key, secret) = tenant_keys::make(tx, master, tenant, None, MAKER)?;
    keep(tx, master, &mut key, &secret, DEFAULT_ROTATION_HOURS)?;
    tenant_keys::record(tx, MAKER, "tenant_key.create", key.id, tenant, None)?;
    Ok((key.id, secret))
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

/// A deploy is done: the key that it brought is in use, and the grace period of the one before begins.
pub(super) fn arrived(
    tx: &Tx<'_>,
    tenant: TenantId,
    job: JobId,
    actor: &str,
) -> Result<(), AppError> {
    let Some((key, grace_secs)) = delivered_keys::note_arrived(tx, tenant, job)? else {
        return Ok(());
    };
    let until = tx.now().plus_secs(grace_secs);
    let former = delivered_keys::end_former(tx, tenant, key, until)?;
    let detail = json!({
        "tenantId": tenant, "job": job, "formerEndsAt": (former > 0).then_some(until),
    });
    let object_id = &key.to_string();
    let entry =
        Entry { actor, action: "tenant_key.deliver", object_kind: "tenant_key", object_id, detail };
    audit::append(tx, &entry)
}
