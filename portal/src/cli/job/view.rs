//! Jobs as text.

use freehold_protocol::{failure::Failure, report::JobResult, time::Timestamp};

use crate::{
    api::jobs::JobView,
    cli::{
        output::{Fields, Paint, Table, age, clean, duration, moment, short_id},
        tenant::health,
    },
};

/// Many jobs.
pub(crate) fn table(jobs: &[JobView], now: Timestamp) -> Table {
    let mut table = Table::new(["ID", "KIND", "STATE", "HOST", "TENANT", "STEP", "AGE", "NOTE"]);
    for job in jobs {
        let tenant = job.tenant.as_ref().map_or_else(String::new, ToString::to_string);
        table.row([
            short_id(job.id),
            job.kind.to_string(),
            state(job),
            job.host.to_string(),
            tenant,
            if job.rested { String::new() } else { job.step.clone() },
            age(job.created_at, now),
            job.failure.as_ref().map_or_else(String::new, |failure| failure.what.clone()),
        ]);
    }
    table
}

fn state(job: &JobView) -> String {
    let mut text =
        if job.state == "rollback_failed" { "stuck".to_owned() } else { job.state.clone() };
    if !job.rested {
        if job.undoing {
            text.push_str(", undoing");
        } else if job.cancel_requested_at.is_some() {
            text.push_str(", cancelling");
        }
        if job.lease_lost_at.is_some() {
            text.push_str(", agent away");
        }
    }
    if job.attempt > 1 {
        text.push_str(&format!(" ({}/{})", job.attempt, job.max_attempts));
    }
    text
}

/// The lines of a failure: who should act, what, why, and what to do.
pub(crate) fn failure(failure: &Failure, paint: Paint) -> String {
    let mut text =
        format!("{} {} ({})\n", paint.bad("failure:"), clean(&failure.what), failure.class);
    for line in failure.detail.lines() {
        text.push_str(&format!("  | {}\n", clean(line)));
    }
    text.push_str(&format!("  hint: {}\n", clean(&failure.advice)));
    text
}

/// One job.
pub(crate) fn details(job: &JobView, now: Timestamp, paint: Paint) -> String {
    let at = |time: Timestamp| moment(time, now);
    let mut text = Fields::new()
        .add("id", job.id)
        .add("kind", job.kind)
        .add("state", state(job))
        .add("host", &job.host)
        .add_some("tenant", job.tenant.as_ref())
        .add("attempt", format!("{} of {}", job.attempt, job.max_attempts))
        .add("asked by", &job.actor)
        .add("created", at(job.created_at))
        .add_some("started", job.started_at.map(at))
        .add_some("ended", job.ended_at.map(at))
        .add_some("expires", (!job.rested).then(|| at(job.expires_at)))
        .add_some("agent away", job.lease_lost_at.map(at))
        .add_some("given up", job.lost_at.map(at))
        .add_some("cancel asked", job.cancel_requested_at.map(at))
        .add_some("reason", job.cancel_reason.as_ref())
        .add_some("resume asked", job.resume_requested_at.map(at))
        .render();
    if !job.steps.is_empty() {
        let mut table = Table::new(["STEP", "STATE", "TOOK", "LAST LINE"]);
        for step in &job.steps {
            let end = if step.state == "running" { now } else { step.updated_at };
            let took = u64::try_from(end.millis_since(step.started_at)).unwrap_or_default();
            table.row([
                step.step.clone(),
                step.state.clone(),
                duration(std::time::Duration::from_millis(took)),
                step.message.clone(),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(None));
    }
    if job.attempts.len() > 1 || job.lost_at.is_some() {
        let mut table = Table::new(["ATTEMPT", "SIGNED", "OUTCOME", "PLACE"]);
        for attempt in &job.attempts {
            table.row([
                attempt.attempt.to_string(),
                at(attempt.signed_at),
                attempt.outcome.clone().unwrap_or_else(|| "–".into()),
                format!("epoch {} job {}", attempt.epoch, attempt.seq),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(None));
    }
    if let Some(failed) = &job.failure {
        text.push('\n');
        text.push_str(&failure(failed, paint));
    }
    if let Some(result) = &job.result {
        text.push('\n');
        text.push_str(&outcome(result));
    }
    text
}

/// What a job found or made.
pub(crate) fn outcome(result: &JobResult) -> String {
    match result {
        JobResult::Deployed(deployed) => Fields::new()
            .add("release", format!("{}/{}", deployed.release.blueprint, deployed.release.number))
            .add("project", &deployed.project)
            .add_all(
                "endpoints",
                deployed.endpoints.iter().map(|(key, url)| format!("{key}={url}")),
            )
            .add_all("ports", deployed.ports.iter().map(|(role, port)| format!("{role}={port}")))
            .add("health", health(deployed.health.status))
            .add_all("problems", &deployed.health.problems)
            .render(),
        JobResult::Removed(removed) => Fields::new()
            .add_all("kept volumes", &removed.kept_volumes)
            .add_all("deleted volumes", &removed.deleted_volumes)
            .render(),
        JobResult::Checked(found) => Fields::new()
            .add("health", health(found.status))
            .add_all("problems", &found.problems)
            .render(),
        JobResult::Probed(facts) => Fields::new()
            .add("system", format!("{}, kernel {}, {}", facts.os, facts.kernel, facts.arch))
            .add(
                "memory",
                format!("{} of {} MiB free", facts.memory_available_mib, facts.memory_total_mib),
            )
            .add(
                "disk",
                format!("{} of {} MiB free", facts.disk_available_mib, facts.disk_total_mib),
            )
            .add_all("problems", facts.problems.iter().map(|p| format!("{}; {}", p.what, p.advice)))
            .render(),
    }
}
