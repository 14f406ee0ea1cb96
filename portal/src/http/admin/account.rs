//! `/api/v1/me`, and what `http/account_route.rs` names besides.

use freehold_protocol::secret::Secret;

use super::{Context, open_sessions, sessions, tokens, users};
use crate::{
    api::users::{ChangePassword, Me, Settings, UpdateMe},
    app::{
        account as app,
        users::{self as app_users, Access},
    },
    domain::password,
    error::{AppError, Kind},
    http::{account_route::AccountRoute, auth::Caller, input, respond::Answer},
};

/// Does what is asked.
pub(super) fn dispatch(ctx: &Context<'_>, route: AccountRoute) -> Result<Answer, AppError> {
    use AccountRoute as R;
    match route {
        R::Login | R::Refresh | R::Logout => {
            Err(AppError::bug("a request without caller came to a handler that has one"))
        }
        R::Me => me(ctx),
        R::UpdateMe => update(ctx),
        R::ChangePassword => change_password(ctx),
        R::GetSettings => settings(ctx),
        R::UpdateSettings => update_settings(ctx),
        R::ListOwnSessions => open_sessions::list_own(ctx),
        R::EndOwnSession(id) => open_sessions::end_own(ctx, id),
        R::ListUsers => users::list(ctx),
        R::CreateUser => users::create(ctx),
        R::GetUser(id) => users::get(ctx, id),
        R::UpdateUser(id) => users::update(ctx, id),
        R::DeleteUser(id) => users::delete(ctx, id),
        R::DisableUser(id) => users::set_access(ctx, id, Access::Disabled),
        R::EnableUser(id) => users::set_access(ctx, id, Access::Enabled),
        R::ResetPassword(id) => users::reset_password(ctx, id),
        R::ListUserSessions(id) => open_sessions::list_of(ctx, id),
        R::EndUserSession(user, id) => open_sessions::end_of(ctx, user, id),
    }
}

fn me_of(caller: &Caller) -> Me {
    let mut me = Me {
        actor: caller.actor(),
        role: caller.role().as_str().to_owned(),
        tenant: None,
        token: None,
        user: None,
        session: None,
    };
    match caller {
        Caller::Token(token) => {
            let token = tokens::view(token);
            me.tenant.clone_from(&token.tenant);
            me.token = Some(token);
        }
        Caller::User { user, session } => {
            let user = users::view(user);
            me.tenant.clone_from(&user.tenant);
            me.user = Some(user);
            me.session = Some(sessions::view(session, true));
        }
    }
    me
}

fn me(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let answer = Answer::ok(&me_of(ctx.caller))?;
    Ok(match ctx.caller {
        Caller::Token(_) => answer,
        Caller::User { user, .. } => answer.generation(user.generation),
    })
}

fn update(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let (user, session) = ctx.caller.user()?;
    let generation = input::if_match(&ctx.request.head)?;
    let request: UpdateMe = input::body(ctx.request)?;
    let update = app::UpdateSelf { id: user.id, generation, request };
    let user = Box::new(ctx.write(move |tx| update.apply(tx))?);
    let generation = user.generation;
    let caller = Caller::User { user, session: Box::new(session.clone()) };
    Ok(Answer::ok(&me_of(&caller))?.generation(generation))
}

fn settings(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let (user, _) = ctx.caller.user()?;
    let user = ctx.read(|read| app_users::find(read, user.id))?;
    Ok(Answer::ok(&user.settings)?.generation(user.generation))
}

fn update_settings(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let (user, _) = ctx.caller.user()?;
    let generation = input::if_match(&ctx.request.head)?;
    let patch: Settings = input::body(ctx.request)?;
    let update = app::UpdateSettings { id: user.id, generation, patch };
    let user = ctx.write(move |tx| update.apply(tx))?;
    Ok(Answer::ok(&user.settings)?.generation(user.generation))
}

fn change_password(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let (user, session) = ctx.caller.user()?;
    let ChangePassword { old, new } = input::body(ctx.request)?;
    let (old, new) = (Secret::new(old), Secret::new(new));
    let login = user.login.as_str();
    password::check(new.expose(), login).map_err(|why| AppError::invalid("/new", why))?;
    if new == old {
        return Err(AppError::invalid("/new", "it is the old one"));
    }
    // Whoever has found an open session must not find out the password by trying.
    let now = ctx.now();
    let attempt = ctx.guard_of_logins.begin(login, ctx.request.peer, false, now)?;
    let is_right = match ctx.hasher.is_password(&old, Some(&user.password)) {
        Ok(is_right) => is_right,
        Err(error) => {
            ctx.guard_of_logins.undecided(&attempt);
            return Err(error);
        }
    };
    if !is_right {
        return Err(AppError::new(Kind::Forbidden, "wrong_password", "the old password is wrong")
            .field("/old", "type it again"));
    }
    ctx.guard_of_logins.succeeded(&attempt);
    let change = app::ChangePassword {
        id: user.id,
        session: session.id,
        old: user.password.clone(),
        new: ctx.hasher.hash(&new)?,
    };
    ctx.write(move |tx| change.apply(tx))?;
    Ok(Answer::no_content())
}
