//! `/api/v1/users`

use freehold_protocol::secret::Secret;

use super::{Context, tokens::limited_to};
use crate::{
    api::{
        Page, paths,
        users::{CreateUser, ResetPassword, UpdateUser, UserView, UserWithPassword},
    },
    app::{
        password_hash,
        users::{self as app, Access, Hashed},
    },
    db::users::{self, UserRow},
    domain::{ids::UserId, password},
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

pub(super) fn view(row: &UserRow) -> UserView {
    UserView {
        id: row.id,
        login: row.login.clone(),
        name: row.name.clone(),
        role: row.role.as_str().to_owned(),
        tenant: limited_to(row.tenant, row.tenant_slug.as_ref()),
        password_due: row.password_due,
        password_at: row.password_at,
        disabled_at: row.disabled_at,
        last_login_at: row.last_login_at,
        generation: row.generation,
        created_by: row.created_by.clone(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn answer(row: &UserRow) -> Result<Answer, AppError> {
    Ok(Answer::ok(&view(row))?.generation(row.generation))
}

/// The password that somebody else chooses for a user: hashed, and as text when the portal has drawn it.
fn choose(
    ctx: &Context<'_>,
    given: Option<String>,
    keep: bool,
    login: &str,
) -> Result<(Hashed, Option<Secret>), AppError> {
    let (secret, drawn) = match given {
        Some(text) => {
            password::check(&text, login).map_err(|why| AppError::invalid("/password", why))?;
            (Secret::new(text), None)
        }
        None => {
            let drawn = password_hash::draw()?;
            (drawn.clone(), Some(drawn))
        }
    };
    let due = drawn.is_some() || !keep;
    Ok((Hashed { hash: ctx.hasher.hash(&secret)?, due }, drawn))
}

fn with_password(row: &UserRow, drawn: Option<&Secret>) -> UserWithPassword {
    UserWithPassword { user: view(row), password: drawn.map(|text| text.expose().to_owned()) }
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["limit", "cursor", "login"])?;
    let (limit, after) = (query.limit()?, query.after("users")?);
    let login = query
        .get("login")
        .map(app::parse_login)
        .transpose()
        .map_err(|error| AppError::invalid_id("/login", &error))?;
    let page = ctx.read(|read| {
        let mut rows = users::list(read, login.as_ref(), &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "users", |row| row.id.to_string());
        Ok(Page { items: rows.iter().map(view).collect(), next })
    })?;
    Answer::ok(&page)
}

pub(super) fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let request: CreateUser = input::body(ctx.request)?;
    let user = app::NewUser::parse(&request)?;
    let (password, drawn) =
        choose(ctx, request.password, request.keep_password, user.login.as_str())?;
    let create = app::CreateUser { user, password, actor: ctx.actor() };
    ctx.create(move |tx| {
        let user = create.apply(tx)?;
        let created = with_password(&user, drawn.as_ref());
        let answer =
            Answer::json(201, &created)?.location(paths::user(user.id)).generation(user.generation);
        Ok(if drawn.is_some() { answer.secret() } else { answer })
    })
}

pub(super) fn get(ctx: &Context<'_>, id: UserId) -> Result<Answer, AppError> {
    answer(&ctx.read(|read| app::find(read, id))?)
}

pub(super) fn update(ctx: &Context<'_>, id: UserId) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: UpdateUser = input::body(ctx.request)?;
    let by = ctx.caller.user().ok().map(|(user, _)| user.id);
    let update = app::UpdateUser { id, generation, request, by, actor: ctx.actor() };
    answer(&ctx.write(move |tx| update.apply(tx))?)
}

pub(super) fn set_access(ctx: &Context<'_>, id: UserId, to: Access) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let set = app::SetAccess { id, to, actor: ctx.actor() };
    answer(&ctx.write(move |tx| set.apply(tx))?)
}

pub(super) fn reset_password(ctx: &Context<'_>, id: UserId) -> Result<Answer, AppError> {
    let request: ResetPassword = input::body_or_default(ctx.request)?;
    if request.keep_password && request.password.is_none() {
        return Err(AppError::invalid("/keepPassword", "it goes with a password"));
    }
    let user = ctx.read(|read| app::find(read, id))?;
    let (password, drawn) =
        choose(ctx, request.password, request.keep_password, user.login.as_str())?;
    let reset = app::ResetPassword { id, password, actor: ctx.actor() };
    let user = ctx.write(move |tx| reset.apply(tx))?;
    Ok(Answer::ok(&with_password(&user, drawn.as_ref()))?.generation(user.generation).secret())
}

pub(super) fn delete(ctx: &Context<'_>, id: UserId) -> Result<Answer, AppError> {
    let generation = input::if_match_optional(&ctx.request.head)?;
    let delete = app::DeleteUser { id, generation, actor: ctx.actor() };
    ctx.write(move |tx| delete.apply(tx))?;
    Ok(Answer::no_content())
}
