//! What is known of a job while it is followed: pure, fed with answers.

use std::collections::BTreeMap;

use freehold_protocol::{report::EventKind, time::Timestamp};

use crate::api::jobs::{JobEvent, JobEvents};

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepState {
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// It failed; its undo has not started.
    Failed,
    /// It is being undone.
    Undoing,
    /// It is undone.
    Undone,
    /// Its undo failed.
    UndoFailed,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Its name.
    pub(super) name: String,
    /// How it stands.
    pub(super) state: StepState,
    /// Since when it runs or is undone, on the agent's clock.
    pub(super) since: Timestamp,
    /// When it ended.
    pub(super) until: Option<Timestamp>,
    /// The last line about it.
    pub(super) message: String,
}

/// One job.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Its state now; empty before the first answer.
    pub(super) state: String,
    /// The attempt now.
    pub(super) attempt: u32,
    /// Whether it is undoing.
    pub(super) undoing: bool,
    /// Steps of this attempt in the order in which they started.
    pub(super) steps: Vec<Step>,
    /// The number of steps, once the agent has planned them.
    pub(super) planned: Option<usize>,
    /// The last line about the job as a whole.
    pub(super) message: String,
    /// What is to be said about the connection.
    pub(super) note: String,
    /// Seconds by which each step's work ran, for the summary at the end.
    positions: BTreeMap<String, usize>,
}

impl Progress {
    /// Takes in an answer.
    pub(super) fn take(&mut self, answer: &JobEvents) {
        for event in &answer.events {
            self.event(event);
        }
        if answer.attempt > self.attempt {
            self.begin(answer.attempt);
        }
        self.state.clone_from(&answer.state);
        self.undoing = answer.undoing;
        self.note.clear();
    }

    /// A new attempt starts from nothing.
    fn begin(&mut self, attempt: u32) {
        self.attempt = attempt;
        self.steps.clear();
        self.positions.clear();
        self.planned = None;
        self.message.clear();
    }

    fn event(&mut self, event: &JobEvent) {
        if event.attempt > self.attempt {
            self.begin(event.attempt);
        }
        if event.attempt < self.attempt {
            return;
        }
        if event.step.is_empty() {
            if event.what == EventKind::Accepted {
                self.planned = event.message.split(' ').find_map(|word| word.parse().ok());
            }
            if !event.message.is_empty() {
                self.message.clone_from(&event.message);
            }
            return;
        }
        let index = *self.positions.entry(event.step.clone()).or_insert_with(|| {
            self.steps.push(Step {
                name: event.step.clone(),
                state: StepState::Running,
                since: event.at,
                until: None,
                message: String::new(),
            });
            self.steps.len() - 1
        });
        let step = &mut self.steps[index];
        if !event.message.is_empty() {
            step.message.clone_from(&event.message);
        }
        let (state, ends) = match event.what {
            EventKind::StepStarted => (StepState::Running, false),
            EventKind::StepDone => (StepState::Done, true),
            EventKind::StepFailed => (StepState::Failed, true),
            EventKind::UndoStarted => (StepState::Undoing, false),
            EventKind::UndoDone => (StepState::Undone, true),
            EventKind::UndoFailed => (StepState::UndoFailed, true),
            EventKind::Accepted
            | EventKind::Progress
            | EventKind::NoProgress
            | EventKind::Resumed
            | EventKind::CancelRequested => return,
        };
        if !ends {
            step.since = event.at;
        }
        step.state = state;
        step.until = ends.then_some(event.at);
    }

    /// How many steps are done.
    pub(super) fn done(&self) -> usize {
        self.steps.iter().filter(|step| step.state == StepState::Done).count()
    }
}
