//! `/api/v1/customers`

use super::Context;
use crate::{
    api::{
        Page,
        customers::{CreateCustomer, CustomerView, UpdateCustomer},
        paths,
    },
    app::customers as app,
    db::customers::{self, CustomerRow},
    domain::ids::CustomerId,
    error::{AppError, Kind},
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

fn view(row: CustomerRow) -> CustomerView {
    CustomerView {
        id: row.id,
        name: row.name,
        email: row.email,
        organization_id: row.organization_id,
        notes: row.notes,
        licenses: row.licenses,
        generation: row.generation,
        created_by: row.created_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn answer(row: CustomerRow) -> Result<Answer, AppError> {
    let generation = row.generation;
    Ok(Answer::ok(&view(row))?.generation(generation))
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["limit", "cursor", "organizationId"])?;
    let (limit, after) = (query.limit()?, query.after("customers")?);
    let organization = query.get("organizationId");
    if organization.is_some_and(|text| !app::is_organization(text)) {
        return Err(AppError::new(
            Kind::BadRequest,
            "bad_query",
            "organizationId is none that a customer can have",
        ));
    }
    let page = ctx.read(|read| {
        let mut rows = customers::list(read, organization, &after, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "customers", |row| row.id.to_string());
        Ok(Page { items: rows.into_iter().map(view).collect(), next })
    })?;
    Answer::ok(&page)
}

pub(super) fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let request: CreateCustomer = input::body(ctx.request)?;
    let create = app::CreateCustomer { request, actor: ctx.actor() };
    ctx.create(move |tx| {
        let customer = create.apply(tx)?;
        let (path, generation) = (paths::customer(customer.id), customer.generation);
        Ok(Answer::json(201, &view(customer))?.location(path).generation(generation))
    })
}

pub(super) fn get(ctx: &Context<'_>, id: CustomerId) -> Result<Answer, AppError> {
    answer(ctx.read(|read| app::find(read, id))?)
}

pub(super) fn update(ctx: &Context<'_>, id: CustomerId) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: UpdateCustomer = input::body(ctx.request)?;
    let update = app::UpdateCustomer { id, generation, request, actor: ctx.actor() };
    answer(ctx.write(move |tx| update.apply(tx))?)
}

pub(super) fn delete(ctx: &Context<'_>, id: CustomerId) -> Result<Answer, AppError> {
    let generation = input::if_match_optional(&ctx.request.head)?;
    let delete = app::DeleteCustomer { id, generation, actor: ctx.actor() };
    ctx.write(move |tx| delete.apply(tx))?;
    Ok(Answer::no_content())
}
