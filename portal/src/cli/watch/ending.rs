//! How a followed job ended: what is printed, and the exit code.

use std::time::Duration;

use super::progress::Progress;
use crate::{
    api::jobs::JobView,
    cli::{
        context::Ctx,
        error::CliError,
        job::view,
        output::{Paint, duration},
    },
    exit::Exit,
};

/// Prints the end.
pub(super) fn print(job: &JobView, progress: &Progress, ctx: &mut Ctx) -> Result<Exit, CliError> {
    if ctx.json {
        ctx.document_line(&serde_json::json!({ "job": job }))?;
    } else {
        let text = text(job, progress, ctx.paint);
        ctx.text(&text)?;
    }
    Ok(Exit::of_job_state(&job.state))
}

/// The end as text.
pub(super) fn text(job: &JobView, progress: &Progress, paint: Paint) -> String {
    let took = match (job.started_at, job.ended_at) {
        (Some(start), Some(end)) => {
            let millis = u64::try_from(end.millis_since(start)).unwrap_or_default();
            format!(" after {}", duration(Duration::from_millis(millis)))
        }
        _ => String::new(),
    };
    let id = job.id;
    let state = match job.state.as_str() {
        "succeeded" => paint.good("succeeded"),
        "failed" => paint.bad("failed; nothing was changed"),
        "rolled_back" => paint.bad("failed; every change was undone"),
        "rollback_failed" => {
            paint.bad("is stuck: a change could not be undone, look at the host now")
        }
        "cancelled" => paint.busy("was cancelled; every change was undone"),
        "expired" => paint.bad("expired before its host could start it"),
        "dead" => paint.bad("is dead: out of attempts"),
        other => paint.bad(&crate::cli::output::clean(other)),
    };
    let subject = job.tenant.as_ref().map_or_else(|| job.host.to_string(), ToString::to_string);
    let mut text = format!("{} {subject} ({id}) {state}{took}\n", job.kind);
    if job.state != "succeeded" {
        if let Some(failed) = &job.failure {
            text.push_str(&view::failure(failed, paint));
        }
        if let Some(reason) = &job.cancel_reason {
            text.push_str(&format!("  reason: {}\n", crate::cli::output::clean(reason)));
        }
        let next = match job.state.as_str() {
            "rollback_failed" => format!("when the cause is gone: freehold job resume {id}"),
            _ => format!("to try again: freehold job retry {id}"),
        };
        text.push_str(&format!("  hint: {next}\n"));
    } else if let Some(result) = &job.result {
        text.push_str(&view::outcome(result));
    }
    if progress.attempt > 1 {
        text.push_str(&format!("  attempts: {}\n", progress.attempt));
    }
    text
}
