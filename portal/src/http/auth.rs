//! Who asks: API tokens in `Authorization: Bearer`.

use std::net::IpAddr;

use subtle::ConstantTimeEq;

use super::{input, server::Head, throttle::Throttle};
use crate::{
    app::{role::Permission, tokens as app_tokens},
    db::{
        Db,
        tokens::{self, TokenRow},
    },
    error::{AppError, Kind},
    keys::PortalKeys,
};

/// How often the last use of a token is written, in milliseconds: hourly.
const TOUCH_MILLIS: i64 = 3_600_000;

/// Somebody who has shown a valid token.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token.
    pub token: TokenRow,
    /// The name in the audit log.
    pub actor: String,
}

impl Caller {
    /// Refuses a caller whose role lacks a permission.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, permission: Permission) -> Result<(), AppError> {
        if self.token.role.may(permission) {
            return Ok(());
        }
        Err(AppError::new(
            Kind::Forbidden,
            "forbidden",
            format!("the role {} may not do this", self.token.role),
        )
        .advice(format!("use a token with the role {}", permission.who())))
    }
}

/// Finds out who asks. A failure counts against the address; a text that is no token at all costs
/// no look at the database.
///
/// # Errors
/// 401, or 429 when the address has failed too often.
pub fn authenticate(
    head: &Head,
    peer: IpAddr,
    db: &Db,
    keys: &PortalKeys,
    throttle: &Throttle,
) -> Result<Caller, AppError> {
    let now = db.now();
    throttle.check(peer, now)?;
    let found = find(head, db, keys);
    if let Err(error) = &found
        && error.kind == Kind::Unauthenticated
    {
        throttle.failed(peer, now);
    }
    let token = found?;
    if token.last_used_at.is_none_or(|used| now.millis_since(used) > TOUCH_MILLIS) {
        let id = token.id;
        db.write(move |tx| tokens::touch(tx, id))?;
    }
    let actor = format!("token:{}", token.name);
    Ok(Caller { token, actor })
}

fn find(head: &Head, db: &Db, keys: &PortalKeys) -> Result<TokenRow, AppError> {
    let header = input::single(head, "authorization")?.ok_or_else(|| {
        refused("token_missing", "the request has no token")
            .advice("send the header Authorization: Bearer fhk_…")
    })?;
    let text = header
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, text)| text.trim())
        .ok_or_else(|| {
            refused("token_missing", "the Authorization header is not of the kind Bearer")
                .advice("send the header Authorization: Bearer fhk_…")
        })?;
    if !app_tokens::is_well_formed(text) {
        return Err(refused("token_malformed", "the token is not whole: its checksum is wrong")
            .advice("copy it again; it is fhk_ and 36 letters and digits"));
    }
    let hash = app_tokens::hash(keys.master(), text);
    let unknown = || {
        refused("token_unknown", "the portal does not know this token")
            .advice("check that the token is for this portal")
    };
    let token = db.read(|read| tokens::by_hash(read, &hash))?.ok_or_else(unknown)?;
    // The index has found it by equality already; this does not lean on how the index compares.
    if !bool::from(token.hash.as_bytes().ct_eq(hash.as_bytes())) {
        return Err(unknown());
    }
    if token.revoked_at.is_some() {
        return Err(
            refused("token_revoked", "the token was revoked").advice("ask an owner for a new one")
        );
    }
    if !app_tokens::is_valid(&token, db.now()) {
        return Err(
            refused("token_expired", "the token has expired").advice("ask an owner for a new one")
        );
    }
    Ok(token)
}

fn refused(code: &'static str, message: &str) -> AppError {
    AppError::new(Kind::Unauthenticated, code, message)
}
