//! Somebody must be able to look after the portal: the last owner stays, be it a user or a token.

use freehold_protocol::ids::TokenId;

use crate::{
    db::{Read, tokens, users},
    domain::ids::UserId,
    error::AppError,
};

/// Who is about to be an owner no more.
#[derive(Debug, Clone, Copy)]
pub enum Loses {
    /// A token.
    Token(TokenId),
    /// A user.
    User(UserId),
}

/// Refuses to lose the last owner.
///
/// # Errors
/// `last_owner`.
pub fn refuse_to_lose_last(read: &Read<'_>, loses: Loses) -> Result<(), AppError> {
    let (token, user, what) = match loses {
        Loses::Token(id) => (Some(id), None, "token"),
        Loses::User(id) => (None, Some(id), "user"),
    };
    if tokens::count_owners(read, token)? > 0 || users::count_owners(read, user)? > 0 {
        return Ok(());
    }
    Err(AppError::conflict("last_owner", format!("this {what} is the last valid owner"))
        .advice("create another owner first: a user or a token"))
}
