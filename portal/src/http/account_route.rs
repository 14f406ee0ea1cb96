//! Routes of users and their sessions. `route.rs` hands over what stands below their addresses.

use super::{
    route::{RouteError, part},
    server::Method,
};
use crate::{app::role::Permission, domain::ids::UserId};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "docs/api.md describes each, and the table below shows its address"
)]
pub enum AccountRoute {
    Login,
    Refresh,
    Logout,
    Me,
    UpdateMe,
    ChangePassword,
    GetSettings,
    UpdateSettings,
    ListUsers,
    CreateUser,
    GetUser(UserId),
    UpdateUser(UserId),
    DeleteUser(UserId),
    DisableUser(UserId),
    EnableUser(UserId),
    ResetPassword(UserId),
}

impl AccountRoute {
    /// What a caller must be allowed to do.
    #[must_use]
    pub const fn permission(&self) -> Permission {
        match self {
            // They prove who asks by what they send.
            Self::Login | Self::Refresh | Self::Logout => Permission::Public,
            Self::Me
            | Self::UpdateMe
            | Self::ChangePassword
            | Self::GetSettings
            | Self::UpdateSettings => Permission::Oneself,
            Self::ListUsers
            | Self::CreateUser
            | Self::GetUser(_)
            | Self::UpdateUser(_)
            | Self::DeleteUser(_)
            | Self::DisableUser(_)
            | Self::EnableUser(_)
            | Self::ResetPassword(_) => Permission::Own,
        }
    }
}

/// Everything that stands at an address; none when it is no address of this side.
pub(super) fn at(segments: &[&str]) -> Result<Option<Vec<(Method, AccountRoute)>>, RouteError> {
    use AccountRoute as R;
    use Method::{Delete, Get, Patch, Post};
    Ok(Some(match segments {
        ["auth", "login"] => vec![(Post, R::Login)],
        ["auth", "refresh"] => vec![(Post, R::Refresh)],
        ["auth", "logout"] => vec![(Post, R::Logout)],
        ["me"] => vec![(Get, R::Me), (Patch, R::UpdateMe)],
        ["me", "password"] => vec![(Post, R::ChangePassword)],
        ["me", "settings"] => vec![(Get, R::GetSettings), (Patch, R::UpdateSettings)],
        ["users"] => vec![(Get, R::ListUsers), (Post, R::CreateUser)],
        ["users", id] => {
            let id: UserId = part(id)?;
            vec![(Get, R::GetUser(id)), (Patch, R::UpdateUser(id)), (Delete, R::DeleteUser(id))]
        }
        ["users", id, "disable"] => vec![(Post, R::DisableUser(part(id)?))],
        ["users", id, "enable"] => vec![(Post, R::EnableUser(part(id)?))],
        ["users", id, "reset-password"] => vec![(Post, R::ResetPassword(part(id)?))],
        _ => return Ok(None),
    }))
}
