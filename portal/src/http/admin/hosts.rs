//! `/api/v1/hosts`

use freehold_protocol::ids::{HostName, TenantSlug};

use super::Context;
use crate::{
    api::{
        Page,
        hosts::{
            AgentView, ConflictView, CreateEnrollmentToken, CreateHost, EnrollmentTokenCreated,
            HostPorts, HostView, OrphanReportView, PortView, RevokeHost as RevokeHostBody,
            UpdateHost,
        },
        paths,
    },
    app::{hosts_admin as app, revoke_host::RevokeHost},
    db::{
        Read,
        agents::{self, AgentRow},
        hosts::{self, HostRow, HostState},
        inventory, orphans, tenants,
    },
    domain::presence::{Presence, presence},
    error::AppError,
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

/// Most orphan reports that are shown of one host.
const ORPHANS_SHOWN: u32 = 20;

fn view(read: &Read<'_>, host: HostRow) -> Result<HostView, AppError> {
    let agent = host.agent_id.map(|id| agents::get(read, id)).transpose()?;
    let (facts, facts_received_at) =
        inventory::of(read, host.id)?.map(|(inventory, at)| (inventory.facts, at)).unzip();
    let presence = presence(
        agent.as_ref().and_then(|agent| agent.last_seen_at),
        agent.as_ref().and_then(|agent| agent.expected_at),
        read.now(),
    );
    let (state, presence) = match host.revoked_at {
        Some(_) => ("revoked", Presence::Offline),
        None => (host.state.as_str(), presence),
    };
    let conflict =
        agent.as_ref().filter(|_| host.state == HostState::Conflict).map(|agent| ConflictView {
            at: agent.conflict_at,
            agent_head: agent.conflict_head,
            proven: agent.conflict_proof.is_some(),
        });
    Ok(HostView {
        id: host.id,
        state: state.to_owned(),
        presence: presence.as_str().to_owned(),
        labels: host.labels,
        tenant_limit: host.tenant_limit,
        tenants: tenants::count_on_host(read, host.id)?,
        drained: host.drained,
        agent: agent.map(agent_view).transpose()?,
        facts,
        facts_received_at,
        conflict,
        revoked_at: host.revoked_at,
        orphan_reports: Vec::new(),
        generation: host.generation,
        created_at: host.created_at,
        updated_at: host.updated_at,
        name: host.name,
    })
}

fn agent_view(agent: AgentRow) -> Result<AgentView, AppError> {
    Ok(AgentView {
        id: agent.id,
        version: agent.version,
        last_seen_at: agent.last_seen_at,
        clock_skew_ms: agent.clock_skew_ms,
        draining: agent.draining,
        trust_version: agent.trust_version,
        head: agent.head,
        enrolled_at: agent.created_at,
        identity_key: agent.identity_key.key()?.fingerprint(),
        report_key: agent.report_key.key()?.fingerprint(),
        seal_key: agent.seal_key.fingerprint(),
    })
}

fn orphan(row: orphans::OrphanRow) -> OrphanReportView {
    OrphanReportView {
        job: row.job,
        attempt: row.attempt,
        kind: row.kind,
        outcome: row.outcome,
        failure: row.failure,
        ended_at: row.ended_at,
        received_at: row.received_at,
    }
}

fn answer(read: &Read<'_>, status: u16, host: HostRow) -> Result<Answer, AppError> {
    let orphans = orphans::latest(read, host.id, ORPHANS_SHOWN)?;
    let mut view = view(read, host)?;
    view.orphan_reports = orphans.into_iter().map(orphan).collect();
    Ok(Answer::json(status, &view)?.generation(view.generation))
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["limit", "cursor"])?;
    let (limit, after) = (query.limit()?, query.after("hosts")?);
    let page = ctx.read(|read| {
        let mut rows = hosts::page(read, &after, limit as usize + 1)?;
        let next = input::next_page(&mut rows, limit, "hosts", |row| row.name.to_string());
        let items = rows.into_iter().map(|row| view(read, row)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    })?;
    Answer::ok(&page)
}

pub(super) fn create(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let request: CreateHost = input::body(ctx.request)?;
    let actor = ctx.actor();
    ctx.create(move |tx| {
        let host = app::CreateHost { request, actor }.apply(tx)?;
        let path = paths::host(&host.name);
        Ok(answer(tx, 201, host)?.location(path))
    })
}

pub(super) fn get(ctx: &Context<'_>, name: &HostName) -> Result<Answer, AppError> {
    ctx.read(|read| answer(read, 200, app::find(read, name)?))
}

pub(super) fn update(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    let generation = input::if_match(&ctx.request.head)?;
    let request: UpdateHost = input::body(ctx.request)?;
    let actor = ctx.actor();
    ctx.write(move |tx| {
        let host = app::UpdateHost { name, generation, request, actor }.apply(tx)?;
        answer(tx, 200, host)
    })
}

/// `If-Match` is optional here: a host without tenants is no loss.
fn optional_match(ctx: &Context<'_>) -> Result<Option<u64>, AppError> {
    match ctx.request.head.get("if-match") {
        Some(_) => input::if_match(&ctx.request.head),
        None => Ok(None),
    }
}

pub(super) fn delete(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    let generation = optional_match(ctx)?;
    let actor = ctx.actor();
    ctx.write(move |tx| app::DeleteHost { name, generation, actor }.apply(tx))?;
    Ok(Answer::no_content())
}

pub(super) fn enrollment_token(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    let CreateEnrollmentToken { ttl_minutes } = input::body_or_default(ctx.request)?;
    let mint =
        app::MintEnrollmentToken { name, ttl_minutes, url: ctx.url.to_owned(), actor: ctx.actor() };
    let keys = ctx.keys.clone();
    ctx.create(move |tx| {
        let (token_id, token, expires_at) = mint.apply(tx, &keys)?;
        let token = token.expose().to_owned();
        Ok(Answer::json(201, &EnrollmentTokenCreated { token_id, token, expires_at })?.secret())
    })
}

pub(super) fn resume(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let (actor, keys) = (ctx.actor(), ctx.keys.clone());
    ctx.write(move |tx| answer(tx, 200, app::ResumeHost { name, actor }.apply(tx, &keys)?))
}

pub(super) fn revoke(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    let request: RevokeHostBody = input::body_or_default(ctx.request)?;
    let actor = ctx.actor();
    ctx.write(move |tx| answer(tx, 200, RevokeHost { name, request, actor }.apply(tx)?))
}

fn set_draining(ctx: &Context<'_>, name: HostName, to: app::Draining) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let actor = ctx.actor();
    ctx.write(move |tx| answer(tx, 200, app::SetDraining { name, to, actor }.apply(tx)?))
}

pub(super) fn drain(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    set_draining(ctx, name, app::Draining::Drain)
}

pub(super) fn undrain(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    set_draining(ctx, name, app::Draining::Undrain)
}

pub(super) fn probe(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let (actor, rules) = (ctx.actor(), ctx.rules);
    ctx.create(move |tx| {
        let job = app::Probe { name, actor, rules }.apply(tx)?;
        super::jobs::accepted(tx, job)
    })
}

pub(super) fn ports(ctx: &Context<'_>, name: HostName) -> Result<Answer, AppError> {
    let ports = ctx.read(|read| {
        let host = app::find(read, &name)?;
        let (received_at, reserved) = inventory::of(read, host.id)?
            .map(|(inventory, at)| (Some(at), inventory.ports))
            .unwrap_or_default();
        let mut ports = Vec::with_capacity(reserved.len());
        for port in reserved {
            let slug: Option<TenantSlug> =
                tenants::by_id(read, port.tenant)?.map(|tenant| tenant.slug);
            ports.push(PortView { port: port.port, role: port.role, tenant: port.tenant, slug });
        }
        ports.sort_by_key(|port| port.port);
        Ok(HostPorts { host: name.clone(), received_at, ports })
    })?;
    Answer::ok(&ports)
}
