//! The verbs of the socket.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use freehold_protocol::{ids::Nonce, wire::RunningJob};

use super::{DRAINED, Executor, Live, OpenPoll};
use crate::{
    clock::Clock,
    identity,
    journal::{
        JournalError,
        chain::{JobRow, JobState},
        outbox::Backlog,
    },
    socket::{
        Ack, Answerer, Caller, Contact, ErrorCode, JobView, MAX_REPORT_WAIT_MS, OutItem, OutWork,
        Reply, Request, StatusView,
    },
};

/// Longest wait of `next-report`.
const MAX_WAIT: Duration = Duration::from_millis(MAX_REPORT_WAIT_MS as u64);
/// So many intervals without a good answer are a freeze.
const FREEZE_INTERVALS: u32 = 3;

/// What `status` shows to people and the poller has no use for.
#[derive(Default)]
struct ForPeople {
    backlog: Backlog,
    stuck: Vec<JobRow>,
}

impl Answerer for Executor {
    fn answer(&self, caller: Caller, request: Request) -> Reply {
        match request {
            Request::Status { for_poll } => self.status(for_poll),
            Request::PollFailed { failure } => {
                self.live().failed_poll.note(failure, self.clock.since_boot());
                Reply::Done
            }
            Request::Offer { answer } => match self.offer(&answer) {
                Ok(offered) => Reply::Offered(offered),
                Err(error) => Reply::Error {
                    code: match error {
                        super::offer::OfferError::NotEnrolled => ErrorCode::NotEnrolled,
                        super::offer::OfferError::NoPoll
                        | super::offer::OfferError::TrustBehind { .. } => ErrorCode::AskAgain,
                        super::offer::OfferError::Journal(_) => ErrorCode::Journal,
                        _ => ErrorCode::OfferRefused,
                    },
                    message: format!("{}: {}", error.code(), crate::cli::chain_of(&error)),
                },
            },
            Request::NextReport { wait_ms } => {
                self.next_report(Duration::from_millis(wait_ms.into()))
            }
            Request::AckReport { id, ack } => self.ack_report(&id, &ack),
            // What a hole in the poller must not reach.
            Request::Drain { .. } | Request::Resume { .. } if caller != Caller::Operator => {
                Reply::Error { code: ErrorCode::Forbidden, message: "only root may do this".into() }
            }
            Request::Drain { on } => self.drain(on),
            Request::Resume { job } => match self.resume(job, "the operator of the host") {
                Ok(()) => Reply::Done,
                Err(error) => Reply::Error {
                    code: ErrorCode::NotFound,
                    message: crate::cli::chain_of(&error),
                },
            },
        }
    }
}

impl Executor {
    fn journal_error(&self, error: &JournalError) -> Reply {
        self.break_down(error);
        Reply::Error { code: ErrorCode::Journal, message: crate::cli::chain_of(error) }
    }

    fn drain(&self, on: bool) -> Reply {
        if let Err(error) = self.journal.set_setting(DRAINED, if on { "yes" } else { "no" }) {
            return self.journal_error(&error);
        }
        tracing::info!(drained = on, "ordered by the operator of the host");
        self.live().drained = on;
        Reply::Done
    }

    fn status(&self, for_poll: bool) -> Reply {
        // What is for people is not read for the poller, who asks all day.
        let for_people = if for_poll { Ok(ForPeople::default()) } else { self.for_people() };
        let ForPeople { backlog, stuck } = match for_people {
            Ok(found) => found,
            Err(error) => return self.journal_error(&error),
        };
        let mut live = self.live();
        let Some(enrolled) = live.enrolled.clone() else {
            return Reply::Error {
                code: ErrorCode::NotEnrolled,
                message: "this host is not enrolled".into(),
            };
        };
        if for_poll {
            live.poll = match identity::random::<16>() {
                Ok(bytes) => Some(OpenPoll {
                    nonce: Nonce::from_bytes(*bytes),
                    drawn_at: self.clock.since_boot(),
                }),
                Err(error) => {
                    return Reply::Error { code: ErrorCode::Journal, message: error.to_string() };
                }
            };
        }
        let receipt = &enrolled.by.receipt;
        let document = enrolled.by.trust.document();
        // Read under the lock, after which a job is either among those that run or its report is in
        // the outbox; only the portal's acknowledgement takes it away from there.
        let reporting = if for_poll {
            match self.journal.reporting() {
                Ok(reporting) => reporting,
                Err(error) => {
                    drop(live);
                    return self.journal_error(&error);
                }
            }
        } else {
            Vec::new()
        };
        let head_proof = if live.contact.conflict && for_poll {
            match self.journal.head(receipt.agent_id) {
                Ok(head) => head.map(|(_, envelope)| envelope),
                Err(error) => {
                    drop(live);
                    return self.journal_error(&error);
                }
            }
        } else {
            None
        };
        let busy = u32::try_from(live.running.len() + live.queue.len()).unwrap_or(u32::MAX);
        let draining = live.drained || self.is_stopping();
        let mut jobs = if for_poll { Vec::new() } else { self.job_views(&live) };
        jobs.extend(stuck.into_iter().map(|row| self.stuck_view(row)));
        Reply::Status(Box::new(StatusView {
            portal: receipt.portal,
            portal_url: enrolled.by.portal_url.clone(),
            agent_id: receipt.agent_id,
            host_name: receipt.host_name.clone(),
            nonce: live.poll.as_ref().filter(|_| for_poll).map(|poll| poll.nonce.clone()),
            head: live.head.unwrap_or(freehold_protocol::wire::Head::start_of(document.epoch)),
            head_proof,
            trust_version: document.version,
            trust_expires: document.exp,
            running: self.running_jobs(&live),
            reporting,
            jobs,
            free_workers: if draining { 0 } else { self.workers.saturating_sub(busy) },
            draining,
            drained_by_portal: live.contact.drain,
            contact: self.contact(&live),
            outbox: backlog.waiting + u64::from(live.inventory.is_some()),
            set_aside: backlog.set_aside,
            failed_poll: if for_poll {
                None
            } else {
                live.failed_poll.view(self.clock.since_boot())
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    fn for_people(&self) -> Result<ForPeople, JournalError> {
        let mut stuck = self.journal.open_jobs()?;
        stuck.retain(|row| row.state == JobState::Stuck);
        Ok(ForPeople { backlog: self.journal.backlog()?, stuck })
    }

    fn contact(&self, live: &Live) -> Contact {
        let now = self.clock.since_boot();
        let age = live.contact.at.map(|at| now.saturating_sub(at));
        // Without any answer the wait is counted from when there could have been one.
        let silent = age.unwrap_or_else(|| now.saturating_sub(live.enrolled_since));
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Contact {
            last_answer_ms_ago: age.map(millis),
            interval_ms: millis(live.contact.interval),
            frozen: silent > live.contact.interval * FREEZE_INTERVALS,
            skew_ms: self.clock.skew_millis(),
            portal_now: self.clock.portal_now(),
            conflict: live.contact.conflict,
            refusal: live.contact.refusal.clone(),
        }
    }

    fn running_jobs(&self, live: &Live) -> Vec<RunningJob> {
        let working = live.running.values().map(|running| RunningJob {
            job_id: running.row.job.job_id,
            attempt: running.row.job.attempt,
            step: running.step.clone(),
            undoing: running.undoing,
            progress_at: running.progress_at,
        });
        let waiting = live.queue.iter().map(|row| RunningJob {
            job_id: row.job.job_id,
            attempt: row.job.attempt,
            step: String::new(),
            undoing: false,
            progress_at: row.accepted_at,
        });
        working.chain(waiting).collect()
    }

    fn job_views(&self, live: &Live) -> Vec<JobView> {
        let now = self.clock.now();
        let ago = |at| u64::try_from(now.millis_since(at)).unwrap_or_default();
        let view = |row: &JobRow| JobView {
            job_id: row.job.job_id,
            attempt: row.job.attempt,
            kind: row.job.work.kind(),
            tenant: row.job.work.tenant(),
            slug: row.job.work.slug().map(ToString::to_string),
            state: row.state.as_str().to_owned(),
            step: String::new(),
            steps: (0, 0),
            progress_ms_ago: ago(row.accepted_at),
            outcome: row.report.as_ref().map(|report| report.outcome),
            failure: row.report.as_ref().and_then(|report| report.failure.clone()),
        };
        let working = live.running.values().map(|running| JobView {
            state: if running.undoing { "undoing" } else { "running" }.into(),
            step: running.step.clone(),
            steps: (running.done, running.total),
            progress_ms_ago: ago(running.progress_at),
            ..view(&running.row)
        });
        working.chain(live.queue.iter().map(view)).collect()
    }

    fn stuck_view(&self, row: JobRow) -> JobView {
        let report = row.report.as_ref();
        let ended = report.map_or(row.accepted_at, |report| report.ended_at);
        JobView {
            job_id: row.job.job_id,
            attempt: row.job.attempt,
            kind: row.job.work.kind(),
            tenant: row.job.work.tenant(),
            slug: row.job.work.slug().map(ToString::to_string),
            state: "stuck".into(),
            step: report
                .and_then(|report| report.steps.last())
                .map(|step| step.step.clone())
                .unwrap_or_default(),
            steps: (0, 0),
            progress_ms_ago: u64::try_from(self.clock.now().millis_since(ended))
                .unwrap_or_default(),
            outcome: report.map(|report| report.outcome),
            failure: report.and_then(|report| report.failure.clone()),
        }
    }

    /// The next thing to tell, waiting a while for one.
    fn next_report(&self, wait: Duration) -> Reply {
        let until = Instant::now() + wait.min(MAX_WAIT);
        let mut live = self.live();
        loop {
            // Read under the lock, which everybody takes who has put something into the outbox, before
            // it wakes us: nothing comes between this look and the wait.
            match self.journal.next_out() {
                Err(error) => {
                    drop(live);
                    return self.journal_error(&error);
                }
                Ok(Some(item)) => return Reply::Report(Some(Box::new(item))),
                Ok(None) => {}
            }
            if let Some((number, inventory)) = &live.inventory {
                return Reply::Report(Some(Box::new(OutItem {
                    id: format!("inventory:{number}"),
                    work: OutWork::Inventory { body: inventory.clone() },
                })));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.closed.load(Ordering::SeqCst) {
                return Reply::Report(None);
            }
            live = self
                .changed
                .wait_timeout(live, left)
                .map(|(live, _)| live)
                .unwrap_or_else(|poisoned| poisoned.into_inner().0);
        }
    }

    fn ack_report(&self, id: &str, ack: &Ack) -> Reply {
        if let Some(number) = id.strip_prefix("inventory:") {
            match ack {
                Ack::Taken { .. } => {}
                Ack::Later => tracing::warn!("the portal failed over an inventory"),
                Ack::Refused { status, why } => {
                    tracing::warn!(status, why, "the portal refused an inventory");
                }
            }
            let mut live = self.live();
            if live.inventory.as_ref().is_some_and(|(own, _)| own.to_string() == number) {
                live.inventory = None;
            }
            return Reply::Done;
        }
        match self.journal.ack_out(id, ack) {
            Ok(None) => Reply::Done,
            Ok(Some(why)) => {
                tracing::error!(
                    id,
                    why,
                    "the portal refuses this for good; it is not sent any more"
                );
                Reply::Done
            }
            // The id comes from the poller: a wrong one is its mistake, not the journal's.
            Err(JournalError::Unreadable { what, why }) => {
                Reply::Error { code: ErrorCode::NotFound, message: format!("{what}: {why}") }
            }
            Err(error) => self.journal_error(&error),
        }
    }
}
