//! Rules of sessions: how long they and their tokens last, and why they end.

use freehold_protocol::time::Timestamp;

use super::spelled;

/// How long an access token is good, in seconds.
pub const ACCESS_SECS: i64 = 15 * 60;
/// How long a session lasts that nobody refreshes, in seconds.
pub const IDLE_SECS: i64 = 7 * 86_400;
/// How long a session lasts at most, in seconds.
pub const MOST_SECS: i64 = 30 * 86_400;
/// Most open sessions of a user; the one that was used longest ago ends for a new one.
pub const MAX_SESSIONS: u32 = 20;
/// Most sessions of a user that are over and still remembered, so that logging in over and over does not
/// fill the database.
pub const MAX_ENDED: u32 = 100;
/// Access tokens of a session that are good at once: the newest, and the one before, with which another
/// process of the same person may just be asking.
pub const ACCESS_AT_ONCE: u32 = 2;
/// Most spent refresh tokens of a session that are remembered: those of 30 days, one each quarter of an
/// hour, and some.
pub const MAX_SPENT: u32 = 4_000;

spelled! {
    /// What a token of a session is good for.
    TokenKind, "kind of session token" {
        /// To ask.
        Access = "access",
        /// To get further tokens, once.
        Refresh = "refresh",
    }
}

spelled! {
    /// Why a session was ended.
    Ending, "reason" {
        /// The user logged out.
        Logout = "logout",
        /// A refresh token was used twice: somebody has a copy.
        Reuse = "reuse",
        /// The password was changed in another session.
        Password = "password",
        /// An owner has set a new password.
        Reset = "reset",
        /// The user was disabled.
        Disabled = "disabled",
        /// The user has ended it, from this session or from another one.
        ByUser = "by_user",
        /// An owner has ended it.
        ByOwner = "by_owner",
        /// The user has opened more sessions than there may be.
        TooMany = "too_many",
    }
}

/// The moment at which a session ends by itself.
#[must_use]
pub fn over_at(refreshed_at: Timestamp, expires_at: Timestamp) -> Timestamp {
    expires_at.min(refreshed_at.plus_secs(IDLE_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_idle_or_old() {
        let opened = Timestamp::from_millis(0);
        let end = opened.plus_secs(MOST_SECS);
        assert_eq!(over_at(opened, end), opened.plus_secs(IDLE_SECS));
        let late = opened.plus_secs(MOST_SECS - 60);
        assert_eq!(over_at(late, end), end);
    }
}
