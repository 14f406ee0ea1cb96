//! API tokens, and what runs.

use freehold_protocol::{ids::TokenId, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest name of a token, in characters.
pub const MAX_TOKEN_NAME_CHARS: usize = 64;
/// Most days for which a token may be valid: ten years.
pub const MAX_TOKEN_DAYS: u32 = 3650;

/// `POST /tokens`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "role": { "const": "owner" } } },
    "then" = { "properties": { "tenant": { "type": "null" } } },
))]
pub struct CreateToken {
    /// What it is for, such as `ci` or `anna`. Unique among tokens that are not revoked.
    #[schemars(with = "super::schema::TokenName")]
    pub name: String,
    /// `viewer`, `operator`, `approver` or `owner`.
    #[schemars(with = "super::schema::RoleWord")]
    pub role: String,
    /// Slug of the one tenant that it is limited to; the whole portal when absent. Not for owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<freehold_protocol::ids::TenantSlug>")]
    pub tenant: Option<String>,
    /// Days until it expires, 1 to [`MAX_TOKEN_DAYS`]; it does not expire when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_TOKEN_DAYS))]
    pub expires_in_days: Option<u32>,
}

/// A token, shown this once. It has no `Debug`, since `secret` is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct TokenCreated {
    /// What lists show of it.
    pub token: TokenView,
    /// What goes into `Authorization: Bearer …`.
    pub secret: String,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Its identifier.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    #[schemars(with = "super::schema::RoleWord")]
    pub role: String,
    /// The one tenant that it is limited to: its slug, or its identifier once it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its start and end, to know it again: `fhk_Ab3d…9xYz`.
    pub hint: String,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it stops being valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to within an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    /// Version of the portal.
    pub version: String,
    /// Version of the agent protocol.
    pub protocol: u32,
}
