//! Telling the portal: one item of the outbox after the other, each until it is answered.

use std::time::Duration;

use super::{
    Line, Poller,
    backoff::Backoff,
    portal::{PortalError, Verdict},
};
use crate::{
    cli::chain_of,
    socket::{Ack, CallError, MAX_REPORT_WAIT_MS, OutItem, OutWork, Reply, Request},
};
use freehold_protocol::wire::EventsAnswer;

impl Poller {
    /// Tells until stopped.
    pub(super) fn tell(&self, line: &Line) {
        let mut backoff = Backoff::new(self.max_backoff);
        while !self.is_stopping() {
            let pause =
                match self.executor.call(&Request::NextReport { wait_ms: MAX_REPORT_WAIT_MS }) {
                    Ok(Reply::Report(None)) => continue,
                    Ok(Reply::Report(Some(item))) => match self.send(line, &item) {
                        Ok(ack) => {
                            // Refused is no reason to hurry; the executor counts, and gives up in time.
                            let pause = match &ack {
                                Ack::Taken { .. } => {
                                    backoff.reset();
                                    Duration::ZERO
                                }
                                Ack::Refused { status, why } => {
                                    tracing::warn!(id = item.id, status, why, "the portal refused");
                                    backoff.next(None)
                                }
                                Ack::Later => backoff.next(None),
                            };
                            let ack = Request::AckReport { id: item.id.clone(), ack };
                            match self.executor.call(&ack) {
                                Ok(_) => pause,
                                Err(error) => self.executor_failed(&error, &mut backoff),
                            }
                        }
                        Err(error) => {
                            tracing::warn!(id = item.id, error = %chain_of(&error), "not told yet");
                            let asked = match &error {
                                PortalError::Answered { retry_after, .. } => *retry_after,
                                _ => None,
                            };
                            backoff.next(asked)
                        }
                    },
                    Ok(_) => self.executor_failed(&CallError::OtherReply, &mut backoff),
                    Err(error) => self.executor_failed(&error, &mut backoff),
                };
            if !pause.is_zero() && self.pause(pause) {
                return;
            }
        }
    }

    fn executor_failed(&self, error: &CallError, backoff: &mut Backoff) -> Duration {
        tracing::debug!(error = %chain_of(error), "the executor cannot be asked");
        backoff.next(None).min(Duration::from_secs(10))
    }

    /// Sends one item. An error means that it must be sent again.
    fn send(&self, line: &Line, item: &OutItem) -> Result<Ack, PortalError> {
        let signer = Some((&*line.signer, self.now()));
        let none = Duration::ZERO;
        let told = match &item.work {
            OutWork::Events { job, body } => line
                .portal
                .post::<EventsAnswer>(
                    &format!("/api/v1/agent/jobs/{job}/events"),
                    body,
                    signer,
                    none,
                )
                .map(|answer| Some(answer.next)),
            OutWork::Report { job, body } => line
                .portal
                .post::<serde_json::Value>(
                    &format!("/api/v1/agent/jobs/{job}/report"),
                    body,
                    signer,
                    none,
                )
                .map(|_| None),
            OutWork::Inventory { body } => line
                .portal
                .post::<serde_json::Value>("/api/v1/agent/inventory", body, signer, none)
                .map(|_| None),
        };
        match told {
            Ok(next) => Ok(Ack::Taken { next }),
            Err(error) => match error.verdict() {
                Verdict::Refused(status) => Ok(Ack::Refused { status, why: chain_of(&error) }),
                Verdict::Later => {
                    tracing::warn!(id = item.id, error = %chain_of(&error), "the portal failed");
                    Ok(Ack::Later)
                }
                Verdict::Again => Err(error),
            },
        }
    }
}
