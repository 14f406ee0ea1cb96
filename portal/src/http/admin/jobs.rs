//! `/api/v1/jobs`

use std::{
    thread,
    time::{Duration, Instant},
};

use freehold_protocol::{ids::JobId, report::EventKind};

use super::Context;
use crate::{
    api::{
        MAX_EVENTS_ANSWER, MAX_EVENTS_WAIT_SECS, Page,
        jobs::{AttemptView, CancelJob, JobEvent, JobEvents, JobView, StepView},
        paths,
    },
    app::jobs_admin as app,
    db::{
        Read,
        job_views::{self, EventRow, NamedJob},
    },
    error::{AppError, Kind},
    http::{
        input::{self, Query},
        respond::Answer,
    },
};

/// How often a waiting request looks for events.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Events of one attempt that are read to draw its steps; a chatty job has its steps early.
const MAX_EVENTS_FOR_STEPS: u32 = 5_000;

fn summary(row: NamedJob) -> JobView {
    let NamedJob { job: row, host, tenant } = row;
    JobView {
        id: row.id,
        kind: row.kind,
        state: row.state.as_str().to_owned(),
        rested: row.state.is_rested(),
        host,
        host_id: row.host_id,
        tenant_id: row.tenant_id,
        tenant,
        attempt: row.attempt,
        max_attempts: row.max_attempts,
        actor: row.actor,
        step: row.step,
        undoing: row.undoing,
        progress_at: row.progress_at,
        not_before: row.not_before,
        expires_at: row.expires_at,
        lease_until: row.lease_until,
        lease_lost_at: row.lease_lost_at,
        lost_at: row.lost_at,
        cancel_requested_at: row.cancel_requested_at,
        cancel_reason: row.cancel_reason,
        resume_requested_at: row.resume_requested_at,
        failure: row.failure,
        result: row.result,
        steps: Vec::new(),
        attempts: Vec::new(),
        generation: row.generation,
        created_at: row.created_at,
        updated_at: row.updated_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
    }
}

fn view(read: &Read<'_>, id: JobId) -> Result<JobView, AppError> {
    let row = job_views::get(read, id)?;
    let events = job_views::events_after(read, id, (row.job.attempt, 0), MAX_EVENTS_FOR_STEPS)?;
    let attempts = job_views::attempts(read, id)?;
    let mut view = summary(row);
    view.steps = steps(&events);
    view.attempts = attempts
        .into_iter()
        .map(|row| AttemptView {
            attempt: row.attempt,
            agent_id: row.agent_id,
            epoch: row.epoch,
            seq: row.seq,
            digest: row.digest,
            signed_at: row.signed_at,
            outcome: row.outcome,
            reported_at: row.reported_at,
        })
        .collect();
    Ok(view)
}

/// What the events say of each step, in the order of their start.
fn steps(events: &[EventRow]) -> Vec<StepView> {
    let mut steps: Vec<StepView> = Vec::new();
    for event in events.iter().filter(|event| !event.step.is_empty()) {
        let state = match event.what {
            EventKind::StepStarted => Some("running"),
            EventKind::StepDone => Some("done"),
            EventKind::StepFailed => Some("failed"),
            EventKind::UndoStarted => Some("undoing"),
            EventKind::UndoDone => Some("undone"),
            EventKind::UndoFailed => Some("undo_failed"),
            EventKind::Accepted
            | EventKind::Progress
            | EventKind::NoProgress
            | EventKind::Resumed
            | EventKind::CancelRequested => None,
        };
        let index = steps.iter().position(|step| step.step == event.step).unwrap_or_else(|| {
            steps.push(StepView {
                step: event.step.clone(),
                state: "running".to_owned(),
                started_at: event.at,
                updated_at: event.at,
                message: String::new(),
            });
            steps.len() - 1
        });
        let step = &mut steps[index];
        step.updated_at = event.at;
        if let Some(state) = state {
            state.clone_into(&mut step.state);
        }
        if !event.message.is_empty() {
            step.message.clone_from(&event.message);
        }
    }
    steps
}

/// 202 with a job that was just queued.
pub(super) fn accepted(read: &Read<'_>, id: JobId) -> Result<Answer, AppError> {
    Ok(Answer::json(202, &view(read, id)?)?.location(paths::job(id)))
}

pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, AppError> {
    let known = ["limit", "cursor", "state", "host", "tenant", "kind"];
    let query = Query::parse(&ctx.request.head, &known)?;
    let (limit, before) = (query.limit()?, query.after("jobs")?);
    let filter = job_views::Filter {
        state: query.parsed("state")?,
        host: query.parsed("host")?,
        tenant: query.parsed("tenant")?,
        kind: query.parsed("kind")?,
        of: ctx.tenant(),
    };
    let page = ctx.read(|read| {
        let mut rows = job_views::list(read, &filter, &before, limit + 1)?;
        let next = input::next_page(&mut rows, limit, "jobs", |row| row.job.id.to_string());
        Ok(Page { items: rows.into_iter().map(summary).collect(), next })
    })?;
    Answer::ok(&page)
}

pub(super) fn get(ctx: &Context<'_>, id: JobId) -> Result<Answer, AppError> {
    let view = ctx.read(|read| view(read, id))?;
    Ok(Answer::ok(&view)?.generation(view.generation))
}

pub(super) fn delete(ctx: &Context<'_>, id: JobId) -> Result<Answer, AppError> {
    let actor = ctx.actor();
    ctx.write(move |tx| app::DeleteJob { id, actor }.apply(tx))?;
    Ok(Answer::no_content())
}

pub(super) fn cancel(ctx: &Context<'_>, id: JobId) -> Result<Answer, AppError> {
    let CancelJob { reason } = input::body_or_default(ctx.request)?;
    let actor = ctx.actor();
    ctx.create(move |tx| {
        app::CancelJob { id, reason, actor }.apply(tx)?;
        accepted(tx, id)
    })
}

pub(super) fn retry(ctx: &Context<'_>, id: JobId) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let retry = app::RetryJob { id, actor: ctx.actor(), rules: ctx.rules };
    ctx.create(move |tx| {
        retry.apply(tx)?;
        accepted(tx, id)
    })
}

pub(super) fn resume(ctx: &Context<'_>, id: JobId) -> Result<Answer, AppError> {
    input::no_body(ctx.request)?;
    let actor = ctx.actor();
    ctx.create(move |tx| {
        app::ResumeJob { id, actor }.apply(tx)?;
        accepted(tx, id)
    })
}

/// Where a reader of events stands: `ATTEMPT.N`, opaque to it.
fn parse_after(text: Option<&str>) -> Result<(u32, u64), AppError> {
    let Some(text) = text else { return Ok((0, 0)) };
    text.split_once('.')
        .and_then(|(attempt, n)| Some((attempt.parse().ok()?, n.parse().ok()?)))
        .filter(|(_, n): &(u32, u64)| i64::try_from(*n).is_ok())
        .ok_or_else(|| {
            AppError::new(Kind::BadRequest, "bad_query", "after is not a place in the events")
                .advice("use the `next` of the answer before, or leave it out to start")
        })
}

pub(super) fn events(ctx: &Context<'_>, id: JobId) -> Result<Answer, AppError> {
    let query = Query::parse(&ctx.request.head, &["after", "waitSeconds"])?;
    let after = parse_after(query.get("after"))?;
    let wait = query.number("waitSeconds", 0, MAX_EVENTS_WAIT_SECS)?;
    let until = Instant::now() + Duration::from_secs(wait.into());
    let mut first: Option<(String, u32)> = None;
    loop {
        let found = ctx.read(|read| events_now(read, id, after))?;
        let seen = first.get_or_insert_with(|| (found.state.clone(), found.attempt));
        let news = !found.events.is_empty()
            || found.rested
            || (&found.state, found.attempt) != (&seen.0, seen.1);
        let signals = &ctx.request.signals;
        if news || Instant::now() >= until || signals.peer_gone() || signals.shutting_down() {
            return Answer::ok(&found);
        }
        thread::sleep(LOOK_EVERY.min(until.saturating_duration_since(Instant::now())));
    }
}

fn events_now(read: &Read<'_>, id: JobId, after: (u32, u64)) -> Result<JobEvents, AppError> {
    let job = job_views::get(read, id)?.job;
    let mut rows = job_views::events_after(read, id, after, MAX_EVENTS_ANSWER + 1)?;
    let more = rows.len() > MAX_EVENTS_ANSWER as usize;
    rows.truncate(MAX_EVENTS_ANSWER as usize);
    let (attempt, n) = rows.last().map_or(after, |last| (last.attempt, last.n));
    let events = rows
        .into_iter()
        .map(|row| JobEvent {
            attempt: row.attempt,
            n: row.n,
            at: row.at,
            step: row.step,
            what: row.what,
            message: row.message,
        })
        .collect();
    Ok(JobEvents {
        events,
        next: format!("{attempt}.{n}"),
        more,
        state: job.state.as_str().to_owned(),
        rested: job.state.is_rested(),
        attempt: job.attempt,
        step: job.step,
        undoing: job.undoing,
        failure: job.failure,
    })
}
