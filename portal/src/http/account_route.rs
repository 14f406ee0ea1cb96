//! Routes of users and their sessions.

use super::{
    spec::{Param, Spec},
    table::routes,
};
use crate::{
    api::{
        Page,
        schema::LoginText,
        users::{
            ChangePassword, CreateUser, Login, Me, RefreshToken, ResetPassword, SessionTokens,
            SessionView, Settings, UpdateMe, UpdateUser, UserView, UserWithPassword,
        },
    },
    app::role::Permission,
    domain::ids::{SessionId, UserId},
};

const OF_USERS: &[Param] = &[Param::new::<LoginText>("login", "Only the user with this login.")];

routes! {
    /// Users and sessions. Login, refresh and logout prove who asks by what they send.
    pub enum AccountRoute: Permission under "/api/v1" {
        Post ["auth", "login"] => Login, Public, "Opens a session with a password",
            Spec::gives::<SessionTokens>().asks::<Login>().refuses(&[401]);
        Post ["auth", "refresh"] => Refresh, Public, "The next pair of tokens; each refresh token is good once",
            Spec::gives::<SessionTokens>().asks::<RefreshToken>().refuses(&[401]);
        Post ["auth", "logout"] => Logout, Public, "Ends a session",
            Spec::done().asks::<RefreshToken>().refuses(&[401]);
        Get ["me"] => Me, Oneself, "Who asks", Spec::gives::<Me>()
            .more("A user's answer has an `ETag`; a token's has none.");
        Patch ["me"] => UpdateMe, Oneself, "Changes the name of the user who asks",
            Spec::changes::<Me>().asks::<UpdateMe>();
        Post ["me", "password"] => ChangePassword, Oneself, "Changes the password; all other sessions end",
            Spec::done().asks::<ChangePassword>().refuses(&[409]);
        Get ["me", "settings"] => GetSettings, Oneself, "What pages and programs keep for the user",
            Spec::gives::<Settings>().etag();
        Patch ["me", "settings"] => UpdateSettings, Oneself, "Merges into the settings (RFC 7396)",
            Spec::changes::<Settings>().asks::<Settings>();
        Get ["me", "sessions"] => ListOwnSessions, Oneself, "Open sessions of the user who asks, the last used first",
            Spec::gives::<Page<SessionView>>().more("All of them: there are twenty at most.");
        Delete ["me", "sessions", id] => EndOwnSession(id: SessionId), Oneself,
            "Ends a session of the user who asks, this one or another", Spec::done();
        Get ["users"] => ListUsers, Own, "Users", Spec::lists::<UserView>().query(OF_USERS).refuses(&[422]);
        Post ["users"] => CreateUser, Own, "Adds a user; without a password one is drawn and shown this once",
            Spec::makes::<UserWithPassword>().asks::<CreateUser>().etag().location();
        Get ["users", id] => GetUser(id: UserId), Own, "A user", Spec::gives::<UserView>().etag();
        Patch ["users", id] => UpdateUser(id: UserId), Own, "Changes login, name, role or tenant",
            Spec::changes::<UserView>().asks::<UpdateUser>();
        Delete ["users", id] => DeleteUser(id: UserId), Own, "Deletes a user",
            Spec::done().may_match().refuses(&[409]);
        Post ["users", id, "disable"] => DisableUser(id: UserId), Own, "Ends all sessions and lets it log in no more",
            Spec::gives::<UserView>().etag().refuses(&[409]);
        Post ["users", id, "enable"] => EnableUser(id: UserId), Own, "Lets it log in again",
            Spec::gives::<UserView>().etag().refuses(&[409]);
        Post ["users", id, "reset-password"] => ResetPassword(id: UserId), Own,
            "Sets a password, or draws one that is shown this once; all sessions end",
            Spec::gives::<UserWithPassword>().may_ask::<ResetPassword>().etag().refuses(&[409]);
        Get ["users", id, "sessions"] => ListUserSessions(id: UserId), Own, "Open sessions of a user, the last used first",
            Spec::gives::<Page<SessionView>>().more("All of them: there are twenty at most.");
        Delete ["users", user, "sessions", id] => EndUserSession(user: UserId, id: SessionId), Own,
            "Ends a session of a user", Spec::done();
    }
}
