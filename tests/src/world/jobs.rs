//! Waiting for jobs, as `freehold job watch` does.

use super::World;
use super::agent::{Half, Held};
use freehold_portal::api::jobs::{JobEvent, JobEvents, JobView};
use freehold_protocol::report::EventKind;
use serde_json::json;
use std::time::{Duration, Instant};

/// The longest that an agent may take to ask for work.
const POLL: Duration = Duration::from_secs(60);
/// The longest that any job of a test may take.
const JOB: Duration = Duration::from_secs(300);

impl World {
    /// A job as it is now.
    #[track_caller]
    pub fn job(&self, id: &str) -> JobView {
        let value = self.api().get(&format!("/jobs/{id}"));
        serde_json::from_value(value).expect("a job")
    }

    /// Waits until a job rests.
    #[track_caller]
    pub fn wait_job(&self, id: &str) -> JobView {
        self.follow(id, JOB, |_| false);
        self.job(id)
    }

    /// Waits until a job rests, and expects that it succeeded.
    #[track_caller]
    pub fn succeeds(&self, id: &str) -> JobView {
        self.rests_as(id, "succeeded")
    }

    /// Waits until a job rests, and expects a state.
    #[track_caller]
    pub fn rests_as(&self, id: &str, state: &str) -> JobView {
        let job = self.wait_job(id);
        assert_eq!(
            job.state,
            state,
            "job {id}: {:#?}\nevents: {}",
            job.failure,
            shown(&self.events(id))
        );
        job
    }

    /// Starts the agent anew and makes its poller stand still as soon as the portal holds its poll: a
    /// job that is queued now is given to a host that reads nothing.
    #[track_caller]
    pub fn hold_in_a_poll(&mut self) -> Held {
        let polls = |world: &Self| world.api().metric("freehold_polls_parked");
        self.agent.stop();
        self.eventually("the old poll is given up", POLL, |world| polls(world) == 0);
        self.agent.start();
        loop {
            self.eventually("the agent polls", POLL, |world| polls(world) == 1);
            let held = self.agent.hold(Half::Poller);
            if polls(self) == 1 {
                return held;
            }
            held.release();
        }
    }

    /// All events of a job, in order.
    #[track_caller]
    pub fn events(&self, id: &str) -> Vec<JobEvent> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let answer = self.events_after(id, &after, 0);
            all.extend(answer.events);
            after = answer.next;
            if !answer.more {
                return all;
            }
        }
    }

    #[track_caller]
    fn events_after(&self, id: &str, after: &str, wait_seconds: u32) -> JobEvents {
        let after = if after.is_empty() { String::new() } else { format!("after={after}&") };
        let value = self.api().get(&format!("/jobs/{id}/events?{after}waitSeconds={wait_seconds}"));
        serde_json::from_value(value).expect("events")
    }

    /// Waits until an event comes that `wanted` accepts.
    #[track_caller]
    pub fn wait_event(&self, id: &str, what: &str, wanted: impl FnMut(&JobEvent) -> bool) {
        assert!(
            self.follow(id, JOB, wanted),
            "job {id} rests without {what}: {}",
            shown(&self.events(id))
        );
    }

    /// Waits until a step starts.
    #[track_caller]
    pub fn wait_step(&self, id: &str, step: &str) {
        self.wait_event(id, &format!("a start of {step}"), |event| {
            event.what == EventKind::StepStarted && event.step == step
        });
    }

    /// Reads events until one is wanted (true) or the job rests (false).
    #[track_caller]
    fn follow(&self, id: &str, limit: Duration, mut wanted: impl FnMut(&JobEvent) -> bool) -> bool {
        let began = Instant::now();
        let mut after = String::new();
        loop {
            let answer = self.events_after(id, &after, 5);
            if answer.events.iter().any(&mut wanted) {
                return true;
            }
            if answer.rested && !answer.more {
                return false;
            }
            assert!(
                began.elapsed() < limit,
                "job {id} is {} after {limit:?}: {}",
                answer.state,
                shown(&self.events(id))
            );
            after = answer.next;
        }
    }

    /// Asks for a job's cancellation.
    #[track_caller]
    pub fn cancel(&self, id: &str, reason: &str) {
        let body = json!({ "reason": reason });
        let reply = self.api().call("POST", &format!("/jobs/{id}/cancel"), Some(&body));
        assert!((200..300).contains(&reply.status), "{}: {}", reply.status, reply.text);
    }

    /// Expects a job's events to be numbered without gaps in each attempt.
    #[track_caller]
    pub fn assert_gapless(&self, id: &str) {
        let events = self.events(id);
        assert!(!events.is_empty(), "job {id} has no events");
        let (mut attempt, mut next) = (0, 1);
        for event in &events {
            if event.attempt != attempt {
                (attempt, next) = (event.attempt, 1);
            }
            assert_eq!(event.n, next, "attempt {attempt}: {}", shown(&events));
            next += 1;
        }
    }
}

/// The steps of a first deploy, in order.
pub const DEPLOY_STEPS: [&str; 12] = [
    "preflight",
    "reserve-ports",
    "write-stack",
    "pull-images",
    "start",
    "database-ready",
    "migrate",
    "onboard",
    "site-http",
    "certificate",
    "site-https",
    "verify",
];

/// Names of the steps that started, in order, without repeats after a restart.
pub fn steps_of(events: &[JobEvent]) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for event in events.iter().filter(|event| event.what == EventKind::StepStarted) {
        if steps.last() != Some(&event.step) {
            steps.push(event.step.clone());
        }
    }
    steps
}

fn shown(events: &[JobEvent]) -> String {
    events
        .iter()
        .map(|event| {
            format!(
                "\n  {}/{} {} {:?} {}",
                event.attempt, event.n, event.step, event.what, event.message
            )
        })
        .collect()
}
