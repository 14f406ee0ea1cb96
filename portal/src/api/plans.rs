//! Plans: what licenses entitle to.

use std::collections::BTreeMap;

use freehold_protocol::{ids::BlueprintName, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::license::MAX_GRACE_DAYS;

/// Most API keys that a plan may allow a tenant.
pub const MAX_API_KEYS: u32 = 100;
/// API keys of a tenant whose plan does not say, or that has no license.
pub const DEFAULT_API_KEYS: u32 = 5;
/// Largest number of users that a plan may name.
pub const MAX_PLAN_USERS: u32 = 10_000_000;

/// Most that a plan may allow of memory, processors or disk, each in its unit.
pub const MAX_QUOTA: u32 = i32::MAX.cast_unsigned();

/// What the tenants of a plan may want of their hosts. What is absent is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quotas {
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_QUOTA))]
    pub memory_mb: Option<u32>,
    /// Thousandths of a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_QUOTA))]
    pub cpu_millis: Option<u32>,
    /// Disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_QUOTA))]
    pub disk_gb: Option<u32>,
}

/// `POST /plans`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "expiryStrategy": { "const": "grace" } } },
    "then" = { "required": ["graceDays"], "properties": { "graceDays": { "type": "integer", "minimum": 1 } } },
    "else" = { "properties": { "graceDays": { "type": "null" } } },
))]
pub struct CreatePlan {
    /// Its short name, spelled like a blueprint's; apps see it as the license's tier. It can never
    /// be changed.
    #[schemars(with = "BlueprintName")]
    pub name: String,
    /// Its name as people write it; the short name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub title: Option<String>,
    /// Products; at least one.
    #[schemars(with = "super::schema::Products")]
    pub products: Vec<String>,
    /// Features.
    #[serde(default)]
    #[schemars(with = "super::schema::Names")]
    pub features: Vec<String>,
    /// Limits by name, besides `maxUsers` and `maxApiKeys`.
    #[serde(default)]
    #[schemars(with = "super::schema::Limits")]
    pub limits: BTreeMap<String, u64>,
    /// Most users; not limited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_PLAN_USERS))]
    pub max_users: Option<u32>,
    /// Most API keys of a tenant; [`DEFAULT_API_KEYS`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_API_KEYS))]
    pub max_api_keys: Option<u32>,
    /// What its tenants may want of their hosts.
    #[serde(default, deserialize_with = "super::object")]
    pub quotas: Quotas,
    /// `restrict`, `grace` or `allow`: what happens when a license's time is over.
    #[schemars(with = "super::schema::ExpiryStrategyWord")]
    pub expiry_strategy: String,
    /// With `grace`: for how many days it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = MAX_GRACE_DAYS))]
    pub grace_days: Option<u32>,
}

/// `PATCH /plans/{name}`: only what is given changes, for every license of the plan at once. Lists
/// replace what was there.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatePlan {
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub title: Option<String>,
    /// The products from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::Products>")]
    pub products: Option<Vec<String>>,
    /// The features from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::Names>")]
    pub features: Option<Vec<String>>,
    /// Limits to set; `null` takes one away. Others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "super::schema::LimitChanges")]
    pub limits: BTreeMap<String, Option<u64>>,
    /// Most users; 0 takes the limit away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_PLAN_USERS))]
    pub max_users: Option<u32>,
    /// Most API keys of a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_API_KEYS))]
    pub max_api_keys: Option<u32>,
    /// Memory in MiB; 0 takes the bound away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = MAX_QUOTA))]
    pub memory_mb: Option<u32>,
    /// Thousandths of a processor; 0 takes the bound away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = MAX_QUOTA))]
    pub cpu_millis: Option<u32>,
    /// Disk in GiB; 0 takes the bound away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = MAX_QUOTA))]
    pub disk_gb: Option<u32>,
    /// What happens when a license's time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::ExpiryStrategyWord>")]
    pub expiry_strategy: Option<String>,
    /// With `grace`: for how many days it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = MAX_GRACE_DAYS))]
    pub grace_days: Option<u32>,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// Its short name.
    pub name: BlueprintName,
    /// Its name as people write it.
    pub title: String,
    /// Products.
    pub products: Vec<String>,
    /// Features.
    pub features: Vec<String>,
    /// Limits by name.
    pub limits: BTreeMap<String, u64>,
    /// Most users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_users: Option<u32>,
    /// Most API keys of a tenant.
    pub max_api_keys: u32,
    /// What its tenants may want of their hosts.
    pub quotas: Quotas,
    /// What happens when a license's time is over.
    #[schemars(with = "super::schema::ExpiryStrategyWord")]
    pub expiry_strategy: String,
    /// With `grace`: for how many days it works on.
    pub grace_days: u32,
    /// Licenses of it.
    pub licenses: u64,
    /// When it was archived: it takes no new licenses since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// Version of the row, for `If-Match`.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
