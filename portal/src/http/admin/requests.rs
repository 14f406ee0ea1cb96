//! `/api/v1/requests`

use freehold_protocol::{ids::ProvisionRequestId, job::Work};

use super::Context;
use crate::{
    api::{
        Page, paths,
        requests::{
            AmountView, ApproveRequest, CapacityView, CreateRequest, DetailView, RejectRequest,
            RequestView,
        },
    },
    app::{
        request_capacity::{self, Capacity},
        request_decide::{Approve, Reject},
        request_retry::Retry,
        requests as app,
    },
    db::{
        Read,
        requests::{self, RequestRow},
    },
    domain::{capacity::Weighed, request::RequestStatus},
    error::AppError,
    http::{
        input::{self, Query},
        request_route::RequestRoute,
        respond::Answer,
    },
};

/// Does what is asked.
pub(super) fn dispatch(ctx: &Context<'_>, route: RequestRoute) -> Result<Answer, AppError> {
    use RequestRoute as R;
    match route {
        R::ListRequests => list(ctx),
        R::CreateRequest => create(ctx),
        R::GetRequest(id) => get(ctx, id),
        R::ApproveRequest(id) => approve(ctx, id),
        R::RejectRequest(id) => reject(ctx, id),
        R::WithdrawRequest(id) => withdraw(ctx, id),
        R::RetryRequest(id) => retry(ctx, id),
    }
}

fn summary(row: RequestRow) -> RequestView {
    RequestView {
        id: row.id,
        status: row.status.as_str().to_owned(),
        customer: row.customer,
        customer_name: row.customer_name,
        license: row.license,
        deployment_model: row.model.as_str().to_owned(),
        justification: row.justification,
        host: row.host,
        host_id: row.host_id,
        tenant: row.tenant,
        slug: row.slug,
        name: row.name,
        domain: row.domain,
        blueprint: row.blueprint,
        release: row.release,
        detail: None,
        digest: row.digest,
        capacity: None,
        requested_by: row.requested_by,
        decided_by: row.decided_by,
        decided_at: row.decided_at,
        comment: row.comment,
        despite_capacity: row.short,
        job: row.job,
        failure: row.failure,
        generation: row.generation,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// One request in all detail.
fn view(read: &Read<'_>, row: RequestRow) -> Result<RequestView, AppError> {
    let detail = match requests::work(read, row.id)?.into_work() {
        Work::DeployTenant(deploy) => Some(DetailView {
            release_digest: deploy.release.digest,
            settings: deploy.settings,
            admin_email: deploy.admin.as_ref().map(|admin| admin.email.clone()),
            admin_name: deploy.admin.map(|admin| admin.name),
            certificate: deploy.certificate,
        }),
        Work::RemoveTenant(_) | Work::CheckTenant(_) | Work::ProbeHost(_) => None,
    };
    let capacity = match row.status {
        RequestStatus::Pending => Some(capacity_view(&request_capacity::of(read, &row)?)),
        RequestStatus::Approved
        | RequestStatus::Deployed
        | RequestStatus::Failed
        | RequestStatus::Rejected
        | RequestStatus::Withdrawn => None,
    };
    Ok(RequestView { detail, capacity, ..summary(row) })
}

fn capacity_view(capacity: &Capacity) -> CapacityView {
    let amount = |weighed: &Weighed| AmountView {
        total: weighed.total,
        free: weighed.free,
        promised: weighed.promised,
        takes: weighed.takes,
        left: weighed.left,
    };
    let balance = capacity.known.as_ref().map(|(balance, _)| balance);
    CapacityView {
        reported_at: capacity.known.as_ref().map(|(_, at)| *at),
        memory_mb: balance.map(|balance| amount(&balance.memory_mb)),
        cpu_millis: balance.map(|balance| amount(&balance.cpu_millis)),
        disk_gb: balance.map(|balance| amount(&balance.disk_gb)),
        tenants: capacity.tenants,
        tenant_limit: capacity.host.tenant_limit,
        lacks: capacity.lacks(),
    }
}

fn answer(view: &RequestView) -> Result<Answer, AppError> {
    Ok(Answer::ok(view)?.generation(view.generation))
}

/// The request whose job was queued: 202, as for all work.
fn accepted(read: &Read<'_>, row: RequestRow) -> Result<Answer, AppError> {
    let view = view(read, row)?;
    Ok(Answer::json(202, &view)?.location(paths::request(view.id)).generation(view.generation))
}

fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let known = ["limit", "cursor", "status", "customer", "host"];
    let query = Query::parse(&ctx.request.head, &known)?;
    let (limit, before) = (query.limit()?, query.after("requests")?);
    let filter = requests::Filter {
        status: query.parsed("status")?,
        customer: query.parsed("customer")?,
        host: query.parsed("host")?,
    };
    let page = ctx.read(|read| {
        let mut rows = requests::list(read, &filter, &before, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "requests", |row| row.id.to_string());
        Ok(Page { items: rows.into_iter().map(summary).collect(), next })
    })?;
    Answer::ok(&page)
}

fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let request: CreateRequest = input::body(ctx.request)?;
    let create = app::CreateRequest {
        request,
        actor: ctx.actor(),
        requester: ctx.caller.id(),
        rules: ctx.rules,
    };
    ctx.create(move |tx| {
        let view = view(tx, create.apply(tx)?)?;
        let path = paths::request(view.id);
        Ok(Answer::json(201, &view)?.location(path).generation(view.generation))
    })
}

fn get(ctx: &Context<'_>, id: ProvisionRequestId) -> Result<Answer, AppError> {
    answer(&ctx.read(|read| view(read, app::find(read, id)?))?)
}

fn approve(ctx: &Context<'_>, id: ProvisionRequestId) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: ApproveRequest = input::body_or_default(ctx.request)?;
    let approve = Approve {
        id,
        generation,
        request,
        actor: ctx.actor(),
        approver: ctx.caller.id(),
        four_eyes: ctx.four_eyes,
        rules: ctx.rules,
    };
    ctx.create(move |tx| {
        let row = approve.apply(tx)?;
        accepted(tx, row)
    })
}

fn reject(ctx: &Context<'_>, id: ProvisionRequestId) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: RejectRequest = input::body(ctx.request)?;
    let reject = Reject { id, generation, request, actor: ctx.actor() };
    answer(&ctx.write(move |tx| view(tx, reject.apply(tx)?))?)
}

fn withdraw(ctx: &Context<'_>, id: ProvisionRequestId) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let withdraw = app::WithdrawRequest {
        id,
        generation: input::if_match_optional(&ctx.request.head)?,
        actor: ctx.actor(),
        caller: ctx.caller.id(),
        role: ctx.caller.role(),
    };
    answer(&ctx.write(move |tx| view(tx, withdraw.apply(tx)?))?)
}

fn retry(ctx: &Context<'_>, id: ProvisionRequestId) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let retry = Retry { id, actor: ctx.actor(), rules: ctx.rules };
    ctx.create(move |tx| {
        let row = retry.apply(tx)?;
        accepted(tx, row)
    })
}
