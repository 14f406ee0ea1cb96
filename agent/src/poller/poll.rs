//! The long poll: ask the executor how it stands, ask the portal, offer the answer.

use std::time::{Duration, Instant};

use freehold_protocol::wire::{MAX_WAIT_SECS, PollAnswer, PollRequest};

use super::{
    Line, Poller,
    backoff::{Backoff, jittered},
    portal::PortalError,
};
use crate::{
    cli::chain_of,
    socket::{CallError, Offered, Reply, Request, StatusView},
};

/// The wait that is asked for before the portal has said what it wants.
const FIRST_WAIT_SECS: u32 = 25;
/// Longest pause that an answer can order: a mistake must not silence an agent for a day.
const MAX_PAUSE: Duration = Duration::from_secs(600);
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
        let mut wait_secs = FIRST_WAIT_SECS;
        let first_interval = Duration::from_secs(u64::from(FIRST_WAIT_SECS) + 10);
        let mut freeze =
            Freeze { last_good: Instant::now(), interval: first_interval, told: false };
        while !self.is_stopping() {
            let pause = match self.turn(line, wait_secs) {
                Ok(offered) => {
                    backoff.reset();
                    wait_secs = offered.wait_seconds.min(MAX_WAIT_SECS);
                    let pause =
                        Duration::from_secs(offered.next_poll_seconds.into()).min(MAX_PAUSE);
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
                    let (text, asked) = self.explain(&error);
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
            if !pause.is_zero() && self.pause(pause) {
                return;
            }
        }
    }

    /// One turn: status → poll → offer.
    fn turn(&self, line: &Line, wait_secs: u32) -> Result<Offered, TurnError> {
        let view = self.executor.status(true, &self.state()).map_err(TurnError::Executor)?;
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
        match self.executor.call(&offer).map_err(TurnError::Executor)? {
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
            free_workers: view.free_workers,
            wait_seconds: wait_secs,
            clock: self.clock.now(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            draining: view.draining,
        })
    }

    /// What a failure means for people, and how long the portal asks to wait.
    fn explain(&self, error: &TurnError) -> (String, Option<Duration>) {
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
        (format!("{} ({hint})", chain_of(error)), asked)
    }
}
