//! API tokens: minted, found again by keyed hash, revoked.

use freehold_protocol::{
    ids::{TenantId, TenantSlug, TokenId},
    secret::Secret,
    time::Timestamp,
};
use serde_json::json;
use uuid::Uuid;

use super::{keyed_hash, owners, role::Role, tenants as app_tenants};
use crate::{
    api::tokens::{MAX_TOKEN_DAYS, MAX_TOKEN_NAME_CHARS},
    db::{
        Read, Tx,
        audit::{self, Entry},
        tokens::{self, TokenRow},
    },
    error::AppError,
    keys::{MasterKey, mint},
};

/// What every API token starts with.
pub const PREFIX: &str = "fhk";
/// Name of the token that the first start prints.
pub const FIRST_OWNER: &str = "first-owner";

/// The keyed hash under which a token is stored. Keyed, so that somebody who can write to the
/// database still cannot mint a token.
#[must_use]
pub fn hash(master: &MasterKey, token: &str) -> String {
    let keyed = keyed_hash::Keyed::new(master, "freehold/v1/api-token-hmac");
    keyed_hash::hex(&keyed.hash(token.as_bytes()))
}

/// Whether a text has a token's shape and checksum; if not, the database need not be asked.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    mint::is_token(PREFIX, text)
}

/// Somebody wants a new token.
#[derive(Debug)]
pub struct MintToken {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one tenant that it is to be limited to.
    pub tenant: Option<TenantSlug>,
    /// Days until it expires.
    pub expires_in_days: Option<u32>,
    /// Who asks.
    pub actor: String,
    /// The identifier of that user or token; none for the portal itself.
    pub maker: Option<String>,
}

impl MintToken {
    /// Mints it. The secret is not stored anywhere.
    ///
    /// # Errors
    /// Wrong fields, or `name_taken`.
    pub fn apply(self, tx: &Tx<'_>, master: &MasterKey) -> Result<(TokenRow, Secret), AppError> {
        check_name(&self.name)?;
        if let Some(days) = self.expires_in_days
            && !(1..=MAX_TOKEN_DAYS).contains(&days)
        {
            return Err(AppError::invalid(
                "/expiresInDays",
                format!(
                    "use 1 to {MAX_TOKEN_DAYS} days, or leave it out for a token that does not expire"
                ),
            ));
        }
        let tenant = limit(tx, self.role, self.tenant.as_ref())?;
        let secret = mint::token(PREFIX)?;
        let text = secret.expose();
        let token = TokenRow {
            id: TokenId::from_uuid(Uuid::now_v7()),
            name: self.name,
            role: self.role,
            tenant,
            tenant_slug: self.tenant,
            hash: hash(master, text),
            prefix: text.chars().take(PREFIX.len() + 5).collect(),
            last4: text[text.len() - 4..].to_owned(),
            created_by: self.actor,
            made_by: self.maker,
            created_at: tx.now(),
            expires_at: self
                .expires_in_days
                .map(|days| tx.now().plus_secs(i64::from(days) * 86_400)),
            last_used_at: None,
            revoked_at: None,
        };
        tokens::insert(tx, &token)?;
        audit::append(
            tx,
            &Entry {
                actor: &token.created_by,
                action: "token.create",
                object_kind: "token",
                object_id: &token.id.to_string(),
                detail: json!({ "name": token.name, "role": token.role.as_str(), "tenant": token.tenant, "expiresAt": token.expires_at }),
            },
        )?;
        Ok((token, secret))
    }
}

/// The tenant that somebody of a role is to be limited to.
///
/// # Errors
/// An owner, or no such tenant.
pub(super) fn limit(
    read: &Read<'_>,
    role: Role,
    tenant: Option<&TenantSlug>,
) -> Result<Option<TenantId>, AppError> {
    let Some(slug) = tenant else { return Ok(None) };
    if role == Role::Owner {
        return Err(AppError::invalid(
            "/tenant",
            "an owner looks after the whole portal: use viewer, operator or approver, or leave it out",
        ));
    }
    app_tenants::find(read, slug)
        .map(|tenant| Some(tenant.id))
        .map_err(|error| AppError::invalid("/tenant", error.message))
}

fn check_name(name: &str) -> Result<(), AppError> {
    let ok = (1..=MAX_TOKEN_NAME_CHARS).contains(&name.chars().count())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    if ok {
        return Ok(());
    }
    Err(AppError::invalid(
        "/name",
        format!(
            "use 1 to {MAX_TOKEN_NAME_CHARS} of letters, digits and - _ . @, for example ci or anna@example.com"
        ),
    ))
}

/// Somebody wants a token to end.
#[derive(Debug)]
pub struct RevokeToken {
    /// The token.
    pub id: TokenId,
    /// Who asks.
    pub actor: String,
}

impl RevokeToken {
    /// Revokes it. Revoking a revoked token changes nothing.
    ///
    /// # Errors
    /// `last_owner`: nobody could manage the portal any more.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let token =
            tokens::by_id(tx, self.id)?.ok_or_else(|| AppError::not_found("token", self.id))?;
        if token.revoked_at.is_some() {
            return Ok(());
        }
        if token.role == Role::Owner && is_valid(&token, tx.now()) {
            owners::refuse_to_lose_last(tx, owners::Loses::Token(token.id))?;
        }
        tokens::revoke(tx, token.id)?;
        audit::append(
            tx,
            &Entry {
                actor: &self.actor,
                action: "token.revoke",
                object_kind: "token",
                object_id: &token.id.to_string(),
                detail: json!({ "name": token.name }),
            },
        )
    }
}

/// Revokes the tokens that were limited to a tenant which is going.
///
/// # Errors
/// When the database fails.
pub(super) fn revoke_of_tenant(tx: &Tx<'_>, tenant: TenantId, actor: &str) -> Result<(), AppError> {
    for token in tokens::of_tenant(tx, tenant)? {
        RevokeToken { id: token.id, actor: actor.to_owned() }.apply(tx)?;
    }
    Ok(())
}

/// Whether a token is neither revoked nor expired.
#[must_use]
pub fn is_valid(token: &TokenRow, now: Timestamp) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|end| now < end)
}

/// Takes the first owner's token back, which nobody has seen, so that the next start makes one again.
///
/// # Errors
/// When the database fails.
pub fn take_back_first_owner(tx: &Tx<'_>) -> Result<(), AppError> {
    for token in tokens::list(tx, "", 2)? {
        tokens::delete(tx, token.id)?;
        audit::append(
            tx,
            &Entry {
                actor: "system",
                action: "token.take_back",
                object_kind: "token",
                object_id: &token.id.to_string(),
                detail: json!({ "name": token.name, "why": "it could not be shown" }),
            },
        )?;
    }
    Ok(())
}

/// Mints an owner's token for whoever has the portal's data folder and keys: the way back in when all
/// owners have lost theirs.
///
/// # Errors
/// A wrong name, or one that a valid token has.
pub fn recover_owner(
    tx: &Tx<'_>,
    master: &MasterKey,
    name: String,
    days: Option<u32>,
) -> Result<Secret, AppError> {
    let mint = MintToken {
        name,
        role: Role::Owner,
        tenant: None,
        expires_in_days: days,
        actor: "local".to_owned(),
        maker: None,
    };
    mint.apply(tx, master).map(|(_, secret)| secret)
}

/// Mints the first owner's token when there has never been any token.
///
/// # Errors
/// When the database fails.
pub fn create_first_owner(tx: &Tx<'_>, master: &MasterKey) -> Result<Option<Secret>, AppError> {
    if tokens::any(tx)? {
        return Ok(None);
    }
    let mint = MintToken {
        name: FIRST_OWNER.to_owned(),
        role: Role::Owner,
        tenant: None,
        expires_in_days: None,
        actor: "system".to_owned(),
        maker: None,
    };
    mint.apply(tx, master).map(|(_, secret)| Some(secret))
}
