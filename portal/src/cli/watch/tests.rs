//! Tests of what a watched job looks like.

use freehold_protocol::{
    failure::{Failure, FailureClass},
    report::EventKind,
    time::Timestamp,
};

use super::{
    ending,
    live::View,
    plain,
    progress::{Progress, StepState},
};
use crate::{
    api::jobs::{JobEvent, JobEvents, JobView},
    cli::output::Paint,
};

/// 2026-11-28 17:20:35Z.
const START: Timestamp = Timestamp::from_millis(1_795_886_435_000);

fn event(attempt: u32, secs: i64, step: &str, what: EventKind, message: &str) -> JobEvent {
    JobEvent {
        attempt,
        n: u64::try_from(secs).unwrap(),
        at: START.plus_secs(secs),
        step: step.into(),
        what,
        message: message.into(),
    }
}

fn answer(attempt: u32, state: &str, events: Vec<JobEvent>) -> JobEvents {
    JobEvents {
        events,
        next: "x".into(),
        more: false,
        state: state.into(),
        rested: false,
        attempt,
        step: String::new(),
        undoing: false,
        failure: None,
    }
}

fn deploying() -> Progress {
    let mut progress = Progress::default();
    progress.take(&answer(
        1,
        "running",
        vec![
            event(1, 0, "", EventKind::Accepted, "12 steps"),
            event(1, 1, "preflight", EventKind::StepStarted, ""),
            event(1, 3, "preflight", EventKind::StepDone, "fits"),
            event(1, 3, "pull-images", EventKind::StepStarted, ""),
            event(1, 9, "pull-images", EventKind::Progress, "layer 3 of 7\u{1b}[2J"),
        ],
    ));
    progress
}

fn view(columns: usize, rows: usize) -> View {
    View {
        id: "01890000-0000-7000-8000-00000000abcd".parse().unwrap(),
        columns,
        rows,
        spinner: "*",
        now: START.plus_secs(75),
        paint: Paint(false),
    }
}

#[test]
fn the_picture_shows_steps_times_and_the_last_line() {
    assert_eq!(
        view(80, 20).lines(&deploying()),
        [
            "* job 01890000-0000-7000-8000-00000000abcd running 1/12",
            "✓ preflight        2s",
            "* pull-images   1m12s  layer 3 of 7\u{fffd}[2J",
        ]
    );
}

#[test]
fn the_picture_fits_the_terminal() {
    let mut progress = deploying();
    for step in 0..30 {
        let name = format!("step-{step}");
        let started = event(1, 10, &name, EventKind::StepStarted, &"x".repeat(300));
        progress.take(&answer(1, "running", vec![started]));
    }
    progress.note = "the portal cannot be reached; trying again in 5 s".into();
    for (columns, rows) in [(80, 24), (20, 5), (1, 1), (10, 0)] {
        let lines = view(columns, rows).lines(&progress);
        assert!(lines.len() <= rows.max(1), "{columns}x{rows}: {lines:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= columns), "{lines:?}");
    }
    // The newest steps stay in sight.
    assert!(view(80, 5).lines(&progress).last().unwrap().contains("step-29"));
}

#[test]
fn undoing_is_shown_step_by_step() {
    let mut progress = deploying();
    let mut next = answer(
        1,
        "running",
        vec![
            event(1, 10, "pull-images", EventKind::StepFailed, "no such image"),
            event(1, 11, "pull-images", EventKind::UndoStarted, ""),
            event(1, 12, "pull-images", EventKind::UndoDone, ""),
            event(1, 13, "preflight", EventKind::UndoStarted, ""),
        ],
    );
    next.undoing = true;
    progress.take(&next);
    assert_eq!(progress.steps[1].state, StepState::Undone);
    let lines = view(80, 20).lines(&progress);
    assert!(lines[0].contains("undoing 0/12"), "{lines:?}");
    assert!(lines[1].contains("undoing"), "{lines:?}");
    assert!(lines[2].starts_with("↶ pull-images"), "{lines:?}");
}

#[test]
fn a_new_attempt_starts_from_nothing() {
    let mut progress = deploying();
    progress.take(&answer(2, "queued", Vec::new()));
    assert!(progress.steps.is_empty());
    assert_eq!(
        view(120, 20).lines(&progress),
        ["* job 01890000-0000-7000-8000-00000000abcd queued: waiting for its host (attempt 2)"]
    );
    // A late event of the first attempt changes nothing.
    progress.take(&answer(2, "running", vec![event(1, 90, "start", EventKind::StepStarted, "")]));
    assert!(progress.steps.is_empty());
}

#[test]
fn a_pipe_gets_a_line_for_each_event() {
    assert_eq!(
        plain::line(&event(1, 0, "pull-images", EventKind::StepDone, "3 images")),
        "17:20:35Z pull-images done: 3 images"
    );
    assert_eq!(
        plain::line(&event(2, 60, "", EventKind::Resumed, "")),
        "17:21:35Z [attempt 2] job resumed"
    );
}

fn job(state: &str, failure: Option<Failure>) -> JobView {
    serde_json::from_value(serde_json::json!({
        "id": "01890000-0000-7000-8000-00000000abcd",
        "kind": "deploy_tenant",
        "state": state,
        "rested": true,
        "host": "web-1",
        "hostId": "01890000-0000-7000-8000-00000000abce",
        "tenant": "acme",
        "attempt": 1,
        "maxAttempts": 3,
        "actor": "token:anna",
        "undoing": false,
        "notBefore": 0,
        "expiresAt": 0,
        "failure": failure,
        "generation": 1,
        "createdAt": 0,
        "updatedAt": 0,
        "startedAt": 1000,
        "endedAt": 66_000
    }))
    .unwrap()
}

#[test]
fn the_end_says_what_happened_and_what_to_do() {
    let failure = Failure::new(FailureClass::Upstream, "the image is gone", "push it again")
        .with_detail("manifest unknown\nsecond line");
    let text = ending::text(&job("rolled_back", Some(failure)), &deploying(), Paint(false));
    assert_eq!(
        text,
        "deploy_tenant acme (01890000-0000-7000-8000-00000000abcd) failed; every change was undone after 1m05s\n\
         failure: the image is gone (upstream)\n  | manifest unknown\n  | second line\n  hint: push it again\n  \
         hint: to try again: freehold job retry 01890000-0000-7000-8000-00000000abcd\n"
    );
    let text = ending::text(&job("rollback_failed", None), &deploying(), Paint(false));
    assert!(text.contains("stuck") && text.contains("freehold job resume"), "{text}");
    let text = ending::text(&job("succeeded", None), &deploying(), Paint(false));
    assert!(text.contains("succeeded after 1m05s") && !text.contains("hint"), "{text}");
}
