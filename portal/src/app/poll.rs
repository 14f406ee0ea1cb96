//! A poll: the agent says where it stands, the portal says what is next.

use freehold_protocol::{
    dsse::Envelope,
    failure::{Failure, FailureClass},
    ids::{AgentId, JobId},
    time::Timestamp,
    trust::MAX_STEPS,
    wire::{Head, JobAttempt, MAX_POLL_ANSWER_BYTES, PollAnswer, PollPayload, PollRequest},
};
use serde_json::json;

use super::{dispatch::dispatch, settle::settle};
use crate::{
    db::{
        Read, Tx,
        agents::{self, AgentRow, Standing},
        audit::{self, Entry},
        chain::{self, Link},
        hosts::{self, HostRow, HostState},
        jobs,
        seen::Seen,
    },
    domain::{job::JobState, presence::SKEW_SHOWN_MS},
    error::{AppError, Kind},
    keys::PortalKeys,
};

/// Most envelopes in one answer.
const MAX_LINKS: usize = 8;
/// Room in an answer for everything but the job envelopes: the signed part, and trust documents.
const OTHER_ANSWER_BYTES: usize = 320 * 1024;
/// An accepted job that the agent neither works on nor reports, and whose report does not come for so
/// long after it was asked for again, is lost.
const LOST_SECS: i64 = 15 * 60;

/// How leases and waits are measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Lease of a job, in seconds.
    pub lease_secs: i64,
    /// When the next poll is expected to come, in seconds from now.
    pub expect_secs: i64,
}

/// An agent polls.
#[derive(Debug, Clone)]
pub struct Poll {
    /// The agent, as its signature proved.
    pub agent: AgentId,
    /// What it says.
    pub request: PollRequest,
    /// See [`Pace`].
    pub pace: Pace,
    /// Where apps on the hosts find the portal, when it is told.
    pub url_for_apps: Option<String>,
    /// Whether this is the first look of the request; later looks, after a wake, note nothing anew.
    pub first: bool,
}

/// What the portal has for the agent.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The time of the transaction.
    pub now: Timestamp,
    /// Envelopes that the agent lacks, in order.
    pub links: Vec<Link>,
    /// Where its chain ends with them.
    pub head: Head,
    /// What to stop.
    pub cancel: Vec<JobAttempt>,
    /// Reports to tell again.
    pub report: Vec<JobAttempt>,
    /// Whether one of them has not been asked for before.
    pub asks_anew: bool,
    /// Stuck jobs to try again.
    pub resume: Vec<JobId>,
    /// See [`PollPayload::conflict`].
    pub conflict: bool,
    /// See [`PollPayload::drain`].
    pub drain: bool,
    /// When a waiting job may start, if that is what the agent would wait for.
    pub next_at: Option<Timestamp>,
}

/// When an answer is given, and when the agent shall ask again.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// See [`PollPayload::now`].
    pub now: Timestamp,
    /// See [`PollPayload::held_millis`].
    pub held_millis: u64,
    /// See [`PollPayload::next_poll_seconds`].
    pub next_poll_seconds: u32,
    /// See [`PollPayload::wait_seconds`].
    pub wait_seconds: u32,
}

impl Turn {
    /// Whether there is nothing to tell but the time.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.links.is_empty() && self.cancel.is_empty() && self.resume.is_empty() && !self.asks_anew
    }

    /// Whether it holds orders that are repeated in every answer until a report comes.
    #[must_use]
    pub fn repeats_orders(&self) -> bool {
        !self.cancel.is_empty() || !self.resume.is_empty()
    }

    /// The signed answer.
    ///
    /// # Errors
    /// When it is not signed, which is a defect.
    pub fn answer(
        self,
        keys: &PortalKeys,
        agent: AgentId,
        request: &PollRequest,
        timing: &Timing,
    ) -> Result<PollAnswer, AppError> {
        let payload = PollPayload {
            portal: keys.portal(),
            agent_id: agent,
            nonce: request.nonce.clone(),
            now: timing.now,
            held_millis: timing.held_millis,
            epoch: keys.epoch(),
            trust_version: keys.trust_version(),
            head: self.head,
            jobs: self.links.iter().map(|link| link.digest).collect(),
            cancel: self.cancel,
            report: self.report,
            resume: self.resume,
            conflict: self.conflict,
            drain: self.drain,
            next_poll_seconds: timing.next_poll_seconds,
            wait_seconds: timing.wait_seconds,
        };
        let answer = Envelope::sign(&payload, &[keys.job()])
            .map_err(|error| AppError::bug("a poll answer was not signed").because(error))?;
        Ok(PollAnswer {
            answer,
            jobs: self.links.into_iter().map(|link| link.envelope).collect(),
            // A page; an agent that lacks more asks again at once.
            trust: keys
                .trust_after(request.trust_version)
                .iter()
                .take(MAX_STEPS)
                .cloned()
                .collect(),
        })
    }
}

impl Poll {
    /// Looks without writing. Most polls find their agent at rest and nothing for it: what they say is
    /// then only that it is there, which needs no transaction. `None` when anything else is due, which
    /// [`Poll::apply`] does.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] when the agent was revoked meanwhile.
    pub fn look(&self, read: &Read<'_>, keys: &PortalKeys) -> Result<Option<Turn>, AppError> {
        let agent = self.row(read)?;
        let host = hosts::get(read, agent.host_id)?;
        if self.first {
            self.note_seen(read, &agent, &host);
        }
        let request = &self.request;
        let news = agent.version != request.agent_version
            || agent.draining != request.draining
            || agent.trust_version != request.trust_version
            // An agent whose journal is an older copy needs again what it had.
            || agent.acked > (request.head.epoch, request.head.seq);
        // An equal head is an equal chain: nothing to deliver, and no conflict.
        let settled = agent.head == request.head
            && agent.head.epoch >= keys.epoch()
            && host.state != HostState::Conflict;
        if news || !settled || jobs::has_out_to(read, host.id, agent.id)? {
            return Ok(None);
        }
        let takes = self.is_open(&host) && request.free_workers > 0;
        if takes && jobs::has_ready(read, host.id)? {
            return Ok(None);
        }
        let mut turn = self.turn(read, &host, Vec::new(), agent.head, false);
        if takes {
            turn.next_at = jobs::next_not_before(read, host.id)?;
        }
        Ok(Some(turn))
    }

    /// Notes what the agent says, renews its leases and finds what is next for it.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] when the agent was revoked meanwhile.
    pub fn apply(&self, tx: &Tx<'_>, keys: &PortalKeys) -> Result<Turn, AppError> {
        let agent = self.row(tx)?;
        let host = hosts::get(tx, agent.host_id)?;
        if self.first {
            self.note(tx, &agent)?;
        }
        // Before a new epoch begins: it would close the old chain, and with it the one place where
        // a restored database shows.
        if self.is_conflict(tx, &agent)? || host.state == HostState::Conflict {
            self.enter_conflict(tx, &agent, &host)?;
            return Ok(self.turn(tx, &host, Vec::new(), self.request.head, true));
        }
        let agent = start_epoch(tx, keys, agent, self.request.head)?;
        let asks_anew = self.settle_lost(tx, &agent, &host)?;
        let from =
            if self.request.head.epoch == agent.head.epoch { self.request.head.seq } else { 0 };
        let mut links = chain::after(tx, agent.id, agent.head.epoch, from, MAX_LINKS)?;
        let open = self.is_open(&host);
        // What is delivered again takes up workers too; beyond the limit the next poll goes on.
        let slots = if open && links.len() < MAX_LINKS {
            (self.request.free_workers as usize)
                .saturating_sub(links.len())
                .min(MAX_LINKS - links.len())
        } else {
            0
        };
        let (new, _) = dispatch(tx, keys, &agent, agent.head, slots, self)?;
        links.extend(new);
        // What is over stays in the chain; the next poll, which comes at once, gets it.
        keep_what_fits(&mut links);
        let head = links.last().map_or_else(
            || Head { epoch: agent.head.epoch, seq: from, hash: agent.head.hash },
            |link| Head { epoch: link.epoch, seq: link.seq, hash: link.digest },
        );
        let mut turn = self.turn(tx, &host, links, head, false);
        turn.asks_anew = asks_anew;
        self.orders(tx, &mut turn)?;
        if open && self.request.free_workers > 0 {
            turn.next_at = jobs::next_not_before(tx, host.id)?;
        }
        Ok(turn)
    }

    fn row(&self, read: &Read<'_>) -> Result<AgentRow, AppError> {
        let agent = agents::get(read, self.agent)?;
        if agent.revoked_at.is_some() {
            return Err(AppError::new(
                Kind::Unauthenticated,
                "agent_revoked",
                "this agent was replaced or revoked",
            )
            .advice(
                "enroll the host again: `freehold host token NAME`, then `freehold-agent enroll`",
            ));
        }
        Ok(agent)
    }

    /// Whether new jobs may go to the host.
    fn is_open(&self, host: &HostRow) -> bool {
        !host.drained && !self.request.draining
    }

    fn turn(
        &self,
        read: &Read<'_>,
        host: &HostRow,
        links: Vec<Link>,
        head: Head,
        conflict: bool,
    ) -> Turn {
        Turn {
            now: read.now(),
            links,
            head,
            cancel: Vec::new(),
            report: Vec::new(),
            asks_anew: false,
            resume: Vec::new(),
            conflict,
            drain: host.drained,
            next_at: None,
        }
    }

    fn note_seen(&self, read: &Read<'_>, agent: &AgentRow, host: &HostRow) {
        let (request, now) = (&self.request, read.now());
        let skew = request.clock.millis_since(now);
        if skew.abs() > SKEW_SHOWN_MS && agent.clock_skew_ms.abs() <= SKEW_SHOWN_MS {
            tracing::warn!(host = %host.name, skew_ms = skew, "the host's clock is wrong");
        }
        let seen = Seen {
            at: now,
            expected_at: now.plus_secs(self.pace.expect_secs),
            clock_skew_ms: skew,
            acked: (request.head.epoch, request.head.seq),
        };
        read.note_seen(agent.id, seen);
    }

    fn note(&self, tx: &Tx<'_>, agent: &AgentRow) -> Result<(), AppError> {
        let request = &self.request;
        agents::note_standing(
            tx,
            &Standing {
                agent: agent.id,
                version: &request.agent_version,
                clock_skew_ms: request.clock.millis_since(tx.now()),
                draining: request.draining,
                trust_version: request.trust_version,
                acked: (request.head.epoch, request.head.seq),
                expected_at: tx.now().plus_secs(self.pace.expect_secs),
            },
        )?;
        let until = tx.now().plus_secs(self.pace.lease_secs);
        jobs::renew_silent(tx, agent.id, until)?;
        for running in &request.running {
            if !jobs::renew(tx, agent.id, running, until)? {
                tracing::debug!(job = %running.job_id, "the agent works on a job that is at rest here");
            }
        }
        Ok(())
    }

    /// Whether the agent's chain is not a beginning of ours.
    fn is_conflict(&self, tx: &Tx<'_>, agent: &AgentRow) -> Result<bool, AppError> {
        let head = self.request.head;
        if head.epoch < agent.head.epoch {
            // It has not taken the new epoch yet; its old chain is closed.
            return Ok(false);
        }
        if head.epoch > agent.head.epoch || head.seq > agent.head.seq {
            return Ok(true);
        }
        if head.seq == 0 {
            return Ok(head != Head::start_of(head.epoch));
        }
        if head.seq == agent.head.seq {
            return Ok(head.hash != agent.head.hash);
        }
        Ok(chain::digest_at(tx, agent.id, head.epoch, head.seq)? != Some(head.hash))
    }

    fn enter_conflict(
        &self,
        tx: &Tx<'_>,
        agent: &AgentRow,
        host: &HostRow,
    ) -> Result<(), AppError> {
        agents::note_conflict(tx, agent.id, &self.request.head, self.request.head_proof.as_ref())?;
        if host.state == HostState::Conflict {
            return Ok(());
        }
        hosts::set_state(tx, host.id, host.state, HostState::Conflict)?;
        tracing::error!(host = %host.name, agent_seq = self.request.head.seq, portal_seq = agent.head.seq,
            "the agent's chain of jobs goes beyond the portal's: was the database restored from a backup?");
        audit::append(
            tx,
            &Entry {
                actor: "system",
                action: "host.conflict",
                object_kind: "host",
                object_id: &host.id.to_string(),
                detail: json!({ "name": host.name, "agentHead": self.request.head, "portalHead": agent.head }),
            },
        )
    }

    /// Finds jobs of which nobody knows any more: the agent neither works on them nor holds a report
    /// that waits, and this database has none. Their report is asked for again; one that has not come
    /// long after that never will. Says whether one is asked for the first time.
    fn settle_lost(&self, tx: &Tx<'_>, agent: &AgentRow, host: &HostRow) -> Result<bool, AppError> {
        if !self.first {
            return Ok(false);
        }
        let mut asks_anew = false;
        let head = self.request.head;
        for job in jobs::out_to(tx, agent.id)? {
            let accepted = job.position.is_some_and(|place| place <= (head.epoch, head.seq));
            let own = JobAttempt { job_id: job.id, attempt: job.attempt };
            if !accepted || self.holds(own) || job.resume_requested_at.is_some() {
                continue;
            }
            let Some(asked_at) = job.report_asked_at else {
                jobs::ask_for_report(tx, &job)?;
                asks_anew = true;
                continue;
            };
            if tx.now().millis_since(asked_at) > LOST_SECS * 1000 {
                let failure = Failure::new(
                    FailureClass::Host,
                    "the agent has finished the job, but its report is not in this database",
                    "it was asked for again and did not come: check the tenant, then queue the job again if needed; a report that still comes puts this right",
                );
                settle(tx, &job, JobState::Failed, &failure, &format!("agent:{}", host.name))?;
                jobs::note_lost(tx, &job)?;
            }
        }
        Ok(asks_anew)
    }

    /// Whether the agent says that it works on this attempt or is about to report it.
    fn holds(&self, job: JobAttempt) -> bool {
        self.works_on(job) || self.request.reporting.contains(&job)
    }

    /// Whether the agent says that it works on this attempt.
    fn works_on(&self, job: JobAttempt) -> bool {
        let mut running = self.request.running.iter();
        running.any(|running| running.job_id == job.job_id && running.attempt == job.attempt)
    }

    /// Cancel and resume orders, and reports to tell again. They are repeated in every answer until a
    /// report comes.
    fn orders(&self, tx: &Tx<'_>, turn: &mut Turn) -> Result<(), AppError> {
        let out = jobs::out_to(tx, self.agent)?;
        for job in &out {
            let own = JobAttempt { job_id: job.id, attempt: job.attempt };
            if job.cancel_requested_at.is_some() {
                turn.cancel.push(own);
            }
            if job.resume_requested_at.is_some() && !self.works_on(own) {
                turn.resume.push(job.id);
            }
            if job.report_asked_at.is_some() && !self.holds(own) {
                turn.report.push(own);
            }
        }
        // The chain is delivered whole; what is settled already is not to be started.
        for link in &turn.links {
            let own = JobAttempt { job_id: link.job_id, attempt: link.attempt };
            let live = out.iter().any(|job| (job.id, job.attempt) == (own.job_id, own.attempt));
            if !live && !turn.cancel.contains(&own) {
                turn.cancel.push(own);
            }
        }
        Ok(())
    }
}

/// Leaves as many links, from the first on, as fit into one answer; at least one.
fn keep_what_fits(links: &mut Vec<Link>) {
    let mut room = MAX_POLL_ANSWER_BYTES - OTHER_ANSWER_BYTES;
    let fitting = links
        .iter()
        .take_while(|link| {
            let bytes = link.envelope.wire_bytes() + 256;
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        })
        .count();
    links.truncate(fitting.max(1));
}

/// Starts the agent's chain anew when the trust document has gone on to another epoch: what it never
/// accepted is queued again, what it accepted goes on.
fn start_epoch(
    tx: &Tx<'_>,
    keys: &PortalKeys,
    agent: AgentRow,
    acked: Head,
) -> Result<AgentRow, AppError> {
    if agent.head.epoch >= keys.epoch() {
        return Ok(agent);
    }
    let accepted = if acked.epoch == agent.head.epoch { acked.seq } else { 0 };
    let requeued = jobs::requeue_unaccepted(tx, agent.id, agent.head.epoch, accepted)?;
    let start = Head::start_of(keys.epoch());
    agents::move_head(tx, agent.id, agent.head, start)?;
    tracing::info!(agent = %agent.id, epoch = start.epoch, requeued, "started the agent's chain anew");
    Ok(AgentRow { head: start, ..agent })
}
