//! What tenants' apps send and are answered, as schemas of the OpenAPI document. The portal reads these
//! bodies in place (`http/tenant_api/`, `ingest/`), and ignores fields that it does not know: apps that exist
//! send more. docs/licenses.md and docs/tenant-apps.md are the contracts.

use std::{borrow::Cow, collections::BTreeMap};

use freehold_protocol::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    ingest::{AppStatus, MAX_BATCH_ID, MAX_CHECKS, MAX_LINES, MAX_VALUES},
    validation::ValidationCode,
};

/// `POST /api/licenses/validate`. It has no `Debug`, since the key is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Question {
    /// The license key, in any case, spaces around it not counted.
    pub license_key: String,
    /// The organization id of the license's customer.
    pub organization_id: String,
    /// A feature that the license must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// `product:NAME`, or `limit:NAME:COUNT`; anything else is for the app's own use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// The answer: yes or no, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it may.
    pub valid: bool,
    /// Why, as a code of a closed list.
    #[schemars(with = "CodeWord")]
    pub code: String,
    /// Why, for people; absent when `code` is VALID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The license, when it is the asker's own.
    pub license: Option<VerdictLicense>,
    /// A signed lease (JWT) that the app can verify without the portal, for 24 hours at most.
    pub lease: Option<String>,
}

/// A license as its app sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictLicense {
    /// Its status now.
    #[schemars(with = "super::schema::LicenseStatusWord")]
    pub status: String,
    /// The plan.
    pub tier: String,
    /// Products.
    pub products: Vec<String>,
    /// Features.
    pub features: Vec<String>,
    /// Limits by name.
    pub limits: BTreeMap<String, u64>,
    /// When its time is over, in milliseconds since 1970.
    pub expires_at: Option<Timestamp>,
}

/// `GET /.well-known/jwks.json` (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeySet {
    /// The keys; the first one signs.
    pub keys: Vec<BTreeMap<String, String>>,
}

/// `POST /api/tenant-logs`. As NDJSON the lines stand alone, and the id is the header `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogBatch {
    /// The id under which it can be sent again.
    #[serde(default)]
    #[schemars(with = "BatchId")]
    pub batch_id: Option<String>,
    /// The tenant's id, slug or organization id, if named: it must be the API key's.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// The same.
    #[serde(default)]
    pub organization_slug: Option<String>,
    /// The lines. A wrong one is refused alone, so that nothing of it is demanded here.
    #[schemars(length(max = MAX_LINES))]
    pub logs: Vec<Value>,
}

/// `POST /api/v1/usage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageBatch {
    /// The id under which it can be sent again.
    #[serde(default)]
    #[schemars(with = "BatchId")]
    pub batch_id: Option<String>,
    /// The tenant's id, slug or organization id, if named: it must be the API key's.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// The same.
    #[serde(default)]
    pub organization_slug: Option<String>,
    /// The values. A wrong one is refused alone, so that nothing of it is demanded here.
    #[schemars(length(max = MAX_VALUES))]
    pub metrics: Vec<Value>,
}

/// `POST /api/v1/tenant-health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// The tenant's id, slug or organization id, if named: it must be the API key's.
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// The same.
    #[serde(default)]
    pub organization_slug: Option<String>,
    /// How the app is.
    #[schemars(with = "StatusWord")]
    pub status: String,
    /// The app's version.
    #[serde(default)]
    #[schemars(length(max = crate::ingest::health::MAX_TEXT))]
    pub version: Option<String>,
    /// In a sentence.
    #[serde(default)]
    #[schemars(length(max = crate::ingest::health::MAX_TEXT))]
    pub message: Option<String>,
    /// Single checks by name.
    #[serde(default)]
    #[schemars(with = "Checks")]
    pub checks: BTreeMap<String, Value>,
    /// When the app said so; now when absent.
    #[serde(default)]
    #[schemars(with = "Option<super::schema::Moment>")]
    pub timestamp: Option<Value>,
}

macro_rules! schemas {
    ($($name:ident = $schema:tt;)+) => {$(
        #[derive(Debug)]
        struct $name;
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

fn statuses() -> Vec<&'static str> {
    AppStatus::ALL.iter().map(|word| word.as_str()).collect()
}

schemas! {
    CodeWord = {
        "type": "string", "enum": ValidationCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
    };
    StatusWord = { "type": "string", "enum": statuses() };
    BatchId = { "type": ["string", "null"], "pattern": "^[!-~]+$", "minLength": 1, "maxLength": MAX_BATCH_ID };
    Checks = {
        "type": ["object", "null"], "maxProperties": MAX_CHECKS,
        "propertyNames": { "minLength": 1, "maxLength": 100 },
        "additionalProperties": {
            "type": "object", "required": ["status"],
            "properties": {
                "status": { "type": "string", "enum": statuses() },
                "message": { "type": ["string", "null"], "maxLength": crate::ingest::health::MAX_TEXT },
            },
        },
    };
}
