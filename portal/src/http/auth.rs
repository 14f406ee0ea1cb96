//! Who asks: an API token or the access token of a session, in `Authorization: Bearer`.

use std::net::IpAddr;

use freehold_protocol::ids::TenantId;
use subtle::ConstantTimeEq;

use super::{input, server::Head, throttle::Throttle};
use crate::{
    app::{
        role::{Permission, Role},
        sessions as app_sessions, tokens as app_tokens,
    },
    db::{
        Db,
        sessions::{self, SessionRow},
        tokens::{self, TokenRow},
        users::UserRow,
    },
    domain::session::TokenKind,
    error::{AppError, Kind},
    keys::PortalKeys,
};

/// How often the last use of a token is written, in milliseconds: hourly.
const TOUCH_MILLIS: i64 = 3_600_000;
/// The code of an access token whose time is over: its session goes on with the refresh token.
const ACCESS_EXPIRED: &str = "access_expired";

/// Somebody who has proved who they are.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Whoever has an API token.
    Token(Box<TokenRow>),
    /// A user in a session.
    User {
        /// The user, as it is now.
        user: Box<UserRow>,
        /// The session.
        session: Box<SessionRow>,
    },
}

impl Caller {
    /// What it may do.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Token(token) => token.role,
            Self::User { user, .. } => user.role,
        }
    }

    /// The one tenant that it is limited to.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Token(token) => token.tenant,
            Self::User { user, .. } => user.tenant,
        }
    }

    /// The name in the audit log; it says whether a token or a user asks.
    #[must_use]
    pub fn actor(&self) -> String {
        match self {
            Self::Token(token) => format!("token:{}", token.name),
            Self::User { user, .. } => app_sessions::actor(&user.login),
        }
    }

    /// The identifier of the token or the user.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Token(token) => token.id.to_string(),
            Self::User { user, .. } => user.id.to_string(),
        }
    }

    /// The user and its session.
    ///
    /// # Errors
    /// 403 for a token, which has neither password nor settings.
    pub fn user(&self) -> Result<(&UserRow, &SessionRow), AppError> {
        match self {
            Self::User { user, session } => Ok((user, session)),
            Self::Token(_) => Err(AppError::new(
                Kind::Forbidden,
                "users_only",
                "only a user has this, and no token",
            )
            .advice("log in as a user: `freehold login URL --user LOGIN`")),
        }
    }

    /// Refuses a caller whose role lacks a permission, or who must change the password first.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, permission: Permission) -> Result<(), AppError> {
        let is_due = matches!(self, Self::User { user, .. } if user.password_due);
        if is_due && !matches!(permission, Permission::Public | Permission::Oneself) {
            return Err(AppError::new(
                Kind::Forbidden,
                "password_due",
                "the password was chosen by somebody else and must be changed first",
            )
            .advice("change it with `freehold password`, or POST /api/v1/me/password"));
        }
        let role = self.role();
        if role.may(permission) {
            return Ok(());
        }
        Err(AppError::new(Kind::Forbidden, "forbidden", format!("the role {role} may not do this"))
            .advice(format!("ask somebody with the role {}", permission.who())))
    }
}

/// Finds out who asks. A failure counts against the address; a text that is no token at all costs
/// no look at the database. A good token is answered always: a script behind the same address that keeps
/// sending a bad one must not lock it out. Guessing gains nothing by that, with 178 random bits to guess.
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
    let caller = find(head, db, keys).map_err(|error| match error.code {
        // Every client of a session comes to this, and nobody guesses a token that once was good.
        ACCESS_EXPIRED => error,
        _ => throttle.counted(error, peer, now),
    })?;
    if let Caller::Token(token) = &caller
        && token.last_used_at.is_none_or(|used| now.millis_since(used) > TOUCH_MILLIS)
    {
        let id = token.id;
        db.write(move |tx| tokens::touch(tx, id))?;
    }
    Ok(caller)
}

fn find(head: &Head, db: &Db, keys: &PortalKeys) -> Result<Caller, AppError> {
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
    if app_tokens::is_well_formed(text) {
        return api_token(text, db, keys).map(|token| Caller::Token(Box::new(token)));
    }
    if app_sessions::is_well_formed(TokenKind::Access, text) {
        return access_token(text, db, keys);
    }
    Err(refused("token_malformed", "the token is not whole: its checksum is wrong")
        .advice("copy it again; it is fhk_ (or fha_) and 36 letters and digits"))
}

fn unknown() -> AppError {
    refused("token_unknown", "the portal does not know this token")
        .advice("check that the token is for this portal")
}

/// The index has found it by equality already; this does not lean on how the index compares.
fn is_same(stored: &str, hash: &str) -> bool {
    stored.as_bytes().ct_eq(hash.as_bytes()).into()
}

fn api_token(text: &str, db: &Db, keys: &PortalKeys) -> Result<TokenRow, AppError> {
    let hash = app_tokens::hash(keys.master(), text);
    let token = db.read(|read| tokens::by_hash(read, &hash))?.ok_or_else(unknown)?;
    if !is_same(&token.hash, &hash) {
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

fn access_token(text: &str, db: &Db, keys: &PortalKeys) -> Result<Caller, AppError> {
    let hash = app_sessions::hash(keys.master(), text);
    let found =
        db.read(|read| sessions::by_token(read, TokenKind::Access, &hash))?.ok_or_else(unknown)?;
    if !is_same(&found.hash, &hash) {
        return Err(unknown());
    }
    let now = db.now();
    app_sessions::refuse_if_over(&found, now)?;
    if found.expires_at <= now {
        return Err(refused(ACCESS_EXPIRED, "the access token has expired")
            .advice("get the next one with the refresh token: POST /api/v1/auth/refresh"));
    }
    Ok(Caller::User { user: Box::new(found.user), session: Box::new(found.session) })
}

fn refused(code: &'static str, message: &str) -> AppError {
    AppError::new(Kind::Unauthenticated, code, message)
}
