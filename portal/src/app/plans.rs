//! What admins want of plans.

use freehold_protocol::ids::BlueprintName;
use serde_json::{Value, json};

use super::{
    changed::Changed,
    check_generation,
    entitlement_input::{limit, list, map, names, plan_limits, refuse_own_limits},
    tenant_input::{Fields, given},
};
use crate::{
    api::plans::{self as wire, DEFAULT_API_KEYS, MAX_API_KEYS, MAX_PLAN_USERS, MAX_QUOTA},
    db::{
        Read, Tx,
        audit::{self, Entry},
        plans::{self, PlanRow, Quotas},
    },
    domain::{
        entitlement::{self, Entitlement, MAX_NAMES},
        license::{ExpiryRule, ExpiryStrategy, MAX_GRACE_DAYS},
    },
    error::AppError,
};

/// The plan with a name.
///
/// # Errors
/// When there is none.
pub fn find(read: &Read<'_>, name: &BlueprintName) -> Result<PlanRow, AppError> {
    plans::by_name(read, name)?.ok_or_else(|| AppError::not_found("plan", name))
}

/// What a plan gives, its two limits of their own counted in.
#[must_use]
pub fn entitlement(plan: &PlanRow) -> Entitlement {
    let mut gives = plan.gives.clone();
    let mut add = |name: &str, value: u32| {
        if let Ok(name) = name.parse() {
            gives.limits.insert(name, u64::from(value));
        }
    };
    add(entitlement::MAX_API_KEYS, plan.max_api_keys);
    if let Some(users) = plan.max_users {
        add(entitlement::MAX_USERS, users);
    }
    gives
}

fn summary(plan: &PlanRow) -> Value {
    json!({
        "title": plan.title,
        "products": list(&plan.gives.products),
        "features": list(&plan.gives.features),
        "limits": map(&plan.gives.limits),
        "maxUsers": plan.max_users,
        "maxApiKeys": plan.max_api_keys,
        "memoryMb": plan.quotas.memory_mb,
        "cpuMillis": plan.quotas.cpu_millis,
        "diskGb": plan.quotas.disk_gb,
        "expiryStrategy": plan.expiry.strategy.as_str(),
        "graceDays": plan.expiry.grace_days,
        "archived": plan.archived_at.is_some(),
    })
}

fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &str,
    plan: &PlanRow,
    detail: Value,
) -> Result<(), AppError> {
    let object_id = plan.name.as_str();
    audit::append(tx, &Entry { actor, action, object_kind: "plan", object_id, detail })
}

fn at_least_one_product(fields: &mut Fields, gives: &Entitlement) {
    if gives.products.is_empty() {
        fields.refuse("/products", "name at least one product: leases are made out to products");
    }
}

fn expiry(fields: &mut Fields, strategy: &str, grace_days: Option<u32>) -> ExpiryRule {
    let known = strategy.parse::<ExpiryStrategy>();
    if let Err(why) = &known {
        fields.refuse("/expiryStrategy", why.clone());
    }
    let strategy = known.unwrap_or(ExpiryStrategy::Restrict);
    match (strategy, grace_days) {
        (ExpiryStrategy::Grace, Some(days)) if (1..=MAX_GRACE_DAYS).contains(&days) => {}
        (ExpiryStrategy::Grace, _) => {
            fields.refuse("/graceDays", format!("with grace, use 1 to {MAX_GRACE_DAYS} days"));
        }
        (_, None | Some(0)) => {}
        (_, Some(_)) => fields.refuse("/graceDays", "leave it out unless expiryStrategy is grace"),
    }
    ExpiryRule { strategy, grace_days: grace_days.unwrap_or(0) }
}

fn bounded(fields: &mut Fields, pointer: &str, value: Option<u32>, least: u32, most: u32) {
    if value.is_some_and(|value| !(least..=most).contains(&value)) {
        fields.refuse(pointer, format!("use {least} to {most}"));
    }
}

/// Somebody wants a new plan.
#[derive(Debug)]
pub struct CreatePlan {
    /// As it was written.
    pub request: wire::CreatePlan,
    /// Who asks.
    pub actor: String,
}

impl CreatePlan {
    /// Writes it down.
    ///
    /// # Errors
    /// Every wrong field at once, or a taken name.
    pub fn apply(self, tx: &Tx<'_>) -> Result<PlanRow, AppError> {
        let request = self.request;
        let mut fields = Fields::default();
        let name = fields.parse::<BlueprintName>("/name", &request.name);
        let title = request.title.unwrap_or_else(|| request.name.clone());
        if name.is_some() {
            fields.person_text("/title", &title);
        }
        let gives = Entitlement {
            products: names(&mut fields, "/products", &request.products),
            features: names(&mut fields, "/features", &request.features),
            limits: plan_limits(&mut fields, &request.limits),
        };
        if request.products.is_empty() {
            at_least_one_product(&mut fields, &gives);
        }
        let expiry = expiry(&mut fields, &request.expiry_strategy, request.grace_days);
        bounded(&mut fields, "/maxUsers", request.max_users, 1, MAX_PLAN_USERS);
        bounded(&mut fields, "/maxApiKeys", request.max_api_keys, 1, MAX_API_KEYS);
        let quotas = request.quotas;
        for (pointer, value) in [
            ("/quotas/memoryMb", quotas.memory_mb),
            ("/quotas/cpuMillis", quotas.cpu_millis),
            ("/quotas/diskGb", quotas.disk_gb),
        ] {
            bounded(&mut fields, pointer, value, 1, MAX_QUOTA);
        }
        fields.done()?;
        let name = given(name)?;
        let plan = PlanRow {
            name: name.clone(),
            title,
            gives,
            max_users: request.max_users,
            max_api_keys: request.max_api_keys.unwrap_or(DEFAULT_API_KEYS),
            quotas: Quotas {
                memory_mb: quotas.memory_mb,
                cpu_millis: quotas.cpu_millis,
                disk_gb: quotas.disk_gb,
            },
            expiry,
            archived_at: None,
            licenses: 0,
            generation: 1,
            created_by: self.actor.clone(),
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        plans::insert(tx, &plan)?;
        record(tx, &self.actor, "plan.create", &plan, summary(&plan))?;
        Ok(plan)
    }
}

/// Somebody wants a plan changed, and with it every license of it.
#[derive(Debug)]
pub struct UpdatePlan {
    /// Which.
    pub name: BlueprintName,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: wire::UpdatePlan,
    /// Who asks.
    pub actor: String,
}

impl UpdatePlan {
    /// Changes it.
    ///
    /// # Errors
    /// Wrong fields, or 412.
    pub fn apply(self, tx: &Tx<'_>) -> Result<PlanRow, AppError> {
        let mut plan = find(tx, &self.name)?;
        check_generation(self.generation, plan.generation)?;
        let before = summary(&plan);
        let request = self.request;
        let mut fields = Fields::default();
        if let Some(title) = request.title {
            fields.person_text("/title", &title);
            plan.title = title;
        }
        if let Some(products) = &request.products {
            plan.gives.products = names(&mut fields, "/products", products);
            if products.is_empty() {
                at_least_one_product(&mut fields, &plan.gives);
            }
        }
        if let Some(features) = &request.features {
            plan.gives.features = names(&mut fields, "/features", features);
        }
        for (name, value) in &request.limits {
            match value {
                Some(value) => {
                    plan.gives.limits.extend(limit(&mut fields, "/limits", name, *value));
                }
                None => {
                    plan.gives.limits.remove(name.as_str());
                }
            }
        }
        refuse_own_limits(&mut fields, &plan.gives.limits);
        if plan.gives.limits.len() > MAX_NAMES {
            fields.refuse("/limits", format!("a plan has at most {MAX_NAMES} limits"));
        }
        if request.expiry_strategy.is_some() || request.grace_days.is_some() {
            let strategy =
                request.expiry_strategy.as_deref().unwrap_or(plan.expiry.strategy.as_str());
            // Days that are not named stay only where they mean something.
            let kept = (strategy == ExpiryStrategy::Grace.as_str() && plan.expiry.grace_days > 0)
                .then_some(plan.expiry.grace_days);
            plan.expiry = expiry(&mut fields, strategy, request.grace_days.or(kept));
        }
        bounded(&mut fields, "/maxUsers", request.max_users, 0, MAX_PLAN_USERS);
        bounded(&mut fields, "/maxApiKeys", request.max_api_keys, 1, MAX_API_KEYS);
        let quotas = &mut plan.quotas;
        for (pointer, value, bound) in [
            ("/memoryMb", request.memory_mb, &mut quotas.memory_mb),
            ("/cpuMillis", request.cpu_millis, &mut quotas.cpu_millis),
            ("/diskGb", request.disk_gb, &mut quotas.disk_gb),
        ] {
            bounded(&mut fields, pointer, value, 0, MAX_QUOTA);
            if let Some(value) = value {
                *bound = (value > 0).then_some(value);
            }
        }
        fields.done()?;
        if let Some(users) = request.max_users {
            plan.max_users = (users > 0).then_some(users);
        }
        plan.max_api_keys = request.max_api_keys.unwrap_or(plan.max_api_keys);
        plans::update(tx, &plan)?;
        let changed = Changed::between(&before, &summary(&plan));
        record(tx, &self.actor, "plan.update", &plan, changed.detail())?;
        find(tx, &self.name)
    }
}

/// Whether a plan takes new licenses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archiving {
    /// It takes no more.
    Archive,
    /// It takes them again.
    Unarchive,
}

/// Somebody wants a plan archived, or no longer.
#[derive(Debug)]
pub struct SetArchived {
    /// Which.
    pub name: BlueprintName,
    /// Which way.
    pub to: Archiving,
    /// Who asks.
    pub actor: String,
}

impl SetArchived {
    /// Does it. Repeating it changes nothing.
    ///
    /// # Errors
    /// When there is no such plan.
    pub fn apply(self, tx: &Tx<'_>) -> Result<PlanRow, AppError> {
        let mut plan = find(tx, &self.name)?;
        let (archived_at, action) = match self.to {
            Archiving::Archive => (Some(tx.now()), "plan.archive"),
            Archiving::Unarchive => (None, "plan.unarchive"),
        };
        if plan.archived_at.is_some() == archived_at.is_some() {
            return Ok(plan);
        }
        let before = summary(&plan);
        plan.archived_at = archived_at;
        plans::update(tx, &plan)?;
        let changed = Changed::between(&before, &summary(&plan));
        record(tx, &self.actor, action, &plan, changed.detail())?;
        find(tx, &self.name)
    }
}

/// Somebody wants a plan gone that was never used.
#[derive(Debug)]
pub struct DeletePlan {
    /// Which.
    pub name: BlueprintName,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// Who asks.
    pub actor: String,
}

impl DeletePlan {
    /// Deletes it.
    ///
    /// # Errors
    /// 412, or `plan_in_use`.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let plan = find(tx, &self.name)?;
        check_generation(self.generation, plan.generation)?;
        if plan.licenses > 0 {
            return Err(AppError::conflict(
                "plan_in_use",
                format!("the plan {} has {} licenses", plan.name, plan.licenses),
            )
            .advice(format!(
                "archive it instead with `freehold plan archive {}`: it takes no new licenses then",
                plan.name
            )));
        }
        plans::delete(tx, &plan.name)?;
        record(tx, &self.actor, "plan.delete", &plan, summary(&plan))
    }
}
