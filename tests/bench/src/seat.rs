//! A simulated agent on its two connections, as the real poller has them: one for the long poll, one
//! for telling.

use std::time::Duration;

use crate::{
    agent::{Agent, Taken},
    http::Connection,
    portal::Portal,
};

/// Longest wait that a poll may ask for, so that nothing ends by itself while it is measured.
const WAIT_SECS: u32 = 55;
/// How long a poll that was just sent needs until it is parked, its first look at the database done.
pub const PARKING: Duration = Duration::from_millis(25);

/// See the module.
pub struct Seat {
    /// Number of its host.
    pub host: usize,
    /// The agent.
    pub agent: Agent,
    line: Connection,
    tell: Option<Connection>,
}

impl Seat {
    /// A connected agent.
    #[track_caller]
    pub fn new(portal: &Portal, host: usize) -> Self {
        Self { host, agent: portal.agent(host), line: portal.connect(), tell: None }
    }

    /// Sends a long poll and does not wait for its answer.
    #[track_caller]
    pub fn park(&mut self) {
        let poll = self.agent.poll(WAIT_SECS, 2);
        self.line.send(&poll);
    }

    /// Waits for the answer to the parked poll, verifies it, and returns the jobs that it brought. As
    /// the real poller, it asks again at once after an answer that brought none.
    #[track_caller]
    pub fn wait(&mut self) -> Vec<Taken> {
        loop {
            let body = self.line.receive().expect(200);
            let taken = self.agent.take(&body);
            if !taken.is_empty() {
                return taken;
            }
            self.park();
        }
    }

    /// Asks for jobs without waiting.
    #[track_caller]
    pub fn ask(&mut self, workers: u32) -> Vec<Taken> {
        let poll = self.agent.poll(0, workers);
        let body = self.line.call(&poll).expect(200);
        self.agent.take(&body)
    }

    /// Connects again, which ends a parked poll.
    #[track_caller]
    pub fn reconnect(&mut self, portal: &Portal) {
        self.line = portal.connect();
    }

    /// Sends the report of a job and does not wait for the answer.
    #[track_caller]
    pub fn send_report(&mut self, portal: &Portal, taken: &Taken) {
        let report = self.agent.report(taken);
        self.tell.get_or_insert_with(|| portal.connect()).send(&report);
    }

    /// Waits until a report was taken.
    #[track_caller]
    pub fn reported(&mut self) {
        self.tell.as_mut().expect("a report was sent").receive().expect(204);
    }

    /// Reports a job.
    #[track_caller]
    pub fn report(&mut self, portal: &Portal, taken: &Taken) {
        self.send_report(portal, taken);
        self.reported();
    }
}
