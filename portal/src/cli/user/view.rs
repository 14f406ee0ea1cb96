//! Users as text.

use freehold_protocol::time::Timestamp;

use crate::{
    api::users::{SessionView, UserView, UserWithPassword},
    cli::{
        context::Ctx,
        error::CliError,
        output::{Fields, Table, age, clean, moment},
    },
};

fn state(user: &UserView, now: Timestamp) -> String {
    match user.disabled_at {
        Some(at) => format!("disabled {} ago", age(at, now)),
        None if user.password_due => "password due".to_owned(),
        None => "enabled".to_owned(),
    }
}

/// Many users.
pub(super) fn table(users: &[UserView], now: Timestamp) -> Table {
    let mut table = Table::new(["LOGIN", "NAME", "ROLE", "TENANT", "LAST LOGIN", "STATE", "ID"]);
    for user in users {
        table.row([
            user.login.to_string(),
            user.name.clone(),
            user.role.clone(),
            user.tenant.clone().unwrap_or_else(|| "-".into()),
            user.last_login_at.map_or_else(|| "never".into(), |at| age(at, now)),
            state(user, now),
            user.id.to_string(),
        ]);
    }
    table
}

/// Sessions of a user. `ENDS` is the time that is left unless it is used before.
pub(super) fn sessions(sessions: &[SessionView], now: Timestamp) -> Table {
    let mut table = Table::new(["ID", "NETWORK", "OPENED", "USED", "ENDS", "CURRENT"]);
    for session in sessions {
        table.row([
            session.id.to_string(),
            session.network.clone(),
            format!("{} ago", age(session.created_at, now)),
            format!("{} ago", age(session.last_used_at, now)),
            format!("in {}", age(now, session.idle_ends_at)),
            if session.current { "yes" } else { "-" }.to_owned(),
        ]);
    }
    table
}

/// One user.
pub(super) fn details(user: &UserView, now: Timestamp) -> String {
    let at = |time: Timestamp| moment(time, now);
    Fields::new()
        .add("login", &user.login)
        .add("id", user.id)
        .add("name", &user.name)
        .add("role", &user.role)
        .add_some("limited to", user.tenant.as_ref())
        .add("state", state(user, now))
        .add("password set", at(user.password_at))
        .add("last login", user.last_login_at.map_or_else(|| "never".into(), at))
        .add("created", format!("{} by {}", at(user.created_at), user.created_by))
        .add("updated", at(user.updated_at))
        .render()
}

/// A user and a password that is shown this once.
///
/// # Errors
/// When the output cannot be written.
pub(super) fn with_password(made: &UserWithPassword, ctx: &mut Ctx) -> Result<(), CliError> {
    if ctx.json {
        return ctx.document(made);
    }
    let login = clean(made.user.login.as_str());
    let Some(password) = &made.password else {
        return ctx.line(format_args!("{login} ({}) may log in", clean(&made.user.role)));
    };
    ctx.note(format_args!(
        "The first password of {login} ({}), shown this once; it is changed at the next login:",
        clean(&made.user.role)
    ));
    // Alone on standard output, so that it can be redirected into a file.
    ctx.line(clean(password))
}
