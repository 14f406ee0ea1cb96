//! Sessions: opened with a password, gone on with by refresh tokens of which each is good once, ended.

use freehold_protocol::{ids::Email, secret::Secret, time::Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{keyed_hash, users as app_users};
use crate::{
    db::{
        Tx,
        audit::{self, Entry},
        sessions::{self, Found, SessionRow},
        users::{self, UserRow},
    },
    domain::{
        ids::{SessionId, UserId},
        session::{
            ACCESS_AT_ONCE, ACCESS_SECS, Ending, MAX_ENDED, MAX_SESSIONS, MAX_SPENT, MOST_SECS,
            TokenKind, over_at,
        },
    },
    error::{AppError, Kind},
    keys::{MasterKey, mint},
};

/// What every access token starts with.
pub const ACCESS_PREFIX: &str = "fha";
/// What every refresh token starts with.
pub const REFRESH_PREFIX: &str = "fhr";

const fn prefix(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Access => ACCESS_PREFIX,
        TokenKind::Refresh => REFRESH_PREFIX,
    }
}

/// The keyed hash under which a token of a session is stored.
#[must_use]
pub fn hash(master: &MasterKey, token: &str) -> String {
    let keyed = keyed_hash::Keyed::new(master, "freehold/v1/session-token-hmac");
    keyed_hash::hex(&keyed.hash(token.as_bytes()))
}

/// Whether a text has the shape and checksum of a token; if not, the database need not be asked.
#[must_use]
pub fn is_well_formed(kind: TokenKind, text: &str) -> bool {
    mint::is_token(prefix(kind), text)
}

/// What a login or a refresh gives.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub session: SessionRow,
    /// Its user.
    pub user: UserRow,
    /// The access token.
    pub access: Secret,
    /// Until when it is good.
    pub access_expires_at: Timestamp,
    /// The refresh token.
    pub refresh: Secret,
    /// Until when it is good.
    pub refresh_expires_at: Timestamp,
}

fn give_tokens(
    tx: &Tx<'_>,
    master: &MasterKey,
    session: SessionRow,
    user: UserRow,
) -> Result<Opened, AppError> {
    let refresh_expires_at = over_at(tx.now(), session.expires_at);
    let access_expires_at = tx.now().plus_secs(ACCESS_SECS).min(session.expires_at);
    let give = |kind, until| {
        let token = mint::token(prefix(kind))?;
        sessions::insert_token(tx, session.id, kind, &hash(master, token.expose()), until)?;
        Ok::<_, AppError>(token)
    };
    let access = give(TokenKind::Access, access_expires_at)?;
    let refresh = give(TokenKind::Refresh, refresh_expires_at)?;
    sessions::keep_tokens(tx, session.id, TokenKind::Access, ACCESS_AT_ONCE)?;
    sessions::keep_tokens(tx, session.id, TokenKind::Refresh, MAX_SPENT)?;
    Ok(Opened { session, user, access, access_expires_at, refresh, refresh_expires_at })
}

/// The one refusal of a login, whatever was wrong with it.
#[must_use]
pub fn login_failed() -> AppError {
    AppError::new(
        Kind::Unauthenticated,
        "login_failed",
        "the login or the password is wrong, or the user may not log in",
    )
    .advice(
        "type both again; an owner can set a new password: `freehold user reset-password LOGIN`",
    )
}

/// Somebody has shown the password of a user.
#[derive(Debug)]
pub struct OpenSession {
    /// The user.
    pub user: UserId,
    /// The hash that the password was compared with.
    pub shown: Shown,
    /// Where the request came from.
    pub network: String,
}

/// The stored hash that a password was found to be right for, and a newer one of the same password.
pub struct Shown {
    /// The stored one.
    pub stored: String,
    /// One with today's parameters, if the stored one has others.
    pub renewed: Option<String>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl OpenSession {
    /// Opens a session.
    ///
    /// # Errors
    /// `login_failed` when the user was disabled, removed or given another password meanwhile.
    pub fn apply(self, tx: &Tx<'_>, master: &MasterKey) -> Result<Opened, AppError> {
        let user = users::by_id(tx, self.user)?
            .filter(|user| user.disabled_at.is_none() && user.password == self.shown.stored)
            .ok_or_else(login_failed)?;
        if let Some(renewed) = &self.shown.renewed {
            users::set_password(tx, user.id, &user.password, renewed, user.password_due)?;
        }
        let session = SessionRow {
            id: SessionId::from_uuid(Uuid::now_v7()),
            user: user.id,
            network: self.network,
            created_at: tx.now(),
            refreshed_at: tx.now(),
            expires_at: tx.now().plus_secs(MOST_SECS),
            ended_at: None,
        };
        sessions::end_beyond(tx, user.id, MAX_SESSIONS - 1)?;
        sessions::keep_ended(tx, user.id, MAX_ENDED)?;
        sessions::insert(tx, &session)?;
        users::note_login(tx, user.id)?;
        let more = [("network", json!(session.network)), ("session", json!(session.id))];
        app_users::record(tx, &actor(&user.login), "login.succeed", &user, &more)?;
        let user = app_users::find(tx, user.id)?;
        give_tokens(tx, master, session, user)
    }
}

/// The name of a user in the audit log.
#[must_use]
pub fn actor(login: &Email) -> String {
    format!("user:{login}")
}

/// A login failed, and it is one of those that are written down.
#[derive(Debug)]
pub struct NoteFailure {
    /// The user, if there is one with that login.
    pub user: Option<UserId>,
    /// Where the request came from.
    pub network: String,
    /// How often it has failed by now.
    pub failures: u32,
    /// The seconds for which nothing is tried any more.
    pub wait_secs: i64,
}

impl NoteFailure {
    /// Writes it down. What was typed as the login of nobody is left out: it may be a password.
    ///
    /// # Errors
    /// When the database fails.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let action = if self.wait_secs > 0 { "login.lock" } else { "login.fail" };
        let detail = json!({ "network": self.network, "failures": self.failures, "waitSecs": self.wait_secs });
        let object_id = self.user.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        audit::append(
            tx,
            &Entry {
                actor: "anonymous",
                action,
                object_kind: "user",
                object_id: &object_id,
                detail,
            },
        )
    }
}

fn over(code: &'static str, message: &str) -> AppError {
    AppError::new(Kind::Unauthenticated, code, message)
        .advice("log in again: `freehold login URL --user LOGIN`")
}

/// Says why a session does not go on, if so.
///
/// # Errors
/// `session_ended`.
pub fn refuse_if_over(found: &Found, now: Timestamp) -> Result<(), AppError> {
    let Found { session, user, .. } = found;
    if session.ended_at.is_some() || user.disabled_at.is_some() {
        return Err(over("session_ended", "the session was ended"));
    }
    if over_at(session.refreshed_at, session.expires_at) <= now {
        return Err(over(
            "session_ended",
            "the session is over: it was not used for long, or is old",
        ));
    }
    Ok(())
}

/// A client wants to go on with its session.
#[derive(Debug)]
pub struct Refresh {
    /// The hash of the refresh token.
    pub hash: String,
    /// Where the request came from.
    pub network: String,
}

impl Refresh {
    /// Gives the next tokens. The inner error is kept with what was done: a token that comes a second time
    /// is in two hands, so that its session ends.
    ///
    /// # Errors
    /// When the database fails.
    pub fn apply(
        self,
        tx: &Tx<'_>,
        master: &MasterKey,
    ) -> Result<Result<Opened, AppError>, AppError> {
        let Some(found) = sessions::by_token(tx, TokenKind::Refresh, &self.hash)? else {
            return Ok(Err(over("refresh_unknown", "the portal does not know this refresh token")));
        };
        if found.spent_at.is_some() {
            if sessions::end(tx, found.session.id, Ending::Reuse)? {
                let more = [("network", json!(self.network)), ("session", json!(found.session.id))];
                app_users::record(tx, "anonymous", "session.reuse", &found.user, &more)?;
                tracing::warn!(session = %found.session.id, user = %found.user.id, "a refresh token came twice; its session was ended");
            }
            return Ok(Err(over(
                "refresh_reused",
                "this refresh token was used before: somebody may have a copy of it, so that the session was ended",
            )));
        }
        if let Err(refused) = refuse_if_over(&found, tx.now()) {
            return Ok(Err(refused));
        }
        sessions::spend(tx, found.session.id, &found.hash)?;
        give_tokens(tx, master, found.session, found.user).map(Ok)
    }
}

/// A client ends its session.
#[derive(Debug)]
pub struct Logout {
    /// The hash of a refresh token of it, spent or not.
    pub hash: String,
}

impl Logout {
    /// Ends it. A session that is over is left as it is.
    ///
    /// # Errors
    /// `refresh_unknown`.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let found = sessions::by_token(tx, TokenKind::Refresh, &self.hash)?.ok_or_else(|| {
            over("refresh_unknown", "the portal does not know this refresh token")
        })?;
        if sessions::end(tx, found.session.id, Ending::Logout)? {
            let more = [("session", json!(found.session.id))];
            app_users::record(tx, &actor(&found.user.login), "logout", &found.user, &more)?;
        }
        Ok(())
    }
}
