//! A job in a pipe: one line for each event.

use freehold_protocol::report::EventKind;

use super::progress::Progress;
use crate::{api::jobs::JobEvent, cli::output::clean};

/// The words for an event.
const fn words(what: EventKind) -> &'static str {
    match what {
        EventKind::Accepted => "accepted",
        EventKind::StepStarted => "started",
        EventKind::StepDone => "done",
        EventKind::StepFailed => "failed",
        EventKind::UndoStarted => "undoing",
        EventKind::UndoDone => "undone",
        EventKind::UndoFailed => "undo failed",
        EventKind::Progress => "…",
        EventKind::NoProgress => "no progress",
        EventKind::Resumed => "resumed",
        EventKind::CancelRequested => "cancel requested",
    }
}

/// The line of an event: `17:20:35Z pull-images done: 3 images`.
pub(super) fn line(event: &JobEvent) -> String {
    let time = jiff::Timestamp::from_millisecond(event.at.as_millis())
        .map(|at| format!("{at:.0}"))
        .unwrap_or_default();
    let time = time.split_once('T').map_or("", |(_, time)| time);
    let mut text = time.to_owned();
    if event.attempt > 1 {
        text.push_str(&format!(" [attempt {}]", event.attempt));
    }
    let step = if event.step.is_empty() { "job" } else { &event.step };
    text.push_str(&format!(" {} {}", clean(step), words(event.what)));
    if !event.message.is_empty() {
        text.push_str(&format!(": {}", clean(&event.message)));
    }
    text
}

/// The line of a change of state.
pub(super) fn state_line(progress: &Progress) -> String {
    format!("job is {} (attempt {})", clean(&progress.state), progress.attempt)
}
