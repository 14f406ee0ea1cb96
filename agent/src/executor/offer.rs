//! From a portal's answer to recorded jobs. Everything in the answer is hostile until
//! [`admit`] has passed it; nothing is started before it is durable.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use freehold_protocol::{
    admit::{Admitted, Refusal, Standing, admit},
    dsse::Envelope,
    time::Timestamp,
    trust::{MAX_STEPS, Trust, TrustError},
    wire::{Head, JobAttempt, MAX_WAIT_SECS, PollAnswer},
};

use super::{Enrolled, Executor, LastContact, portal_time::ToKeep, report::told_again};
use crate::{
    clock::Clock,
    journal::{JournalError, chain::Acceptance},
    socket::Offered,
};

/// Slack of an interval before three of them make a freeze: the request's own time.
const INTERVAL_SLACK: Duration = Duration::from_secs(10);

/// Oldest question whose answer is taken: the portal's longest wait, and time for two slow networks.
/// The poller is not trusted, and what it holds back must not be worth anything for ever.
const MAX_POLL_AGE: Duration = Duration::from_secs(MAX_WAIT_SECS as u64 + 120);

/// Why an offer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// The host is not enrolled.
    #[error("this host is not enrolled")]
    NotEnrolled,
    /// No poll is open: no nonce was drawn, or it was used.
    #[error("no poll is open: the answer to each poll can be offered once")]
    NoPoll,
    /// It comes too late: somebody may have held it back.
    #[error("the answer comes {} s after its question, {} s is the longest", age.as_secs(), MAX_POLL_AGE.as_secs())]
    Late {
        /// Since the question.
        age: Duration,
    },
    /// The trust documents that came with it were refused.
    #[error("a trust document was refused")]
    Trust(#[source] TrustError),
    /// The answer brought a full page of trust documents, which were taken, and is signed by a key of
    /// a later one: the next poll brings more.
    #[error("more trust documents are needed, from version {held} on")]
    TrustBehind {
        /// The version that is held by now.
        held: u64,
    },
    /// The answer was refused.
    #[error("the answer was refused")]
    Refused(#[source] Refusal),
    /// The journal did not work.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl OfferError {
    /// A stable code in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotEnrolled => "not_enrolled",
            Self::NoPoll => "no_poll",
            Self::Late { .. } => "late",
            Self::Trust(error) => error.code(),
            Self::TrustBehind { .. } => "trust_behind",
            Self::Refused(refusal) => refusal.code(),
            Self::Journal(_) => "journal",
        }
    }
}

impl Executor {
    /// Takes what the portal answered to the open poll.
    ///
    /// # Errors
    /// See [`OfferError`]. A refusal is recorded, and told with the next inventory.
    pub fn offer(&self, answer: &PollAnswer) -> Result<Offered, OfferError> {
        // One at a time: each is judged against the head that the one before has left.
        let _one = self.offering.lock().unwrap_or_else(PoisonError::into_inner);
        // Good or bad, it is an answer: the poll has not failed.
        self.live().failed_poll.answered();
        let taken = self.take(answer);
        match &taken {
            // An answer to a poll of before our own restart is nobody's fault, nor is a long sleep.
            Ok(_)
            | Err(OfferError::NotEnrolled | OfferError::NoPoll | OfferError::TrustBehind { .. }) => {
            }
            Err(OfferError::Journal(error)) => self.break_down(error),
            Err(error) => self.note_refusal(error)?,
        }
        taken
    }

    fn take(&self, answer: &PollAnswer) -> Result<Offered, OfferError> {
        let (mut enrolled, open, head) = {
            let mut live = self.live();
            let enrolled = live.enrolled.clone().ok_or(OfferError::NotEnrolled)?;
            // A nonce serves one answer, good or bad.
            let open = live.poll.take().ok_or(OfferError::NoPoll)?;
            let start = Head::start_of(enrolled.by.trust.document().epoch);
            (enrolled, open, live.head.unwrap_or(start))
        };
        let age = self.clock.since_boot().saturating_sub(open.drawn_at);
        if age > MAX_POLL_AGE {
            return Err(OfferError::Late { age });
        }
        let steps = walk(&enrolled.by.trust, &answer.trust).map_err(OfferError::Trust)?;
        if let Some((trust, _)) = steps.last() {
            // Worth keeping even if the rest is refused: it proves itself.
            enrolled = self.take_trust(&enrolled, trust, &steps)?;
        }
        let receipt = &enrolled.by.receipt;
        let standing = Standing {
            portal: receipt.portal,
            agent_id: receipt.agent_id,
            agent_key: enrolled.key.public().fingerprint(),
            trust: &enrolled.by.trust,
            head,
            nonce: &open.nonce,
        };
        let admitted = admit(&standing, answer).map_err(|refusal| match refusal {
            Refusal::Answer(error) if error.is_about_trust() && steps.len() == MAX_STEPS => {
                OfferError::TrustBehind { held: enrolled.by.trust.document().version }
            }
            refusal => OfferError::Refused(refusal),
        })?;
        self.record(&enrolled, head, age, &admitted, &answer.jobs).map_err(OfferError::Journal)
    }

    /// Makes new trust documents durable, then uses the last of them.
    fn take_trust(
        &self,
        enrolled: &Enrolled,
        trust: &Trust,
        steps: &[(Trust, Envelope)],
    ) -> Result<Arc<Enrolled>, OfferError> {
        let documents: Vec<(u64, Envelope)> = steps
            .iter()
            .map(|(trust, envelope)| (trust.document().version, envelope.clone()))
            .collect();
        self.journal.accept(&Acceptance {
            agent: enrolled.by.receipt.agent_id,
            trust: &documents,
            jobs: &[],
            cancel: &[],
            portal_time: None,
            now: self.clock.now(),
        })?;
        let document = trust.document();
        tracing::info!(version = document.version, epoch = document.epoch, "new trust document");
        let mut by = enrolled.by.clone();
        by.trust = trust.clone();
        let key = crate::identity::read_signing_key(&self.report_key);
        let key = key.map_err(|_| OfferError::NotEnrolled)?;
        let next = Arc::new(Enrolled { by, key });
        self.live().enrolled = Some(Arc::clone(&next));
        Ok(next)
    }

    /// Makes the jobs of a believed answer durable, then lets the workers see them.
    fn record(
        &self,
        enrolled: &Enrolled,
        head: Head,
        age: Duration,
        admitted: &Admitted,
        envelopes: &[Envelope],
    ) -> Result<Offered, JournalError> {
        let poll = admitted.poll.get();
        let epoch = enrolled.by.trust.document().epoch;
        let head = if head.epoch < epoch { Head::start_of(epoch) } else { head };
        let jobs: Vec<_> = admitted.jobs.iter().cloned().zip(envelopes).collect();
        // The time was true when the portal read it; since then at most what the question was on its
        // way for has passed. Taking all of it keeps an expired job expired, however long somebody
        // has sat on the answer.
        let late = age.saturating_sub(Duration::from_millis(poll.held_millis));
        let now = poll.now.plus_millis(i64::try_from(late.as_millis()).unwrap_or(i64::MAX));
        let keep = self.clock.to_keep(now);
        let again = self.journal.accept(&Acceptance {
            agent: enrolled.by.receipt.agent_id,
            trust: &[],
            jobs: &jobs,
            cancel: &poll.cancel,
            portal_time: keep.as_ref().map(ToKeep::to_text).as_deref(),
            now,
        })?;
        if let Some(keep) = keep {
            self.clock.kept(keep);
        }
        // What waits for a time to be sure of.
        let first = self.clock.certain().is_none();
        self.clock.set(now);
        for known in &again {
            tracing::info!(job = %known.row.job.job_id, attempt = known.row.job.attempt, "a job came again; its result is told again");
            told_again(&self.journal, enrolled, &known.row)?;
        }
        for job in &poll.report {
            self.tell_anew(enrolled, *job)?;
        }
        let interval =
            Duration::from_secs(u64::from(poll.next_poll_seconds) + u64::from(poll.wait_seconds));
        let mut live = self.live();
        // Read under the lock: a job that comes to rest just now is either in the hands of its
        // worker or not in the list. A list from before would have it run again.
        let same = jobs.is_empty() && poll.cancel.is_empty();
        let open = if same { Vec::new() } else { self.journal.open_jobs()? };
        live.head = Some(admitted.jobs.last().map_or(head, |job| Head {
            epoch: job.get().epoch,
            seq: job.get().seq,
            hash: job.digest(),
        }));
        live.contact = LastContact {
            at: Some(self.clock.since_boot()),
            interval: interval + INTERVAL_SLACK,
            conflict: poll.conflict,
            drain: poll.drain,
            refusal: None,
        };
        for row in open {
            let id = row.job.job_id;
            if let Some(running) =
                live.running.get_mut(&id).filter(|running| running.row.seq == row.seq)
            {
                if row.cancelled && !running.cancel.is_cancelled() {
                    tracing::info!(job = %id, "cancelled by the portal");
                    running.cancel.cancel();
                }
                continue;
            }
            if row.state == crate::journal::chain::JobState::Stuck {
                continue;
            }
            match live.queue.iter_mut().find(|waiting| waiting.seq == row.seq) {
                Some(waiting) => *waiting = row,
                None => live.queue.push(row),
            }
        }
        drop(live);
        // The answer to an idle host's poll wakes nobody.
        if first || !same || !poll.report.is_empty() {
            self.changed.notify_all();
        }
        for job in &poll.resume {
            if let Err(error) = self.resume(*job, "an admin of the portal") {
                tracing::warn!(%job, %error, "a resume order was not carried out");
            }
        }
        let accepted = u32::try_from(jobs.len().saturating_sub(again.len())).unwrap_or(u32::MAX);
        if accepted > 0 {
            tracing::info!(jobs = accepted, "jobs accepted");
        }
        Ok(Offered {
            accepted,
            portal_now: now,
            next_poll_seconds: poll.next_poll_seconds,
            wait_seconds: poll.wait_seconds,
            conflict: poll.conflict,
        })
    }

    /// Queues a report again that the portal lacks. That it was acknowledged is no proof that the
    /// portal has it: the acknowledgement comes through the poller.
    fn tell_anew(&self, enrolled: &Enrolled, job: JobAttempt) -> Result<(), JournalError> {
        if self.journal.reporting()?.contains(&job) {
            return Ok(());
        }
        match self.journal.job(job)? {
            Some(row) => {
                tracing::warn!(job = %job.job_id, attempt = job.attempt, "the portal lacks a report; it is told again");
                told_again(&self.journal, enrolled, &row)
            }
            None => {
                tracing::warn!(job = %job.job_id, attempt = job.attempt, "the portal lacks the report of a job that this host does not know");
                Ok(())
            }
        }
    }

    fn note_refusal(&self, error: &OfferError) -> Result<(), OfferError> {
        let text = crate::cli::chain_of(error);
        let now: Timestamp = self.clock.now();
        let times = self.journal.record_refusal(error.code(), &text, now)?;
        tracing::warn!(code = error.code(), error = %text, times, "an answer of the portal was refused");
        let mut live = self.live();
        live.contact.refusal = Some(format!("{}: {text}", error.code()));
        live.look_again = true;
        drop(live);
        self.changed.notify_all();
        Ok(())
    }
}

/// The new documents in order. Those that are not newer are passed over.
fn walk(held: &Trust, envelopes: &[Envelope]) -> Result<Vec<(Trust, Envelope)>, TrustError> {
    // The length is judged, and the whole walk proven, by the one function that does it.
    held.walk(envelopes)?;
    let mut steps: Vec<(Trust, Envelope)> = Vec::new();
    for envelope in envelopes {
        let from = steps.last().map_or(held, |(trust, _)| trust);
        match from.next(envelope) {
            Ok(next) => steps.push((next, envelope.clone())),
            Err(TrustError::Older { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(steps)
}
