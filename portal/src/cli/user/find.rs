//! A user by what people know of it.

use crate::{
    api::{
        paths,
        users::{Me, UserView},
    },
    cli::{error::CliError, remote::Client},
    domain::ids::UserId,
    exit::Exit,
};

/// Whoever asks.
///
/// # Errors
/// When it is a token, or the portal cannot be asked.
pub(super) fn own(client: &Client) -> Result<UserView, CliError> {
    let me: Me = client.get(paths::ME, &Vec::new())?;
    me.user.ok_or_else(|| {
        CliError::new(Exit::Denied, "only a user has this, and no token")
            .hint("log in as a user: `freehold login URL --user LOGIN`")
    })
}

/// Finds a user by identifier or login.
///
/// # Errors
/// When there is none, or the portal cannot be asked.
pub(super) fn find(client: &Client, text: &str) -> Result<UserView, CliError> {
    if let Ok(id) = text.parse::<UserId>() {
        return Ok(client.get(&paths::user(id), &Vec::new())?);
    }
    let query = vec![("login", text.to_owned())];
    let mut found: Vec<UserView> = client.list(paths::USERS, &query, Some(1))?;
    found.pop().ok_or_else(|| {
        CliError::new(Exit::NotFound, format!("there is no user {text}"))
            .hint("`freehold user list` shows all")
    })
}
