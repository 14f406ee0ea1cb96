//! Licenses.

use std::collections::BTreeMap;

use freehold_protocol::{
    ids::{BlueprintName, TenantSlug},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{CustomerId, LicenseId};

/// Longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 500;
/// Latest end of a license, in milliseconds since 1970: the end of the year 9999.
pub const MAX_EXPIRES_AT: i64 = 253_402_300_799_999;

/// How a license differs from its plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Differences {
    /// Products beyond the plan's.
    #[schemars(with = "super::schema::Names")]
    pub products_added: Vec<String>,
    /// Products of the plan that it lacks.
    #[schemars(with = "super::schema::Names")]
    pub products_removed: Vec<String>,
    /// Features beyond the plan's.
    #[schemars(with = "super::schema::Names")]
    pub features_added: Vec<String>,
    /// Features of the plan that it lacks.
    #[schemars(with = "super::schema::Names")]
    pub features_removed: Vec<String>,
    /// Limits instead of the plan's, or beyond them; `maxUsers` and `maxApiKeys` too.
    #[schemars(with = "super::schema::Limits")]
    pub limits: BTreeMap<String, u64>,
}

/// `POST /licenses`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateLicense {
    /// The customer's identifier.
    #[schemars(with = "CustomerId")]
    pub customer: String,
    /// The plan's name.
    #[schemars(with = "BlueprintName")]
    pub plan: String,
    /// How it differs from the plan.
    #[serde(default, deserialize_with = "super::object")]
    pub overrides: Differences,
    /// When its time is over, in milliseconds since 1970; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::ExpiresAt>")]
    pub expires_at: Option<i64>,
}

/// `PATCH /licenses/{id}`: only what is given changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateLicense {
    /// The plan from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BlueprintName>")]
    pub plan: Option<String>,
    /// How it differs from the plan from now on: all of it.
    #[serde(
        default,
        deserialize_with = "super::object_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub overrides: Option<Differences>,
}

/// `POST /licenses/{id}/suspend` and `…/revoke`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Because {
    /// Why; the audit log and every page that shows the license say it.
    #[schemars(with = "super::schema::Reason")]
    pub reason: String,
}

/// `POST /licenses/{id}/renew`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewLicense {
    /// When its time is over, in milliseconds since 1970 and in the future; `null`: never.
    #[schemars(with = "Option<super::schema::ExpiresAt>")]
    pub expires_at: Option<i64>,
}

/// `POST /licenses` answered. It has no `Debug`, since `key` is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct LicenseCreated {
    /// What lists show of it.
    pub license: LicenseView,
    /// Its key.
    pub key: String,
}

/// `POST /licenses/{id}/reveal` answered. It has no `Debug`, since `key` is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct LicenseKeyShown {
    /// Its key.
    pub key: String,
}

/// A license without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LicenseView {
    /// The identifier.
    pub id: LicenseId,
    /// The start of its key, to know it again: `FHL-7QK2M-…`.
    pub key_hint: String,
    /// The customer.
    pub customer: CustomerId,
    /// The customer's name.
    pub customer_name: String,
    /// The plan.
    pub plan: BlueprintName,
    /// `pending_deployment`, `active`, `suspended`, `expired` or `revoked`, as it is now.
    #[schemars(with = "super::schema::LicenseStatusWord")]
    pub status: String,
    /// Since when.
    pub status_at: Timestamp,
    /// Why, if somebody said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status_reason: String,
    /// When its time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Until when it works on after that, by its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Timestamp>,
    /// Products, its differences counted in.
    pub products: Vec<String>,
    /// Features, its differences counted in.
    pub features: Vec<String>,
    /// Limits, its differences counted in.
    pub limits: BTreeMap<String, u64>,
    /// How it differs from the plan.
    pub overrides: Differences,
    /// Tenants that run under it.
    pub tenants: Vec<TenantSlug>,
    /// From when on those tenants are due to be suspended. The portal does not suspend them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants_due_at: Option<Timestamp>,
    /// When a tenant of it was first deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// When an app last asked for it, to within an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_validated_at: Option<Timestamp>,
    /// Version of the row, for `If-Match`.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
