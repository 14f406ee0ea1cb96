//! The agent API (docs/agent-protocol.md). Every call but the trust document and the enrollment is
//! signed by the agent's identity key; every call is idempotent.

mod poll;
mod signature;
#[cfg(test)]
mod tests;

use freehold_protocol::{
    ids::JobId,
    problem::FieldError,
    trust::MAX_STEPS,
    wire::{EnrollRequest, EventsRequest, Inventory, ReportRequest},
};

use super::{
    input,
    route::AgentRoute,
    server::{Request, Response},
};
use crate::{
    app::{
        enroll::Enroll, record_events::RecordEvents, record_inventory::RecordInventory,
        record_report::RecordReport,
    },
    context::Portal,
    db::Db,
    error::AppError,
};

// A poll waits inside `handle`, and each of thousands keeps the stack that it has touched. What does not
// wait is therefore never made a part of what does: its room would be held for nothing.

/// Answers a call.
///
/// # Errors
/// 401 with the reason as its code for a request that is not signed as it should be; else what the
/// call itself refuses.
pub fn handle(
    portal: &Portal,
    route: &AgentRoute,
    request: &Request,
) -> Result<Response, AppError> {
    let db = portal.db.for_request(request.id.as_str());
    match route {
        AgentRoute::Trust => Ok(trust(portal)),
        AgentRoute::Enroll => enroll(portal, &db, request),
        AgentRoute::Poll => {
            let agent = signature::verify(portal, request)?.id;
            poll::poll(portal, &db, agent, request)
        }
        AgentRoute::Inventory => inventory(portal, &db, request),
        AgentRoute::Events(job) => events(portal, &db, *job, request),
        AgentRoute::Report(job) => report(portal, &db, *job, request),
    }
}

/// The trust documents, oldest first: an agent takes the one that its token pins and walks on.
fn trust(portal: &Portal) -> Response {
    let keys = portal.keys.current();
    let skip = keys.trust_version().saturating_sub(MAX_STEPS as u64);
    Response::json(200, &keys.trust_after(skip)).with_header("cache-control", "no-store")
}

#[inline(never)]
fn enroll(portal: &Portal, db: &Db, request: &Request) -> Result<Response, AppError> {
    let asked: EnrollRequest = input::exact_body(request)?;
    if asked.agent_version.len() > 64 {
        return Err(AppError::invalid("/agentVersion", "use at most 64 bytes"));
    }
    let keys = portal.keys.current();
    let answer = db.write(move |tx| Enroll(asked).apply(tx, &keys))?;
    Ok(Response::json(200, &answer))
}

#[inline(never)]
fn inventory(portal: &Portal, db: &Db, request: &Request) -> Result<Response, AppError> {
    let agent = signature::verify(portal, request)?.id;
    let inventory: Inventory = input::exact_body(request)?;
    db.write(move |tx| RecordInventory { agent, inventory }.apply(tx))?;
    Ok(Response::no_content())
}

#[inline(never)]
fn events(portal: &Portal, db: &Db, job: JobId, request: &Request) -> Result<Response, AppError> {
    let agent = signature::verify(portal, request)?.id;
    let sent: EventsRequest = input::exact_body(request)?;
    let lease_secs = i64::from(portal.config.lease_secs);
    let answer =
        db.write(move |tx| RecordEvents { agent, job, request: sent, lease_secs }.apply(tx))?;
    Ok(Response::json(200, &answer))
}

#[inline(never)]
fn report(portal: &Portal, db: &Db, job: JobId, request: &Request) -> Result<Response, AppError> {
    let agent = signature::verify(portal, request)?;
    let sent: ReportRequest = input::exact_body(request)?;
    let keys = portal.keys.current();
    // Its signature is checked here, not in the transaction, for which others wait.
    let report = RecordReport::open(&agent, job, sent.report, keys.portal())?;
    db.write(move |tx| report.apply(tx, &keys))?;
    Ok(Response::no_content())
}

/// One refused field of a request.
fn field(pointer: &str, detail: String) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail }
}
