//! From the journal to where a saga goes on.

use std::collections::BTreeSet;

use freehold_protocol::report::{Event, StepReport, StepState};
use freehold_protocol::time::Timestamp;

use super::Rest;
use super::engine::EngineError;
use super::state::{IllegalRecord, Record, Status, Way, next};
use super::step::{Before, StepOutput};
use crate::journal::outbox::append_event;
use crate::journal::sagas::{SagaId, StoredSaga};
use crate::journal::{Journal, JournalError};
use crate::plan::Plan;

/// A saga in memory: the plan, where it stands, and what its records hold.
#[derive(Debug)]
pub(super) struct Saga {
    pub(super) id: SagaId,
    pub(super) plan: Plan,
    pub(super) status: Status,
    pub(super) records: Vec<(Timestamp, Record)>,
    pub(super) started_at: Timestamp,
}

impl Saga {
    /// Reads a saga and replays its records.
    pub(super) fn load(journal: &Journal, id: SagaId) -> Result<Self, EngineError> {
        let StoredSaga { row, plan, records } = journal.saga(id)?;
        let shape = plan.shape();
        let status = records
            .iter()
            .try_fold(Status::START, |status, (_, record)| next(shape, status, record))
            .map_err(|illegal: IllegalRecord| JournalError::Unreadable {
                what: format!("job {}", row.job),
                why: illegal.to_string(),
            })?;
        Ok(Self { id, plan, status, records, started_at: row.started_at })
    }

    /// Appends a record and the event that tells of it: durable before this returns, and only then true
    /// in memory.
    pub(super) fn append(
        &mut self,
        journal: &Journal,
        record: Record,
        event: Option<Event>,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let after = next(self.plan.shape(), self.status.clone(), &record)?;
        let mut outputs = self.outputs();
        if let Record::Done { output, .. } = &record {
            outputs.push(output.clone());
        }
        let n = self.records.len() + 1;
        let (job, attempt) = (self.plan.order.job, self.plan.order.attempt);
        journal.append(self.id, n, &record, &after, now, |tx| {
            if let Some(event) = event {
                append_event(tx, job, attempt, event)?;
            }
            match &after {
                // What the host's list of tenants says changes in the same commit as the job's end.
                Status::Done => self.plan.change(&outputs).apply(tx, now),
                _ => Ok(()),
            }
        })?;
        self.records.push((now, record));
        self.status = after;
        Ok(())
    }

    /// What the done steps have handed on, in order.
    pub(super) fn outputs(&self) -> Vec<StepOutput> {
        self.records
            .iter()
            .filter_map(|(_, record)| match record {
                Record::Done { output, .. } => Some(output.clone()),
                _ => None,
            })
            .collect()
    }

    /// What was recorded of the host before a step; nothing when it never started.
    pub(super) fn before(&self, wanted: usize) -> Option<Before> {
        self.records.iter().find_map(|(_, record)| match record {
            Record::Started { step, before } if *step == wanted => Some(before.clone()),
            _ => None,
        })
    }

    /// Whether a step that changes the host was ever started.
    pub(super) fn has_changed(&self) -> bool {
        self.records.iter().any(|(_, record)| match record {
            Record::Started { step, .. } => {
                self.plan.steps.get(*step).is_none_or(|step| step.changes())
            }
            _ => false,
        })
    }

    /// The saga's rest, once it has one.
    pub(super) fn rest(&self) -> Option<Rest> {
        let outcome = self.status.outcome(self.has_changed())?;
        let (failure, result) = match &self.status {
            Status::Done => (None, self.plan.result(&self.outputs())),
            Status::RolledBack { why } => (Some(why.clone()), None),
            Status::Stuck { step, way, failure, why } => {
                (Some(self.plan.stuck_failure(*step, *way == Way::Back, failure, why)), None)
            }
            Status::Running { .. } | Status::Unwinding { .. } => return None,
        };
        Some(Rest {
            job: self.plan.order.job,
            attempt: self.plan.order.attempt,
            kind: self.plan.order.work.kind(),
            outcome,
            failure,
            steps: self.step_reports(),
            result,
            started_at: self.started_at,
            ended_at: self.records.last().map_or(self.started_at, |(at, _)| *at),
        })
    }

    fn step_reports(&self) -> Vec<StepReport> {
        let mut reports: Vec<(usize, Timestamp, StepReport)> = Vec::new();
        let mut open: BTreeSet<usize> = BTreeSet::new();
        for (at, record) in &self.records {
            match record {
                Record::Started { step, .. } => {
                    let name = self.plan.steps.get(*step).map_or("unknown", |step| step.name());
                    let report =
                        StepReport { step: name.to_owned(), state: StepState::Undone, millis: 0 };
                    reports.push((*step, *at, report));
                    open.insert(*step);
                }
                Record::Done { step, .. } => {
                    close(&mut reports, &mut open, *step, *at);
                    set(&mut reports, *step, StepState::Done);
                }
                Record::TurnedBack { .. } => {
                    for step in open.clone() {
                        close(&mut reports, &mut open, step, *at);
                    }
                }
                Record::Undone { step } => set(&mut reports, *step, StepState::Undone),
                Record::Stranded { step, .. } => {
                    close(&mut reports, &mut open, *step, *at);
                    set(&mut reports, *step, StepState::UndoFailed);
                }
                Record::Again { .. } | Record::UndoFailed { .. } | Record::Resumed { .. } => {}
            }
        }
        reports.into_iter().map(|(_, _, report)| report).collect()
    }
}

type Reports = [(usize, Timestamp, StepReport)];

fn set(reports: &mut Reports, step: usize, state: StepState) {
    if let Some((_, _, report)) = reports.iter_mut().find(|(index, ..)| *index == step) {
        report.state = state;
    }
}

fn close(reports: &mut Reports, open: &mut BTreeSet<usize>, step: usize, at: Timestamp) {
    if open.remove(&step)
        && let Some((_, begun, report)) = reports.iter_mut().find(|(index, ..)| *index == step)
    {
        report.millis = u64::try_from(at.millis_since(*begun)).unwrap_or_default();
    }
}
