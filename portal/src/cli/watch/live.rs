//! A job on a terminal: a few lines that are drawn anew.

use std::time::Duration;

use freehold_protocol::{ids::JobId, time::Timestamp};

use super::progress::{Progress, Step, StepState};
use crate::cli::{
    context::Ctx,
    error::CliError,
    output::{Paint, clean, duration, fit},
};

/// Frames of the mark before what runs.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// What was drawn last, so that it can be drawn over.
#[derive(Debug, Default)]
pub(super) struct Screen {
    lines: usize,
    frame: usize,
}

impl Screen {
    /// Draws over the last picture.
    pub(super) fn draw(
        &mut self,
        id: JobId,
        progress: &Progress,
        (columns, rows): (usize, usize),
        ctx: &mut Ctx,
    ) -> Result<(), CliError> {
        self.frame = self.frame.wrapping_add(1);
        let view = View {
            id,
            columns,
            // The last row stays free: writing into it would scroll the picture away.
            rows: rows.saturating_sub(1),
            spinner: SPINNER[self.frame % SPINNER.len()],
            now: ctx.now(),
            paint: ctx.paint,
        };
        let lines = view.lines(progress);
        let mut text = self.rewind();
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.lines = lines.len();
        ctx.text(&text)
    }

    /// Takes the picture away.
    pub(super) fn clear(&mut self, ctx: &mut Ctx) -> Result<(), CliError> {
        if self.lines == 0 {
            return Ok(());
        }
        let text = self.rewind();
        self.lines = 0;
        ctx.text(&text)
    }

    /// Moves to the picture's first line and clears all below.
    fn rewind(&self) -> String {
        if self.lines == 0 { String::new() } else { format!("\u{1b}[{}A\r\u{1b}[J", self.lines) }
    }
}

/// Everything that a picture depends on, besides the job.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// The job.
    pub(super) id: JobId,
    /// Width.
    pub(super) columns: usize,
    /// Height.
    pub(super) rows: usize,
    /// The mark before what runs.
    pub(super) spinner: &'static str,
    /// The time now.
    pub(super) now: Timestamp,
    /// Colors.
    pub(super) paint: Paint,
}

impl View {
    /// The picture, never wider or higher than the terminal.
    pub(super) fn lines(&self, progress: &Progress) -> Vec<String> {
        let mut head = vec![self.head(progress)];
        if !progress.note.is_empty() {
            head.push(self.paint.busy(&fit(&clean(&progress.note), self.columns)));
        }
        let name_width =
            progress.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
        let mut steps: Vec<String> =
            progress.steps.iter().map(|step| self.step(step, name_width)).collect();
        // Of more steps than fit, the newest are shown.
        let room = self.rows.saturating_sub(head.len()).max(1);
        if steps.len() > room {
            steps.drain(..steps.len() - room);
        }
        head.append(&mut steps);
        head.truncate(self.rows.max(1));
        head
    }

    fn head(&self, progress: &Progress) -> String {
        let state = match progress.state.as_str() {
            "" => "asking the portal",
            "queued" => "queued: waiting for its host",
            "leased" => "handed to its host",
            "running" if progress.undoing => "undoing",
            other => other,
        };
        let mut text = format!("{} job {} {}", self.spinner, self.id, clean(state));
        if let Some(planned) = progress.planned {
            text.push_str(&format!(" {}/{planned}", progress.done()));
        }
        if progress.attempt > 1 {
            text.push_str(&format!(" (attempt {})", progress.attempt));
        }
        if progress.steps.is_empty() && !progress.message.is_empty() {
            text.push_str(&format!(": {}", clean(&progress.message)));
        }
        fit(&text, self.columns)
    }

    fn step(&self, step: &Step, name_width: usize) -> String {
        let (mark, word) = match step.state {
            StepState::Running => (self.spinner, ""),
            StepState::Done => ("✓", ""),
            StepState::Failed => ("✗", "failed"),
            StepState::Undoing => (self.spinner, "undoing"),
            StepState::Undone => ("↶", "undone"),
            StepState::UndoFailed => ("✗", "undo failed"),
        };
        let end = step.until.unwrap_or(self.now);
        let millis = u64::try_from(end.millis_since(step.since)).unwrap_or_default();
        let took = duration(Duration::from_millis(millis));
        let mut text = format!("{mark} {:name_width$}  {took:>6}", clean(&step.name));
        if !word.is_empty() {
            text.push_str(&format!("  {word}"));
        }
        // The line of a step that is done is history.
        if step.state != StepState::Done && !step.message.is_empty() {
            text.push_str(&format!("  {}", clean(&step.message)));
        }
        // Cut first: color codes have no width.
        let text = fit(text.trim_end(), self.columns);
        match step.state {
            StepState::Done => self.paint.good(&text),
            StepState::Running => text,
            StepState::Undoing => self.paint.busy(&text),
            StepState::Undone => self.paint.faint(&text),
            StepState::Failed | StepState::UndoFailed => self.paint.bad(&text),
        }
    }
}
