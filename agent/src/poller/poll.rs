//! The long poll: ask the executor how it stands, ask the portal, offer the answer.

use std::{
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use freehold_protocol::wire::{PollAnswer, PollRequest};

use super::{
    Line, Poller,
    backoff::{Backoff, jittered},
    holding::Holding,
    portal::PortalError,
};
use crate::{
    cli::chain_of,
    socket::{CallError, ErrorCode, Offered, PollFailure, PollFault, Reply, Request, StatusView},
};

/// Before the portal has said how to poll: a good answer is missed after so long.
const FIRST_INTERVAL: Duration = Duration::from_secs(35);
/// Longest pause that an answer can order: a mistake must not silence an agent for a day.
const MAX_PAUSE: Duration = Duration::from_secs(600);
/// How often in a row the portal is asked again at once because the executor wants it. More than one
/// agent needs in a life: with it come over a thousand trust documents.
const MAX_ASKED_AGAIN: u32 = 20;
/// So many intervals without a good answer are a freeze.
const FREEZE_INTERVALS: u32 = 3;

/// Why one turn brought nothing.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error("the executor cannot be asked")]
    Executor(#[source] CallError),
    #[error(transparent)]
    Portal(PortalError),
}

impl TurnError {
    /// Whether the executor wants the portal to be asked again: it was restarted while the portal
    /// held the poll, or it needs the next page of trust documents. The portal repeats the rest.
    const fn wants_another(&self) -> bool {
        matches!(self, Self::Executor(CallError::Refused { code: ErrorCode::AskAgain, .. }))
    }

    /// What became of the poll; none when the portal has answered, or was never asked.
    fn fault(&self) -> Option<PollFault> {
        match self {
            Self::Portal(error) => Some(error.fault()),
            Self::Executor(_) => None,
        }
    }

    /// Whether the request may have been cut because it was held: there was no answer, or a proxy's.
    fn may_come_from_the_wait(&self) -> bool {
        match self {
            Self::Portal(PortalError::Unreachable { .. }) => true,
            Self::Portal(PortalError::Answered { status, .. }) => {
                matches!(status, 408 | 502 | 504)
            }
            Self::Portal(_) | Self::Executor(_) => false,
        }
    }
}

/// Notices when nobody lets a good answer through.
#[derive(Debug)]
struct Freeze {
    last_good: Instant,
    interval: Duration,
    told: bool,
}

impl Freeze {
    fn good(&mut self, interval: Duration) {
        if self.told {
            tracing::info!("the portal answers again");
        }
        *self = Self { last_good: Instant::now(), interval, told: false };
    }

    fn check(&mut self) -> bool {
        let frozen = self.last_good.elapsed() > self.interval * FREEZE_INTERVALS;
        if frozen && !self.told {
            tracing::error!(
                seconds = self.last_good.elapsed().as_secs(),
                "no valid signed answer of the portal for three intervals"
            );
            self.told = true;
        }
        frozen
    }
}

impl Poller {
    /// Polls until stopped.
    pub(super) fn poll(&self, line: &Line) {
        let mut backoff = Backoff::new(self.max_backoff);
        // The first poll is answered at once: with the answer come the portal's time, without which the
        // executor judges no certificate, and its wishes for those that follow.
        let mut wait_secs = 0;
        let mut holding = Holding::new();
        let mut freeze =
            Freeze { last_good: Instant::now(), interval: FIRST_INTERVAL, told: false };
        let mut asked_again = 0;
        // How the last polls have ended, all of them, and since when.
        let mut failing: Option<(PollFault, Instant)> = None;
        // The connection over which an answer was offered also takes the question that follows it.
        let mut kept = None;
        while !self.is_stopping() {
            let begun = Instant::now();
            let pause = match self.turn(line, wait_secs, &mut kept) {
                Err(error) if error.wants_another() && asked_again < MAX_ASKED_AGAIN => {
                    tracing::info!(why = %chain_of(&error), "asking the portal again");
                    asked_again += 1;
                    failing = None;
                    Duration::ZERO
                }
                Ok(offered) => {
                    backoff.reset();
                    asked_again = 0;
                    failing = None;
                    let rest;
                    (wait_secs, rest) = holding.answered(offered.wait_seconds);
                    let asked = Duration::from_secs(offered.next_poll_seconds.into());
                    let pause = (asked + rest).min(MAX_PAUSE);
                    freeze.good(pause + Duration::from_secs(u64::from(wait_secs) + 10));
                    self.say(if offered.conflict {
                        "conflict: the portal's record ends before this host's; an admin must resume the host"
                    } else {
                        "in contact with the portal"
                    });
                    // A pause of nothing is a long poll: asking again at once is meant.
                    if pause.is_zero() { pause } else { jittered(pause) }
                }
                Err(error) => {
                    if error.may_come_from_the_wait() {
                        holding.failed(wait_secs, begun.elapsed());
                        wait_secs = wait_secs.min(holding.most);
                    }
                    let (what, remedy, asked) = self.explain(&error);
                    let text = format!("{what} ({remedy})");
                    failing = error.fault().map(|fault| {
                        let same = failing.filter(|(former, _)| *former == fault);
                        let since = same.map_or_else(Instant::now, |(_, since)| since);
                        self.tell_failure(PollFailure {
                            fault,
                            what,
                            remedy,
                            lasting_ms: u64::try_from(since.elapsed().as_millis())
                                .unwrap_or(u64::MAX),
                        });
                        (fault, since)
                    });
                    tracing::warn!(error = %text, failures = backoff.failures() + 1, "a poll failed");
                    let frozen = freeze.check();
                    self.say(&if frozen {
                        let minutes = freeze.last_good.elapsed().as_secs() / 60;
                        format!("FREEZE: no valid signed answer for {minutes} min; {text}")
                    } else {
                        text
                    });
                    backoff.next(asked)
                }
            };
            if !pause.is_zero() {
                kept = None;
                if self.pause(pause) {
                    return;
                }
            }
        }
    }

    /// One turn: status → poll → offer.
    fn turn(
        &self,
        line: &Line,
        wait_secs: u32,
        kept: &mut Option<UnixStream>,
    ) -> Result<Offered, TurnError> {
        let question = Request::Status { for_poll: true };
        let Reply::Status(view) =
            self.executor.call_over(kept, &question).map_err(TurnError::Executor)?
        else {
            return Err(TurnError::Executor(CallError::OtherReply));
        };
        // The executor would not wait as long as the portal does.
        *kept = None;
        let request = self.request(*view, wait_secs)?;
        let answer: PollAnswer = line
            .portal
            .post(
                "/api/v1/agent/poll",
                &request,
                Some((&line.signer, self.now())),
                Duration::from_secs(wait_secs.into()),
            )
            .map_err(TurnError::Portal)?;
        let offer = Request::Offer { answer: Box::new(answer) };
        match self.executor.call_over(kept, &offer).map_err(TurnError::Executor)? {
            Reply::Offered(offered) => {
                self.set_portal_time(offered.portal_now);
                Ok(offered)
            }
            _ => Err(TurnError::Executor(CallError::OtherReply)),
        }
    }

    fn request(&self, view: StatusView, wait_secs: u32) -> Result<PollRequest, TurnError> {
        let nonce = view.nonce.ok_or(TurnError::Executor(CallError::OtherReply))?;
        Ok(PollRequest {
            nonce,
            head: view.head,
            head_proof: view.head_proof,
            trust_version: view.trust_version,
            running: view.running,
            reporting: view.reporting,
            free_workers: view.free_workers,
            wait_seconds: wait_secs,
            clock: self.clock.now(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            draining: view.draining,
        })
    }

    /// Has `status` show it. The next poll that fails is told as well, so that nothing is lost with an
    /// executor that does not listen at the moment.
    fn tell_failure(&self, failure: PollFailure) {
        if let Err(error) = self.executor.call(&Request::PollFailed { failure }) {
            tracing::debug!(error = %chain_of(&error), "the executor was not told");
        }
    }

    /// What a failure is, what to do about it, and how long the portal asks to wait.
    fn explain(&self, error: &TurnError) -> (String, String, Option<Duration>) {
        let mut asked = None;
        let hint = match error {
            TurnError::Portal(portal) => {
                if let PortalError::Answered { status, problem, retry_after, portal_time } = portal
                {
                    asked = *retry_after;
                    if *status == 401
                        && problem.code == "clock_skew"
                        && let Some(time) = portal_time
                    {
                        self.set_portal_time(*time);
                    }
                }
                portal.hint()
            }
            TurnError::Executor(CallError::Refused { .. }) => {
                "see `freehold-agent doctor` and `journalctl -u freehold-executor`".into()
            }
            TurnError::Executor(_) => "is freehold-executor running?".into(),
        };
        (chain_of(error), hint, asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_intervals_without_a_good_answer_are_a_freeze() {
        let of = |interval| Freeze { last_good: Instant::now(), interval, told: false };
        let (mut soon, mut late) = (of(Duration::from_millis(10)), of(Duration::from_secs(600)));
        assert!(!late.check());
        std::thread::sleep(Duration::from_millis(40));
        assert!(soon.check() && soon.told);
        assert!(!late.check());
        // A good answer ends it, and the interval that came with it counts.
        soon.good(Duration::from_secs(600));
        std::thread::sleep(Duration::from_millis(40));
        assert!(!soon.check() && !soon.told);
    }
}
