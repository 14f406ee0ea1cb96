//! API keys of tenants: made, replaced, revoked.

use freehold_protocol::{
    ids::{JobId, TenantSlug},
    secret::Secret,
    time::Timestamp,
};
use serde_json::json;
use uuid::Uuid;

use super::{app_env, keyed_hash, plans, queue_job::JobRules, redeploy, tenants};
use crate::{
    api::{
        plans::DEFAULT_API_KEYS,
        tenant_keys::{
            DEFAULT_ROTATION_HOURS, MAKING_WINDOW_SECS, MAX_MADE, MAX_ROTATION_HOURS,
            RotateTenantKey,
        },
    },
    db::{
        Read, Tx,
        audit::{self, Entry},
        licenses,
        tenant_keys::{self, TenantKeyRow},
        tenants::TenantRow,
    },
    domain::{entitlement::MAX_API_KEYS, ids::TenantKeyId, tenant::TenantStatus},
    error::{AppError, Kind},
    keys::{MasterKey, mint},
};

/// What every key of a tenant starts with.
pub const PREFIX: &str = "fhl_live";
/// The purpose of the subkey that tenant keys are hashed with.
pub const HASH_PURPOSE: &str = "freehold/v1/tenant-key-hmac";
/// Characters of a key that lists show at its start.
const SHOWN: usize = PREFIX.len() + 5;

/// Where a key stands.
#[must_use]
pub fn state(key: &TenantKeyRow, now: Timestamp) -> &'static str {
    match (key.revoked_at, key.valid_until) {
        (Some(_), _) => "revoked",
        (None, Some(until)) if until <= now => "ended",
        (None, Some(_)) => "replaced",
        (None, None) => "valid",
    }
}

pub(super) fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &str,
    key: TenantKeyId,
    tenant: &TenantRow,
    replaces: Option<TenantKeyId>,
) -> Result<(), AppError> {
    let detail = json!({ "tenant": tenant.slug, "tenantId": tenant.id, "replaces": replaces });
    let object_id = &key.to_string();
    audit::append(tx, &Entry { actor, action, object_kind: "tenant_key", object_id, detail })
}

fn living(read: &Read<'_>, slug: &TenantSlug) -> Result<TenantRow, AppError> {
    let tenant = tenants::find(read, slug)?;
    if tenant.status == TenantStatus::Removed {
        return Err(super::tenant_work::removed(&tenant));
    }
    Ok(tenant)
}

/// The key of a tenant with an identifier.
fn find(read: &Read<'_>, tenant: &TenantRow, id: TenantKeyId) -> Result<TenantKeyRow, AppError> {
    tenant_keys::by_id(read, tenant.id, id)?.ok_or_else(|| AppError::not_found("key", id))
}

/// Most keys that a tenant may have: its license's, or the default without one.
fn most_keys(read: &Read<'_>, tenant: &TenantRow) -> Result<u64, AppError> {
    let Some(license) = licenses::of_tenant(read, tenant.id)? else {
        return Ok(u64::from(DEFAULT_API_KEYS));
    };
    let gives = license.overrides.apply(&plans::entitlement(&plans::find(read, &license.plan)?));
    Ok(gives.limits.get(MAX_API_KEYS).copied().unwrap_or(u64::from(DEFAULT_API_KEYS)))
}

/// Refuses a tenant for which many keys were made lately: somebody's script is out of hand.
fn refuse_haste(read: &Read<'_>, tenant: &TenantRow) -> Result<(), AppError> {
    let since = read.now().plus_secs(-MAKING_WINDOW_SECS);
    let made = tenant_keys::made_since(read, tenant.id, since)?;
    if made.len() < MAX_MADE as usize {
        return Ok(());
    }
    let oldest = made[made.len() - MAX_MADE as usize];
    let secs = oldest.plus_secs(MAKING_WINDOW_SECS).millis_since(read.now()) / 1000 + 1;
    let retry_after_secs = u32::try_from(secs).unwrap_or(1);
    Err(AppError::new(
        Kind::TooMany { retry_after_secs },
        "too_many_keys_made",
        format!("{} keys of the tenant {} were made within an hour", made.len(), tenant.slug),
    )
    .advice("see what makes them; `freehold tenant key list` says who"))
}

/// Refuses another key for a tenant that has as many as it may have.
pub(super) fn refuse_if_many(read: &Read<'_>, tenant: &TenantRow) -> Result<(), AppError> {
    let (there, most) = (tenant_keys::count_valid(read, tenant.id)?, most_keys(read, tenant)?);
    if u64::from(there) >= most {
        return Err(AppError::conflict(
            "too_many_keys",
            format!("the tenant {} has {there} keys, which is the most it may have", tenant.slug),
        )
        .advice("rotate or revoke one instead, or raise maxApiKeys of its plan or license"));
    }
    Ok(())
}

/// The same, and for which many were made lately.
pub(super) fn admit_another(read: &Read<'_>, tenant: &TenantRow) -> Result<(), AppError> {
    refuse_if_many(read, tenant)?;
    refuse_haste(read, tenant)
}

fn make(
    tx: &Tx<'_>,
    master: &MasterKey,
    tenant: &TenantRow,
    replaces: Option<TenantKeyId>,
    actor: &str,
) -> Result<(TenantKeyRow, Secret), AppError> {
    let (key, secret) = draft(tx, master, tenant, replaces, actor)?;
    tenant_keys::insert(tx, &key)?;
    Ok((key, secret))
}

/// A key that is not stored yet.
pub(super) fn draft(
    read: &Read<'_>,
    master: &MasterKey,
    tenant: &TenantRow,
    replaces: Option<TenantKeyId>,
    actor: &str,
) -> Result<(TenantKeyRow, Secret), AppError> {
    let secret = mint::token(PREFIX)?;
    let text = secret.expose();
    let hash = keyed_hash::Keyed::new(master, HASH_PURPOSE).hash(text.as_bytes());
    let key = TenantKeyRow {
        id: TenantKeyId::from_uuid(Uuid::now_v7()),
        tenant: tenant.id,
        hash: keyed_hash::hex(&hash),
        prefix: text.chars().take(SHOWN).collect(),
        last4: text[text.len() - 4..].to_owned(),
        replaces,
        created_by: actor.to_owned(),
        created_at: read.now(),
        valid_until: None,
        last_used_at: None,
        revoked_at: None,
        delivered: false,
        delivered_at: None,
    };
    Ok((key, secret))
}

/// Somebody wants another key for a tenant.
#[derive(Debug)]
pub struct CreateTenantKey {
    /// Whose.
    pub slug: TenantSlug,
    /// Who asks.
    pub actor: String,
}

impl CreateTenantKey {
    /// Makes it. The secret is not stored anywhere.
    ///
    /// # Errors
    /// `too_many_keys`, or 429 when many were made lately.
    pub fn apply(
        self,
        tx: &Tx<'_>,
        master: &MasterKey,
    ) -> Result<(TenantKeyRow, Secret), AppError> {
        let tenant = living(tx, &self.slug)?;
        admit_another(tx, &tenant)?;
        let (key, secret) = make(tx, master, &tenant, None, &self.actor)?;
        record(tx, &self.actor, "tenant_key.create", key.id, &tenant, None)?;
        Ok((key, secret))
    }
}

/// Somebody wants a key replaced.
#[derive(Debug)]
pub struct RotateKey {
    /// Whose.
    pub slug: TenantSlug,
    /// Which.
    pub id: TenantKeyId,
    /// As it was written.
    pub request: RotateTenantKey,
    /// Who asks.
    pub actor: String,
    /// How the job that brings the new key is queued.
    pub rules: JobRules,
}

/// A key that was made in another one's place.
#[derive(Debug)]
pub enum Rotated {
    /// Its secret is for whoever asked.
    Shown(TenantKeyRow, Secret),
    /// A job brings it to the tenant.
    Delivered(TenantKeyRow, JobId),
}

impl RotateKey {
    /// Makes the new one; the old one stays good for the grace period. A key that the old one had
    /// replaced ends at once, so that at most two are good in one's place.
    ///
    /// # Errors
    /// Wrong fields; a key that is revoked or replaced already; 429 when many were made lately.
    pub fn apply(self, tx: &Tx<'_>, master: &MasterKey) -> Result<Rotated, AppError> {
        let hours = self.request.grace_hours.unwrap_or(DEFAULT_ROTATION_HOURS);
        if hours > MAX_ROTATION_HOURS {
            return Err(AppError::invalid(
                "/graceHours",
                format!("use 0 to {MAX_ROTATION_HOURS} hours"),
            ));
        }
        let tenant = living(tx, &self.slug)?;
        let old = find(tx, &tenant, self.id)?;
        if old.revoked_at.is_some() || old.valid_until.is_some() {
            return Err(AppError::conflict(
                "key_not_valid",
                format!("the key {} is {} already", old.id, state(&old, tx.now())),
            )
            .advice("rotate the key that has replaced it, or make a new one"));
        }
        refuse_haste(tx, &tenant)?;
        if old.delivered {
            return self.deliver(tx, master, &tenant, &old, hours);
        }
        if let Some(before) = old.replaces {
            tenant_keys::end_replaced(tx, before)?;
        }
        tenant_keys::replace(tx, old.id, tx.now().plus_secs(i64::from(hours) * 3600))?;
        let (key, secret) = make(tx, master, &tenant, Some(old.id), &self.actor)?;
        record(tx, &self.actor, "tenant_key.rotate", key.id, &tenant, Some(old.id))?;
        Ok(Rotated::Shown(key, secret))
    }

    /// The same for a key that the tenant's app has got with a deploy: a job brings the new one, and
    /// the old one stays good until that is done, and for the grace period from then on.
    fn deliver(
        self,
        tx: &Tx<'_>,
        master: &MasterKey,
        tenant: &TenantRow,
        old: &TenantKeyRow,
        grace_hours: u32,
    ) -> Result<Rotated, AppError> {
        let slug = &tenant.slug;
        let running = redeploy::running(tx, tenant)?;
        if running.as_ref().is_some_and(|deploy| !app_env::uses_key(&deploy.blueprint)) {
            return Err(AppError::conflict(
                "key_not_used",
                format!("the release that {slug} runs uses no key, so that no deploy of it would bring one"),
            )
            .advice(format!(
                "revoke it with `freehold tenant key revoke {slug} {}`, or deploy a release that uses ${{FREEHOLD_TENANT_KEY}}",
                old.id
            )));
        }
        let pending = match old.delivered_at {
            Some(_) => tenant_keys::successor(tx, old)?,
            None => Some(old.id),
        };
        if let Some(pending) = pending {
            return Err(AppError::conflict(
                "key_not_delivered",
                format!("the key {pending} waits for a deploy that brings it to the tenant"),
            )
            .advice(format!("bring it with `freehold tenant deploy {slug}`, or revoke it first")));
        }
        // All of it is one transaction: a deploy that is refused leaves no key behind.
        let (mut key, secret) = make(tx, master, tenant, Some(old.id), &self.actor)?;
        app_env::keep(tx, master, &mut key, &secret, grace_hours)?;
        record(tx, &self.actor, "tenant_key.rotate", key.id, tenant, Some(old.id))?;
        let job = redeploy::redeploy(tx, tenant, running, self.actor, self.rules)?;
        Ok(Rotated::Delivered(key, job))
    }
}

/// Somebody wants a key to end.
#[derive(Debug)]
pub struct RevokeTenantKey {
    /// Whose.
    pub slug: TenantSlug,
    /// Which.
    pub id: TenantKeyId,
    /// Who asks.
    pub actor: String,
}

impl RevokeTenantKey {
    /// Revokes it. Revoking a revoked key changes nothing.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let tenant = tenants::find(tx, &self.slug)?;
        let key = find(tx, &tenant, self.id)?;
        if key.revoked_at.is_some() {
            return Ok(());
        }
        tenant_keys::revoke(tx, key.id)?;
        record(tx, &self.actor, "tenant_key.revoke", key.id, &tenant, None)
    }
}
