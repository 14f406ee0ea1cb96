//! What admins want of licenses themselves: make, change, see the key. Their status is in
//! `license_status.rs`.

use freehold_protocol::{ids::BlueprintName, secret::Secret, time::Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{
    changed::Changed,
    check_generation, customers,
    entitlement_input::{list, map, overrides, written},
    keyed_hash, plans,
    tenant_input::{Fields, given},
};
use crate::{
    api::licenses::{self as wire, MAX_EXPIRES_AT},
    db::{
        Read, Tx,
        audit::{self, Entry},
        licenses::{self, LicenseRow},
        plans::PlanRow,
    },
    domain::{
        entitlement::{Entitlement, MAX_NAMES, Overrides},
        ids::{CustomerId, LicenseId},
        license::LicenseStatus,
        license_key::LicenseKey,
    },
    error::AppError,
    keys::{KeyError, MasterKey, Place, mint},
};

/// The purpose of the subkey that license keys are hashed with.
pub const HASH_PURPOSE: &str = "freehold/v1/license-key-hmac";

/// The license with an identifier.
///
/// # Errors
/// When there is none.
pub fn find(read: &Read<'_>, id: LicenseId) -> Result<LicenseRow, AppError> {
    licenses::by_id(read, id)?.ok_or_else(|| AppError::not_found("license", id))
}

pub(super) fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &str,
    license: &LicenseRow,
    detail: serde_json::Value,
) -> Result<(), AppError> {
    let object_id = &license.id.to_string();
    audit::append(tx, &Entry { actor, action, object_kind: "license", object_id, detail })
}

fn place(row: &str) -> Place<'_> {
    Place { table: "licenses", column: "key_sealed", row, tenant: "", version: 1 }
}

/// The end that a request names.
pub(super) fn end(fields: &mut Fields, written: Option<i64>, now: Timestamp) -> Option<Timestamp> {
    let at = written?;
    if at > MAX_EXPIRES_AT || at <= now.as_millis() {
        fields.refuse(
            "/expiresAt",
            "use a time in the future, in milliseconds since 1970, or leave it out for a license without end",
        );
    }
    Some(Timestamp::from_millis(at))
}

fn check_whole(gives: &Entitlement) -> Result<(), AppError> {
    if gives.products.is_empty() {
        return Err(AppError::invalid(
            "/overrides/productsRemoved",
            "a license needs at least one product: leases are made out to products",
        ));
    }
    if gives.products.len().max(gives.features.len()).max(gives.limits.len()) > MAX_NAMES {
        return Err(AppError::invalid(
            "/overrides",
            format!(
                "with the plan's, these are more than {MAX_NAMES} products, features or limits"
            ),
        ));
    }
    Ok(())
}

fn plan_for(read: &Read<'_>, name: &BlueprintName) -> Result<PlanRow, AppError> {
    match plans::find(read, name) {
        Ok(plan) if plan.archived_at.is_some() => Err(AppError::invalid(
            "/plan",
            format!(
                "the plan {name} is archived and takes no more licenses; `freehold plan unarchive {name}` changes that"
            ),
        )),
        Ok(plan) => Ok(plan),
        Err(error) if error.code == "not_found" => Err(AppError::invalid(
            "/plan",
            format!("there is no plan {name}; `freehold plan list` shows all"),
        )),
        Err(error) => Err(error),
    }
}

fn summary(plan: &PlanRow, overrides: &Overrides) -> serde_json::Value {
    let gives = overrides.apply(&plans::entitlement(plan));
    json!({
        "products": list(&gives.products),
        "features": list(&gives.features),
        "limits": map(&gives.limits),
    })
}

fn state(license: &LicenseRow, plan: &PlanRow) -> serde_json::Value {
    json!({
        "plan": license.plan,
        "overrides": written(&license.overrides),
        "gives": summary(plan, &license.overrides),
    })
}

/// Somebody wants a new license.
#[derive(Debug)]
pub struct CreateLicense {
    /// As it was written.
    pub request: wire::CreateLicense,
    /// Who asks.
    pub actor: String,
}

impl CreateLicense {
    /// Makes it and its key.
    ///
    /// # Errors
    /// Every wrong field at once; an unknown customer; an unknown or archived plan.
    pub fn apply(
        self,
        tx: &Tx<'_>,
        master: &MasterKey,
    ) -> Result<(LicenseRow, LicenseKey), AppError> {
        let mut fields = Fields::default();
        let customer = fields.parse::<CustomerId>("/customer", &self.request.customer);
        let plan = fields.parse::<BlueprintName>("/plan", &self.request.plan);
        let overrides = overrides(&mut fields, &self.request.overrides);
        let expires_at = end(&mut fields, self.request.expires_at, tx.now());
        fields.done()?;
        let (customer, plan) = (given(customer)?, given(plan)?);
        let customer = customers::find(tx, customer).map_err(|error| match error.code {
            "not_found" => AppError::invalid(
                "/customer",
                format!("there is no customer {customer}; `freehold customer list` shows all"),
            ),
            _ => error,
        })?;
        let plan = plan_for(tx, &plan)?;
        check_whole(&overrides.apply(&plans::entitlement(&plan)))?;
        let key = LicenseKey::from_random(&mint::random()?);
        let id = LicenseId::from_uuid(Uuid::now_v7());
        let license = LicenseRow {
            id,
            customer: customer.id,
            customer_name: customer.name,
            plan: plan.name.clone(),
            key_hint: key.hint(),
            overrides,
            status: LicenseStatus::PendingDeployment,
            status_at: tx.now(),
            status_reason: String::new(),
            expires_at,
            activated_at: None,
            last_validated_at: None,
            generation: 1,
            created_by: self.actor.clone(),
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        let hash =
            keyed_hash::hex(&keyed_hash::Keyed::new(master, HASH_PURPOSE).hash(key.as_bytes()));
        let row = id.to_string();
        let sealed = master.seal(&place(&row), &Secret::new(key.to_text()))?;
        licenses::insert(tx, &license, &hash, &sealed)?;
        let detail = json!({
            "customer": license.customer,
            "plan": license.plan,
            "key": license.key_hint,
            "expiresAt": license.expires_at,
            "gives": summary(&plan, &license.overrides),
        });
        record(tx, &self.actor, "license.create", &license, detail)?;
        Ok((license, key))
    }
}

/// Somebody wants a license to entitle to something else.
#[derive(Debug)]
pub struct UpdateLicense {
    /// Which.
    pub id: LicenseId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: wire::UpdateLicense,
    /// Who asks.
    pub actor: String,
}

impl UpdateLicense {
    /// Changes it.
    ///
    /// # Errors
    /// Wrong fields, 412, an unknown or archived plan, a revoked license.
    pub fn apply(self, tx: &Tx<'_>) -> Result<LicenseRow, AppError> {
        let mut license = find(tx, self.id)?;
        check_generation(self.generation, license.generation)?;
        let before = state(&license, &plans::find(tx, &license.plan)?);
        if license.status == LicenseStatus::Revoked {
            return Err(revoked(&license));
        }
        let mut fields = Fields::default();
        let plan = fields.parse_optional::<BlueprintName>("/plan", self.request.plan.as_deref());
        if let Some(written) = &self.request.overrides {
            license.overrides = overrides(&mut fields, written);
        }
        fields.done()?;
        let plan = match plan {
            // A license may stay in a plan that was archived.
            Some(name) if name != license.plan => plan_for(tx, &name)?,
            _ => plans::find(tx, &license.plan)?,
        };
        check_whole(&license.overrides.apply(&plans::entitlement(&plan)))?;
        license.plan = plan.name.clone();
        licenses::update(tx, &license, license.status)?;
        let changed = Changed::between(&before, &state(&license, &plan));
        record(tx, &self.actor, "license.update", &license, changed.detail())?;
        find(tx, self.id)
    }
}

pub(super) fn revoked(license: &LicenseRow) -> AppError {
    AppError::conflict("license_revoked", format!("the license {} is revoked for good", license.id))
        .advice("make a new license with `freehold license add`")
}

/// A license's key, for a job that brings it to the license's tenant.
pub(super) fn key_to_deliver(
    read: &Read<'_>,
    master: &MasterKey,
    license: &LicenseRow,
) -> Result<Result<Secret, KeyError>, AppError> {
    let sealed = licenses::sealed_key(read, license.id)?
        .ok_or_else(|| AppError::not_found("license", license.id))?;
    Ok(master.open(&place(&license.id.to_string()), &sealed))
}

/// An owner wants to see a license's key again.
#[derive(Debug)]
pub struct RevealKey {
    /// Which.
    pub id: LicenseId,
    /// Who asks.
    pub actor: String,
}

impl RevealKey {
    /// Opens it and notes who has seen it.
    ///
    /// # Errors
    /// When there is no such license, or the key does not open.
    pub fn apply(self, tx: &Tx<'_>, master: &MasterKey) -> Result<Secret, AppError> {
        let license = find(tx, self.id)?;
        let sealed = licenses::sealed_key(tx, self.id)?
            .ok_or_else(|| AppError::not_found("license", self.id))?;
        let key = master.open(&place(&license.id.to_string()), &sealed)?;
        record(tx, &self.actor, "license.key_shown", &license, json!({ "key": license.key_hint }))?;
        Ok(key)
    }
}
