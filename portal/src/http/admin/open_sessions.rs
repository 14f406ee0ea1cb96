//! `/api/v1/me/sessions`, and the sessions below `/api/v1/users`.

use super::{Context, sessions::view};
use crate::{
    api::Page,
    app::open_sessions::{self as app, EndSession},
    domain::{
        ids::{SessionId, UserId},
        session::Ending,
    },
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

fn list(ctx: &Context<'_>, user: UserId) -> Result<Answer, AppError> {
    let asking = ctx.caller.user().ok().map(|(_, session)| session.id);
    let now = ctx.now();
    let found = ctx.read(|read| app::list(read, user, now))?;
    let items = found.iter().map(|row| view(row, asking == Some(row.id))).collect();
    Answer::ok(&Page { items, next: None })
}

fn end(
    ctx: &Context<'_>,
    user: UserId,
    session: SessionId,
    why: Ending,
) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let end = EndSession { user, session, why, actor: ctx.actor() };
    ctx.write(move |tx| end.apply(tx))?;
    Ok(Answer::no_content())
}

pub(super) fn list_own(ctx: &Context<'_>) -> Result<Answer, AppError> {
    Query::parse(&ctx.request.head, &[])?;
    let (user, _) = ctx.caller.user()?;
    list(ctx, user.id)
}

pub(super) fn end_own(ctx: &Context<'_>, session: SessionId) -> Result<Answer, AppError> {
    let (user, _) = ctx.caller.user()?;
    end(ctx, user.id, session, Ending::ByUser)
}

pub(super) fn list_of(ctx: &Context<'_>, user: UserId) -> Result<Answer, AppError> {
    Query::parse(&ctx.request.head, &[])?;
    list(ctx, user)
}

pub(super) fn end_of(
    ctx: &Context<'_>,
    user: UserId,
    session: SessionId,
) -> Result<Answer, AppError> {
    end(ctx, user, session, Ending::ByOwner)
}
