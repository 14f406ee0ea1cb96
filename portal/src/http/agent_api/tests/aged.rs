//! A database that has grown old: what is taken away, and what never is.

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::JobId,
    report::{Event, EventKind, Outcome},
    wire::{EventsAnswer, EventsRequest, PollAnswer},
};

use super::world::{Agent, World, removal};
use crate::{
    app::retention::{Limits, Swept, sweep},
    clock::Clock as _,
    config::Config,
    db::{self, retention},
    domain::job::JobState,
    http::route::AgentRoute,
};

const DAY: i64 = 86_400;

fn limits() -> Limits {
    Limits::of(&Config::default())
}

fn swept(world: &World, limits: Limits) -> Swept {
    sweep(&world.portal.db, &limits, &|| false).unwrap()
}

fn count(world: &World, table: &'static str) -> u64 {
    let sql = format!("SELECT count(*) FROM {table}");
    world.portal.db.read(|read| Ok(read.sql().query_row(&sql, [], |row| row.get(0))?)).unwrap()
}

/// A job that is given out, tells two events and is reported.
fn done(world: &World, agent: &mut Agent) -> JobId {
    let id = world.probe();
    let (_, jobs) = agent.poll(world);
    let event = |n| Event {
        n,
        at: world.clock.now(),
        step: "look".into(),
        what: EventKind::StepDone,
        message: "x".into(),
    };
    let events = EventsRequest { attempt: 1, events: vec![event(1), event(2)] };
    let answer: EventsAnswer = agent.post(world, &AgentRoute::Events(id), &events).unwrap();
    assert_eq!(answer.next, 3);
    agent.report(world, &jobs[0], Outcome::Succeeded, None, None).unwrap();
    id
}

#[test]
fn history_ends_by_age_and_the_audit_log_stuck_jobs_and_young_rows_stay() {
    let world = World::new();
    let mut agent = world.agent();
    let old = done(&world, &mut agent);
    let stuck = world.queue(removal(world.tenant("active", Some(1))));
    let (_, jobs) = agent.poll(&world);
    let failure = Failure::new(FailureClass::Stuck, "a volume is in use", "look");
    agent.report(&world, &jobs[0], Outcome::Stuck, Some(failure), None).unwrap();
    assert_eq!(swept(&world, limits()), Swept::default(), "nothing is old yet");

    world.clock.advance_secs(31 * DAY);
    let young = done(&world, &mut agent);
    agent.poll(&world);
    let audit = count(&world, "audit");
    assert_eq!(swept(&world, limits()), Swept { events: 2, ..Swept::default() });
    assert_eq!(world.state(old), JobState::Succeeded);
    world.clock.advance_secs(60 * DAY);
    let found = swept(&world, limits());
    // The events of `young` are 60 days old by now. The one enrollment token was used.
    assert_eq!(found, Swept { events: 2, jobs: 1, envelopes: 1, others: 1, answers: 0 });
    assert_eq!(
        (world.state(stuck), world.state(young)),
        (JobState::RollbackFailed, JobState::Succeeded)
    );
    assert_eq!(
        (count(&world, "jobs"), count(&world, "reports"), count(&world, "envelopes")),
        (2, 2, 2)
    );
    assert_eq!(swept(&world, limits()), Swept::default(), "one round takes all");
    assert_eq!(
        count(&world, "audit"),
        audit + 2,
        "never cut, and one more for each round that took"
    );
    let row = world.portal.db.read(|read| db::audit::after(read, audit + 1, 2)).unwrap().remove(0);
    assert_eq!((&*row.actor, &*row.action), ("system", "retention.sweep"));
    assert_eq!(row.detail, r#"{"envelopes":1,"events":2,"jobs":1,"others":1}"#);
    assert!(db::backup::check(world.portal.db.path()).unwrap().is_empty());
    // The chain goes on after what is gone.
    let next = world.probe();
    assert_eq!(agent.poll(&world).1[0].0.job_id, next);
}

#[test]
fn an_envelope_that_an_agent_has_yet_to_fetch_stays_however_old() {
    let world = World::new();
    let mut agent = world.agent();
    let start = agent.head;
    let (first, second) = (done(&world, &mut agent), done(&world, &mut agent));
    // The executor's journal is set back: it has neither any more, and says so.
    agent.head = start;
    let mut request = agent.poll_request(&world, 0);
    request.free_workers = 0;
    agent.post::<PollAnswer>(&world, &AgentRoute::Poll, &request).map(drop).unwrap();
    world.clock.advance_secs(100 * DAY);
    let found = swept(&world, limits());
    assert_eq!((found.jobs, found.envelopes), (2, 0));
    let (poll, jobs) = agent.poll(&world);
    let given: Vec<_> = jobs.iter().map(|(job, _)| job.job_id).collect();
    assert_eq!(given, [first, second], "the chain is handed out whole");
    assert_eq!(
        poll.cancel,
        [first, second].map(super::first_attempt),
        "and nothing of it is run again"
    );
    // Now it has them.
    agent.poll(&world);
    assert_eq!(swept(&world, limits()).envelopes, 0, "until the database has it in writing");
    world.portal.db.save_seen().unwrap();
    assert_eq!(swept(&world, limits()).envelopes, 2);
    assert!(!agent.poll(&world).0.conflict);
}

#[test]
fn history_is_bounded_by_count_whatever_its_age() {
    let world = World::new();
    let mut agent = world.agent();
    let jobs: Vec<JobId> = (0..6)
        .map(|_| {
            world.clock.advance_secs(1);
            done(&world, &mut agent)
        })
        .collect();
    let few = Limits { max_events: 6, ..limits() };
    assert_eq!(swept(&world, few), Swept { events: 6, ..Swept::default() });
    let left = |id: JobId| world.portal.db.read(|read| db::events::next(read, id, 1)).unwrap() - 1;
    assert_eq!(jobs.iter().map(|id| left(*id)).collect::<Vec<_>>(), [0, 0, 0, 2, 2, 2]);
    let few = Limits { max_jobs: 2, ..limits() };
    assert_eq!(swept(&world, few), Swept { events: 2, jobs: 4, ..Swept::default() });
    assert_eq!(count(&world, "jobs"), 2);
    assert_eq!(
        (world.state(jobs[4]), world.state(jobs[5])),
        (JobState::Succeeded, JobState::Succeeded)
    );
}

#[test]
fn a_round_that_is_stopped_does_nothing_more_and_the_next_goes_on() {
    let world = World::new();
    let mut agent = world.agent();
    done(&world, &mut agent);
    world.clock.advance_secs(100 * DAY);
    let none = sweep(&world.portal.db, &limits(), &|| true).unwrap();
    assert_eq!(none, Swept::default());
    assert_eq!(world.portal.db.read(retention::count_events).unwrap(), 2);
    assert_eq!(swept(&world, limits()).jobs, 1);
}
