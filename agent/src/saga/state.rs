//! What a saga's records say about it: one pure function, used while it runs and when it is read
//! back after a crash.

use freehold_protocol::failure::Failure;
use freehold_protocol::report::Outcome;
use serde::{Deserialize, Serialize};

use super::step::{Before, StepOutput};

/// One journaled fact about a saga. Steps are numbered from 0 in plan order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The step is about to run. Durable before anything changes.
    Started {
        /// The step.
        step: usize,
        /// What its undo needs to know of the host as it was.
        before: Before,
    },
    /// The open step is about to run once more, or its undo is about to be tried once more: after
    /// an unclear end, or after the agent came back from a stop.
    Again {
        /// The step.
        step: usize,
        /// Why.
        why: String,
    },
    /// The step is done.
    Done {
        /// The step.
        step: usize,
        /// What it made.
        output: StepOutput,
    },
    /// The open step will not be done, or the saga is to stop between two steps: unwinding begins.
    TurnedBack {
        /// Why.
        why: Failure,
    },
    /// An undo did not work; it will be tried again.
    UndoFailed {
        /// The step.
        step: usize,
        /// Why.
        failure: Failure,
    },
    /// The step is undone, or had nothing to undo.
    Undone {
        /// The step.
        step: usize,
    },
    /// Neither forward nor back by itself: a person must look.
    Stranded {
        /// The step.
        step: usize,
        /// What did not work last.
        failure: Failure,
    },
    /// A person has looked and ordered to go on.
    Resumed {
        /// Who.
        by: String,
    },
}

/// What the state machine needs to know of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many steps there are; at least one.
    pub steps: usize,
    /// From this step on there is no way back: once it has started, the saga goes forward or rests
    /// stuck.
    pub no_return: Option<usize>,
}

impl Shape {
    fn can_turn_back(self, at: usize, open: bool) -> bool {
        // Between two steps the step that matters is the last one that is done.
        self.no_return.is_none_or(|limit| if open { at < limit } else { at <= limit })
    }
}

/// Where a saga stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// Going forward.
    Running {
        /// The step that is open, or the one to start next.
        step: usize,
        /// How often the open step was started; 0 when it was not.
        runs: u32,
    },
    /// Undoing.
    Unwinding {
        /// The step to undo next; those after it are undone or were never started.
        step: usize,
        /// How often its undo was tried.
        tries: u32,
        /// Why.
        why: Failure,
    },
    /// At rest: every step is done.
    Done,
    /// At rest: everything that was started is undone.
    RolledBack {
        /// Why.
        why: Failure,
    },
    /// At rest until a person acts.
    Stuck {
        /// The step that neither runs nor can be undone.
        step: usize,
        /// Whether it was the step itself or its undo.
        way: Way,
        /// What did not work last.
        failure: Failure,
        /// What turned the saga back; the same as `failure` on the way forward.
        why: Failure,
    },
}

/// The direction of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Steps are run.
    Forward,
    /// Steps are undone.
    Back,
}

/// A record that cannot follow a status: a damaged journal or a defect of ours.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the record {record} cannot follow the status {status}")]
pub struct IllegalRecord {
    /// The status.
    pub status: String,
    /// The record.
    pub record: String,
}

impl Status {
    /// Where every saga begins.
    pub const START: Self = Self::Running { step: 0, runs: 0 };

    /// Whether nothing happens any more without an order.
    #[must_use]
    pub const fn is_at_rest(&self) -> bool {
        matches!(self, Self::Done | Self::RolledBack { .. } | Self::Stuck { .. })
    }

    /// The outcome to report, when at rest. `changed` tells whether a step that changes the host
    /// was ever started.
    #[must_use]
    pub fn outcome(&self, changed: bool) -> Option<Outcome> {
        use freehold_protocol::failure::FailureClass;
        match self {
            Self::Running { .. } | Self::Unwinding { .. } => None,
            Self::Done => Some(Outcome::Succeeded),
            Self::RolledBack { why } if why.class == FailureClass::Cancelled => {
                Some(Outcome::Cancelled)
            }
            Self::RolledBack { .. } if changed => Some(Outcome::RolledBack),
            Self::RolledBack { .. } => Some(Outcome::Failed),
            Self::Stuck { .. } => Some(Outcome::Stuck),
        }
    }
}

/// The status after a record.
///
/// # Errors
/// When the record cannot follow the status.
pub fn next(shape: Shape, status: Status, record: &Record) -> Result<Status, IllegalRecord> {
    let illegal = |status: &Status| IllegalRecord {
        status: format!("{status:?}"),
        record: format!("{record:?}"),
    };
    Ok(match (status, record) {
        (Status::Running { step, runs: 0 }, Record::Started { step: at, .. }) if step == *at => {
            Status::Running { step, runs: 1 }
        }
        (Status::Running { step, runs }, Record::Again { step: at, .. })
            if step == *at && runs > 0 =>
        {
            Status::Running { step, runs: runs.saturating_add(1) }
        }
        (Status::Running { step, runs }, Record::Done { step: at, .. })
            if step == *at && runs > 0 =>
        {
            if step + 1 == shape.steps {
                Status::Done
            } else {
                Status::Running { step: step + 1, runs: 0 }
            }
        }
        // Unwinding includes the open step: a command that failed may have changed something.
        (Status::Running { step, runs }, Record::TurnedBack { why })
            if shape.can_turn_back(step, runs > 0) =>
        {
            match (runs, step) {
                (0, 0) => Status::RolledBack { why: why.clone() },
                (0, _) => Status::Unwinding { step: step - 1, tries: 0, why: why.clone() },
                _ => Status::Unwinding { step, tries: 0, why: why.clone() },
            }
        }
        (Status::Running { step, runs }, Record::Stranded { step: at, failure })
            if step == *at && runs > 0 =>
        {
            Status::Stuck {
                step,
                way: Way::Forward,
                failure: failure.clone(),
                why: failure.clone(),
            }
        }
        (Status::Unwinding { step, tries, why }, Record::UndoFailed { step: at, .. })
        | (Status::Unwinding { step, tries, why }, Record::Again { step: at, .. })
            if step == *at =>
        {
            Status::Unwinding { step, tries: tries.saturating_add(1), why }
        }
        (Status::Unwinding { step, why, .. }, Record::Undone { step: at }) if step == *at => {
            match step.checked_sub(1) {
                Some(step) => Status::Unwinding { step, tries: 0, why },
                None => Status::RolledBack { why },
            }
        }
        (Status::Unwinding { step, why, .. }, Record::Stranded { step: at, failure })
            if step == *at =>
        {
            Status::Stuck { step, way: Way::Back, failure: failure.clone(), why }
        }
        (Status::Stuck { step, way: Way::Forward, .. }, Record::Resumed { .. }) => {
            Status::Running { step, runs: 1 }
        }
        (Status::Stuck { step, way: Way::Back, why, .. }, Record::Resumed { .. }) => {
            Status::Unwinding { step, tries: 0, why }
        }
        (status, _) => return Err(illegal(&status)),
    })
}

/// Where a saga stands after all its records.
///
/// # Errors
/// When one of them cannot follow.
pub fn replay<'a>(
    shape: Shape,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<Status, IllegalRecord> {
    records.into_iter().try_fold(Status::START, |status, record| next(shape, status, record))
}

#[cfg(test)]
mod tests {
    use freehold_protocol::failure::FailureClass;
    use proptest::prelude::*;

    use super::*;

    const SHAPE: Shape = Shape { steps: 3, no_return: None };

    fn failure() -> Failure {
        Failure::new(FailureClass::Host, "it broke", "mend it")
    }
    fn started(step: usize) -> Record {
        Record::Started { step, before: Before::Nothing }
    }
    fn done(step: usize) -> Record {
        Record::Done { step, output: StepOutput::Nothing }
    }
    fn back() -> Record {
        Record::TurnedBack { why: failure() }
    }
    fn undone(step: usize) -> Record {
        Record::Undone { step }
    }

    #[test]
    fn forward_to_the_end() {
        let all = [started(0), done(0), started(1), done(1), started(2), done(2)];
        assert_eq!(replay(SHAPE, &all).unwrap(), Status::Done);
        assert_eq!(replay(SHAPE, &all[..3]).unwrap(), Status::Running { step: 1, runs: 1 });
        assert!(replay(SHAPE, &[started(0), started(1)]).is_err());
        assert!(replay(SHAPE, &[done(0)]).is_err());
    }

    #[test]
    fn unwinding_includes_the_open_step() {
        let mut all = vec![started(0), done(0), started(1), back()];
        assert_eq!(
            replay(SHAPE, &all).unwrap(),
            Status::Unwinding { step: 1, tries: 0, why: failure() }
        );
        all.extend([undone(1), undone(0)]);
        assert_eq!(replay(SHAPE, &all).unwrap(), Status::RolledBack { why: failure() });
        all.push(undone(0));
        assert!(replay(SHAPE, &all).is_err());
    }

    #[test]
    fn turning_back_between_steps() {
        assert_eq!(replay(SHAPE, &[back()]).unwrap(), Status::RolledBack { why: failure() });
        let status = replay(SHAPE, &[started(0), done(0), back()]).unwrap();
        assert_eq!(status, Status::Unwinding { step: 0, tries: 0, why: failure() });
    }

    #[test]
    fn stuck_and_resumed() {
        let mut all = vec![
            started(0),
            back(),
            Record::UndoFailed { step: 0, failure: failure() },
            Record::Stranded { step: 0, failure: failure() },
        ];
        let stuck = replay(SHAPE, &all).unwrap();
        assert_eq!(stuck.outcome(true), Some(Outcome::Stuck));
        all.push(Record::Resumed { by: "ann".into() });
        assert_eq!(
            replay(SHAPE, &all).unwrap(),
            Status::Unwinding { step: 0, tries: 0, why: failure() }
        );
    }

    #[test]
    fn no_way_back_after_the_point_of_no_return() {
        let shape = Shape { steps: 3, no_return: Some(2) };
        let before = [started(0), done(0), started(1), done(1)];
        let with = |more: &[Record]| {
            let all: Vec<_> = before.iter().cloned().chain(more.iter().cloned()).collect();
            replay(shape, &all)
        };
        assert!(with(&[back()]).is_ok());
        assert!(with(&[started(2), back()]).is_err());
        let stuck = with(&[started(2), Record::Stranded { step: 2, failure: failure() }]).unwrap();
        assert!(matches!(stuck, Status::Stuck { way: Way::Forward, .. }));
        let more = [
            started(2),
            Record::Stranded { step: 2, failure: failure() },
            Record::Resumed { by: "ann".into() },
            done(2),
        ];
        assert_eq!(with(&more).unwrap(), Status::Done);
    }

    #[test]
    fn outcomes() {
        let cancelled = Failure::new(FailureClass::Cancelled, "cancelled", "nothing");
        assert_eq!(Status::START.outcome(true), None);
        assert_eq!(Status::RolledBack { why: failure() }.outcome(false), Some(Outcome::Failed));
        assert_eq!(Status::RolledBack { why: failure() }.outcome(true), Some(Outcome::RolledBack));
        assert_eq!(Status::RolledBack { why: cancelled }.outcome(true), Some(Outcome::Cancelled));
    }

    fn any_record() -> impl Strategy<Value = Record> {
        (0..8_u8, 0..3_usize).prop_map(|(kind, step)| match kind {
            0 => started(step),
            1 => Record::Again { step, why: String::new() },
            2 => done(step),
            3 => back(),
            4 => Record::UndoFailed { step, failure: failure() },
            5 => undone(step),
            6 => Record::Stranded { step, failure: failure() },
            _ => Record::Resumed { by: String::new() },
        })
    }

    proptest! {
        /// Whatever comes, no status outside the plan is reached, and a saga at rest only moves by
        /// an order.
        #[test]
        fn statuses_stay_sound(records in proptest::collection::vec(any_record(), 0..200),
                               limit in proptest::option::of(0..3_usize)) {
            let shape = Shape { steps: 3, no_return: limit };
            let mut status = Status::START;
            let mut opened_no_return = false;
            for record in &records {
                let rest = status.is_at_rest();
                let Ok(after) = next(shape, status.clone(), record) else { continue };
                let ordered = matches!(record, Record::Resumed { .. });
                prop_assert!(!rest || ordered);
                if let Record::Started { step, .. } = record {
                    opened_no_return |= limit.is_some_and(|limit| *step >= limit);
                }
                let (step, unwinding) = match &after {
                    Status::Running { step, .. } => (*step, false),
                    Status::Unwinding { step, .. } => (*step, true),
                    Status::Stuck { step, way, .. } => (*step, *way == Way::Back),
                    Status::Done => (0, false),
                    Status::RolledBack { .. } => (0, true),
                };
                prop_assert!(step < 3);
                prop_assert!(!(unwinding && opened_no_return));
                status = after;
            }
        }
    }
}
