//! `POST /api/tenant-logs`, `/api/v1/usage`, `/api/v1/tenant-health`: what tenants' apps send. The contract
//! is docs/tenant-apps.md.
//!
//! The API key alone decides whose it is. What else a request says about its tenant must agree with it.

use std::sync::{Arc, atomic::Ordering};

use freehold_protocol::{ids::TenantId, time::Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Limits, authenticate};
use crate::{
    api::ingest::HealthAnswer,
    app::ingest::{self, Batch, StoreHealth, StoreLogs, StoreUsage, Stored},
    context::Portal,
    db::ingest::{batches::BatchKind, logs::NewLine, usage::NewValue},
    domain::ingest::{MAX_BATCH_ID, Reason, is_batch_id},
    error::{AppError, Kind},
    http::{
        input, respond,
        server::{Head, Request, Response},
    },
    ingest::{
        InHand, Ingest,
        batch::{Format, Refusals, Said},
        health, inflate, logs,
        quota::{Left, OverQuota},
        stats::Sort,
        usage,
    },
    licensing::KeyEntry,
};

/// The items of a batch that was read.
enum Items {
    Lines(Vec<NewLine>),
    Values(Vec<(u64, NewValue)>),
}

/// A batch that was read.
struct Read {
    said: Said,
    items: Items,
    refusals: Refusals,
    clamped: u64,
    digest: [u8; 32],
    bytes: u64,
    _held: InHand,
}

/// Takes a batch of logs or usage.
pub(super) fn batch(
    portal: &Portal,
    limits: &Limits,
    request: &Request,
    kind: BatchKind,
) -> Result<Response, AppError> {
    let now = portal.db.now();
    let snapshot = portal.licensing.snapshot();
    let key = authenticate(portal, limits, &snapshot, request, now)?;
    let ingest = &portal.ingest;
    let is_packed = begin(portal, key, request, now)?;
    let header = input::idempotency_key(&request.head)?;
    let format = format(&request.head)?;
    if let Err(over) = ingest.quotas.take(key.tenant, 1, 1, now) {
        return Ok(over_quota(ingest, *over, request));
    }
    ingest.quotas.give_back(key.tenant, 1, 1);
    let (body, worker) = (request.body.clone(), Arc::clone(ingest));
    let read = ingest.work(move || read(&worker, kind, format, is_packed, body, now))?;
    check_said(key, &read.said)?;
    let id = batch_id(header, read.said.batch_id.as_deref())?;
    let good = match &read.items {
        Items::Lines(lines) => lines.len(),
        Items::Values(values) => values.len(),
    };
    let (items, bytes) = (ingest::items(good as u64 + read.refusals.total()), read.bytes);
    if let Err(over) = ingest.quotas.take(key.tenant, items, bytes, now) {
        return Ok(over_quota(ingest, *over, request));
    }
    let batch = Batch {
        tenant: key.tenant,
        id: id.map(|id| (id, read.digest)),
        bytes,
        refusals: read.refusals,
        clamped: read.clamped,
    };
    let (sort, stored) = match read.items {
        Items::Lines(lines) => {
            let store = StoreLogs { batch, lines };
            (Sort::Logs, ingest.db().write(move |tx| store.apply(tx)))
        }
        Items::Values(values) => {
            let store = StoreUsage { batch, values };
            (Sort::Usage, ingest.db().write(move |tx| store.apply(tx)))
        }
    };
    let came_to_nothing = stored.as_ref().map_or(true, |stored| stored.answer.repeated);
    if came_to_nothing {
        ingest.quotas.give_back(key.tenant, items, bytes);
    }
    let Stored { answer, refused, kept } = stored?;
    let left = ingest.quotas.charge(key.tenant, kept, now);
    portal.licensing.note_key(key, now);
    if answer.repeated {
        ingest.stats.repeated.fetch_add(1, Ordering::Relaxed);
    } else {
        ingest.stats.took(sort, answer.accepted, bytes);
        for (reason, count) in Reason::ALL.iter().zip(refused) {
            ingest.stats.refused(*reason, count);
        }
    }
    Ok(with_limits(Response::json(200, &answer), ingest, left))
}

/// Takes a report of health.
pub(super) fn health(
    portal: &Portal,
    limits: &Limits,
    request: &Request,
) -> Result<Response, AppError> {
    let now = portal.db.now();
    let snapshot = portal.licensing.snapshot();
    let key = authenticate(portal, limits, &snapshot, request, now)?;
    let ingest = &portal.ingest;
    let is_packed = begin(portal, key, request, now)?;
    if format(&request.head)? != Format::Json {
        return Err(unsupported("a report of health is one JSON object"));
    }
    let (body, worker) = (request.body.clone(), Arc::clone(ingest));
    let (said, health, bytes) = ingest.work(move || {
        let (body, _held) = unpacked(&worker, is_packed, body)?;
        let (said, health) = health::read(&body, now)?;
        Ok((said, health, body.len() as u64))
    })?;
    check_said(key, &said)?;
    let left = match ingest.quotas.take(key.tenant, 1, bytes, now) {
        Ok(left) => left,
        Err(over) => return Ok(over_quota(ingest, *over, request)),
    };
    let store = StoreHealth { tenant: key.tenant, health, bytes };
    let latest = ingest.db().write(move |tx| store.apply(tx))?;
    portal.licensing.note_key(key, now);
    ingest.stats.took(Sort::Health, 1, bytes);
    Ok(with_limits(Response::json(200, &HealthAnswer { latest }), ingest, left))
}

/// What is checked before anything is read; says whether the body is packed.
fn begin(
    portal: &Portal,
    key: &KeyEntry,
    request: &Request,
    now: Timestamp,
) -> Result<bool, AppError> {
    portal.ingest.check_writable()?;
    if let Some(tenant) = input::single(&request.head, "x-tenant-id")? {
        check_own(key, tenant, "the header X-Tenant-Id")?;
    }
    let is_packed = is_packed(&request.head)?;
    if request.body.is_empty() {
        return Err(AppError::new(Kind::BadRequest, "body_missing", "the request has no body")
            .advice("docs/tenant-apps.md shows it"));
    }
    portal.ingest.know(key.tenant, now)?;
    Ok(is_packed)
}

/// Unpacks and reads, on a thread that steps back for others.
fn read(
    ingest: &Ingest,
    kind: BatchKind,
    format: Format,
    is_packed: bool,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<Read, AppError> {
    let (body, held) = unpacked(ingest, is_packed, body)?;
    let (said, items, refusals, clamped) = match kind {
        BatchKind::Logs => {
            let batch = logs::read(format, &body, now, ingest.keep.log_days)?;
            (batch.said, Items::Lines(batch.lines), batch.refusals, batch.clamped)
        }
        BatchKind::Usage => {
            let batch = usage::read(format, &body, now)?;
            (batch.said, Items::Values(batch.values), batch.refusals, batch.clamped)
        }
    };
    let digest = Sha256::digest(&body).into();
    Ok(Read { said, items, refusals, clamped, digest, bytes: body.len() as u64, _held: held })
}

/// The body as it was before it was packed, and the memory that it and what is made of it take.
fn unpacked(
    ingest: &Ingest,
    is_packed: bool,
    body: Vec<u8>,
) -> Result<(Vec<u8>, InHand), AppError> {
    let body = if is_packed { inflate::gunzip(&body)? } else { body };
    let held = ingest.hold(body.len() * 2)?;
    Ok((body, held))
}

fn is_packed(head: &Head) -> Result<bool, AppError> {
    let Some(coding) = input::single(head, "content-encoding")? else { return Ok(false) };
    match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Ok(true),
        "identity" | "" => Ok(false),
        other => Err(unsupported(&format!("the body is packed with \"{}\"", other.escape_debug()))),
    }
}

fn format(head: &Head) -> Result<Format, AppError> {
    let media = input::single(head, "content-type")?.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/json" => Ok(Format::Json),
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines" => Ok(Format::Ndjson),
        other => Err(unsupported(&format!("the body is \"{}\"", other.escape_debug()))),
    }
}

fn unsupported(what: &str) -> AppError {
    AppError::new(Kind::UnsupportedMedia, "unsupported_media_type", what).advice(
        "send Content-Type: application/json or application/x-ndjson, plain or with Content-Encoding: gzip",
    )
}

/// The batch's id: from the header, the body, or both if they agree.
fn batch_id(header: Option<String>, body: Option<&str>) -> Result<Option<String>, AppError> {
    if let (Some(header), Some(body)) = (&header, body)
        && header != body
    {
        return Err(AppError::invalid("/batchId", "it differs from the header Idempotency-Key"));
    }
    let id = header.or_else(|| body.map(str::to_owned));
    if id.as_deref().is_some_and(|id| !is_batch_id(id)) {
        let rule = format!("use 1 to {MAX_BATCH_ID} visible ASCII characters, such as a UUID");
        return Err(AppError::invalid("/batchId", rule));
    }
    Ok(id)
}

/// Refuses a request that names another tenant than its key's.
fn check_said(key: &KeyEntry, said: &Said) -> Result<(), AppError> {
    if let Some(tenant) = &said.tenant_id {
        check_own(key, tenant, "tenantId")?;
    }
    if let Some(slug) = &said.organization_slug {
        check_own(key, slug, "organizationSlug")?;
    }
    Ok(())
}

/// A tenant is named by its id, its slug, or the organization id of its license's customer.
fn check_own(key: &KeyEntry, named: &str, place: &str) -> Result<(), AppError> {
    let named = named.trim();
    let is_own = named == key.slug.as_str()
        || key.organization.as_deref() == Some(named)
        || named.parse::<TenantId>().is_ok_and(|id| id == key.tenant);
    if is_own {
        return Ok(());
    }
    // Nothing is said about whether there is such a tenant.
    Err(AppError::new(
        Kind::Forbidden,
        "tenant_mismatch",
        format!("{place} names another tenant than the API key's"),
    )
    .advice("send the tenant's own id, its slug or its organization id, or leave it out"))
}

fn over_quota(ingest: &Ingest, over: OverQuota, request: &Request) -> Response {
    let OverQuota { error, left } = over;
    ingest.stats.over_quota.fetch_add(1, Ordering::Relaxed);
    with_limits(respond::problem(&error, &request.id), ingest, left)
}

/// Tells what is left (draft-ietf-httpapi-ratelimit-headers).
fn with_limits(response: Response, ingest: &Ingest, left: Left) -> Response {
    let (items, bytes) = ingest.quotas.size();
    response
        .with_header(
            "ratelimit-policy",
            format!("\"items\";q={items};w=60, \"bytes\";q={bytes};w=86400"),
        )
        .with_header(
            "ratelimit",
            format!(
                "\"items\";r={};t={}, \"bytes\";r={};t={}",
                left.items, left.items_reset_secs, left.bytes, left.bytes_reset_secs
            ),
        )
}
