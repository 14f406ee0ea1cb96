//! Users, their sessions, and who is asking.

use freehold_protocol::{ids::Email, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{given, tokens::TokenView};
use crate::domain::ids::{SessionId, UserId};

/// Largest request body about users and sessions, in bytes.
pub const MAX_ACCOUNT_BODY_BYTES: u64 = 32 * 1024;
/// Most bytes of a user's settings as compact JSON.
pub const MAX_SETTINGS_BYTES: usize = 8 * 1024;
/// Most users.
pub const MAX_USERS: u32 = 10_000;

/// `POST /auth/login`. It has no `Debug`, since `password` is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Login {
    /// The user's e-mail address.
    pub login: String,
    /// The password.
    pub password: String,
}

/// `POST /auth/refresh` and `POST /auth/logout`. It has no `Debug`, since the token is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct RefreshToken {
    /// The newest refresh token of the session.
    pub refresh_token: String,
}

/// The tokens of a session, shown this once. It has no `Debug`, since they are secrets.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct SessionTokens {
    /// What goes into `Authorization: Bearer …`.
    pub access_token: String,
    /// Until when.
    pub access_expires_at: Timestamp,
    /// What gets the next pair from `POST /auth/refresh`, once.
    pub refresh_token: String,
    /// Until when, unless it is used before.
    pub refresh_expires_at: Timestamp,
    /// The session.
    pub session: SessionView,
    /// Who has logged in.
    pub user: UserView,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Its identifier.
    pub id: SessionId,
    /// The network that it was opened from.
    pub network: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last refreshed, or opened: a client that is at work does so every quarter of an hour.
    pub last_used_at: Timestamp,
    /// When it ends unless it is refreshed before.
    pub idle_ends_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Whether it is the session that asks, or has just been opened.
    pub current: bool,
}

/// `POST /users`. It has no `Debug`, since `password` is a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("allOf" = [
    {
        "if": { "required": ["keepPassword"], "properties": { "keepPassword": { "const": true } } },
        "then": { "required": ["password"], "properties": { "password": { "type": "string" } } },
    },
    {
        "if": { "properties": { "role": { "const": "owner" } } },
        "then": { "properties": { "tenant": { "type": "null" } } },
    },
]))]
#[expect(missing_debug_implementations, reason = "may hold a secret")]
pub struct CreateUser {
    /// An e-mail address; capital letters count as small ones.
    #[schemars(with = "Email")]
    pub login: String,
    /// The name as people write it; the login when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub name: Option<String>,
    /// `viewer`, `operator`, `approver` or `owner`.
    #[schemars(with = "super::schema::RoleWord")]
    pub role: String,
    /// Slug of the one tenant that the user is limited to; the whole portal when absent. Not for owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<freehold_protocol::ids::TenantSlug>")]
    pub tenant: Option<String>,
    /// The first password; the portal draws one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::NewPassword>")]
    pub password: Option<String>,
    /// With `password`: whether it need not be changed at the first login, because the user has chosen it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_password: bool,
}

/// `POST /users/{id}/reset-password`. It has no `Debug`, since `password` is a secret.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend(
    "if" = { "required": ["keepPassword"], "properties": { "keepPassword": { "const": true } } },
    "then" = { "required": ["password"], "properties": { "password": { "type": "string" } } },
))]
#[expect(missing_debug_implementations, reason = "may hold a secret")]
pub struct ResetPassword {
    /// The new password; the portal draws one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::NewPassword>")]
    pub password: Option<String>,
    /// With `password`: whether it need not be changed at the next login.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_password: bool,
}

/// A user, and the password that the portal has drawn, shown this once. It has no `Debug`, since that is
/// a secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "may hold a secret")]
pub struct UserWithPassword {
    /// The user.
    pub user: UserView,
    /// The password, unless the request gave one. It must be changed at the next login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// `PATCH /users/{id}`: only what is given changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateUser {
    /// The new login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Email>")]
    pub login: Option<String>,
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub name: Option<String>,
    /// The new role; nobody changes their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::RoleWord>")]
    pub role: Option<String>,
    /// The one tenant from now on; `null` for the whole portal.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<freehold_protocol::ids::TenantSlug>")]
    pub tenant: Option<Option<String>>,
}

/// `PATCH /me`: only what is given changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateMe {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::schema::PersonText>")]
    pub name: Option<String>,
}

/// `POST /me/password`. It has no `Debug`, since both are secrets.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct ChangePassword {
    /// The password until now.
    pub old: String,
    /// The one from now on.
    #[schemars(with = "super::schema::NewPassword")]
    pub new: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// Its identifier.
    pub id: UserId,
    /// What is typed to log in.
    pub login: Email,
    /// Its name as people write it.
    pub name: String,
    /// What it may do.
    #[schemars(with = "super::schema::RoleWord")]
    pub role: String,
    /// The one tenant that it is limited to: its slug, or its identifier once it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Whether the password must be changed before anything else is done.
    pub password_due: bool,
    /// When the password was set.
    pub password_at: Timestamp,
    /// Since when the user may not log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// When it last logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<Timestamp>,
    /// Version of the row, for `If-Match`.
    pub generation: u64,
    /// Who created it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// `GET /me`: a token, or a user and its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The name under which its actions stand in the audit log.
    pub actor: String,
    /// What it may do.
    #[schemars(with = "super::schema::RoleWord")]
    pub role: String,
    /// The one tenant that it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The token that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenView>,
    /// The user that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserView>,
    /// The session that it asked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionView>,
}

/// `GET /me/settings`: what pages and programs keep for the user. A `PATCH` is merged into it (RFC 7396).
pub type Settings = Map<String, Value>;
