//! `/api/v1/tokens`

use freehold_protocol::ids::{TenantId, TenantSlug, TokenId};

use super::Context;
use crate::{
    api::{
        Page, paths,
        tokens::{CreateToken, TokenCreated, TokenView},
    },
    app::tokens::{MintToken, RevokeToken},
    db::tokens::{self, TokenRow},
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

pub(super) fn view(row: &TokenRow) -> TokenView {
    TokenView {
        id: row.id,
        name: row.name.clone(),
        role: row.role.as_str().to_owned(),
        tenant: limited_to(row.tenant, row.tenant_slug.as_ref()),
        hint: format!("{}…{}", row.prefix, row.last4),
        created_by: row.created_by.clone(),
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    }
}

/// How the tenant is shown that somebody is limited to. One that is gone is shown, too: whoever was
/// limited to it must not look like somebody who is not limited.
pub(super) fn limited_to(id: Option<TenantId>, slug: Option<&TenantSlug>) -> Option<String> {
    let id = id?;
    Some(slug.map_or_else(|| id.to_string(), ToString::to_string))
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["limit", "cursor"])?;
    let (limit, after) = (query.limit()?, query.after("tokens")?);
    let page = ctx.read(|read| {
        let mut rows = tokens::list(read, &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "tokens", |row| row.id.to_string());
        Ok(Page { items: rows.iter().map(view).collect(), next })
    })?;
    Answer::ok(&page)
}

pub(super) fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let CreateToken { name, role, tenant, expires_in_days } = input::body(ctx.request)?;
    let role = role.parse().map_err(|error| AppError::invalid_id("/role", &error))?;
    let tenant = tenant
        .map(|slug| slug.parse())
        .transpose()
        .map_err(|error| AppError::invalid_id("/tenant", &error))?;
    let maker = Some(ctx.caller.id());
    let mint = MintToken { name, role, tenant, expires_in_days, actor: ctx.actor(), maker };
    let keys = ctx.keys.clone();
    ctx.create(move |tx| {
        let (token, secret) = mint.apply(tx, keys.master())?;
        let created = TokenCreated { token: view(&token), secret: secret.expose().to_owned() };
        Ok(Answer::json(201, &created)?.location(paths::token(token.id)).secret())
    })
}

pub(super) fn revoke(ctx: &Context<'_>, id: TokenId) -> Result<Answer, AppError> {
    let actor = ctx.actor();
    ctx.write(move |tx| RevokeToken { id, actor }.apply(tx))?;
    Ok(Answer::no_content())
}
