//! Which sessions of a user are open, and ending one of them.

use freehold_protocol::time::Timestamp;
use serde_json::json;

use super::users as app_users;
use crate::{
    db::{
        Read, Tx,
        sessions::{self, SessionRow},
    },
    domain::{
        ids::{SessionId, UserId},
        session::{Ending, over_at},
    },
    error::AppError,
};

/// Whether a session goes on: it was not ended, is not old, and was used not long ago.
fn is_open(session: &SessionRow, now: Timestamp) -> bool {
    session.ended_at.is_none() && over_at(session.refreshed_at, session.expires_at) > now
}

/// The open sessions of a user, the one that was used last first.
///
/// # Errors
/// When there is no such user.
pub fn list(read: &Read<'_>, user: UserId, now: Timestamp) -> Result<Vec<SessionRow>, AppError> {
    let user = app_users::find(read, user)?;
    if user.disabled_at.is_some() {
        return Ok(Vec::new());
    }
    let mut found = sessions::not_ended(read, user.id)?;
    found.retain(|session| is_open(session, now));
    Ok(found)
}

/// A user, or an owner for it, ends one of its sessions.
#[derive(Debug)]
pub struct EndSession {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// Who ends it: the user or an owner.
    pub why: Ending,
    /// Who asks.
    pub actor: String,
}

impl EndSession {
    /// Ends it, and with it all its tokens. A session that is over is left as it is.
    ///
    /// # Errors
    /// When the user has no such session.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let Self { user, session, why, actor } = self;
        let user = app_users::find(tx, user)?;
        let session = sessions::of_user(tx, user.id, session)?
            .ok_or_else(|| AppError::not_found("session", session))?;
        if !is_open(&session, tx.now()) || !sessions::end(tx, session.id, why)? {
            return Ok(());
        }
        let more = [("network", json!(session.network)), ("session", json!(session.id))];
        app_users::record(tx, &actor, "session.end", &user, &more)
    }
}
