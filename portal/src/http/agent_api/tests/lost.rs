//! Jobs whose report does not come: what is lost, what only waits, and what is asked for again.

use super::*;

const LOST_SECS: i64 = 15 * 60;

/// A job that the agent has run, on a host that says so.
fn run_job(
    world: &World,
    agent: &mut Agent,
) -> (JobId, (freehold_protocol::job::Job, Sha256Digest)) {
    let id = world.probe();
    let (_, jobs) = agent.poll(world);
    agent.running = vec![RunningJob {
        job_id: id,
        attempt: 1,
        step: "preflight".into(),
        undoing: false,
        progress_at: world.clock.now(),
    }];
    agent.poll(world);
    agent.running.clear();
    (id, jobs[0].clone())
}

#[test]
fn a_job_whose_report_waits_at_the_agent_is_not_lost() {
    let world = World::new();
    let mut agent = world.agent();
    let (id, job) = run_job(&world, &mut agent);
    // The portal is away for longer than a lost job is waited for, and the poll comes first.
    world.clock.advance_secs(3 * LOST_SECS);
    agent.reporting = vec![first_attempt(id)];
    for _ in 0..3 {
        assert_eq!(agent.poll(&world).0.report, []);
        world.clock.advance_secs(LOST_SECS);
    }
    assert_eq!(world.state(id), JobState::Running);
    agent.report(&world, &job, Outcome::Succeeded, None, None).unwrap();
    assert_eq!(world.state(id), JobState::Succeeded);
}

#[test]
fn a_report_that_nobody_holds_is_asked_for_again_before_its_job_is_lost() {
    let world = World::new();
    let mut agent = world.agent();
    let (id, job) = run_job(&world, &mut agent);
    // Until here its report waits at the agent.
    agent.reporting = vec![first_attempt(id)];
    let (lost, _) = run_job(&world, &mut agent);
    agent.reporting.clear();
    world.clock.advance_secs(3 * LOST_SECS);
    let asked = [first_attempt(id), first_attempt(lost)];
    assert_eq!(agent.poll(&world).0.report, asked);
    // What is asked for waits at the agent now; the other one it does not know.
    agent.reporting = vec![first_attempt(id)];
    world.clock.advance_secs(LOST_SECS);
    assert_eq!(agent.poll(&world).0.report, [first_attempt(lost)]);
    agent.report(&world, &job, Outcome::Succeeded, None, None).unwrap();
    agent.reporting.clear();
    assert_eq!((world.state(id), world.state(lost)), (JobState::Succeeded, JobState::Running));
    world.clock.advance_secs(1);
    assert_eq!(agent.poll(&world).0.report, []);
    assert_eq!(world.state(lost), JobState::Failed);
    let failure = world.job(lost).failure.clone().unwrap();
    assert!(failure.what.contains("report is not in this database"), "{failure:?}");
}

#[test]
fn the_question_for_a_report_is_news_once_and_ends_when_the_job_goes_on() {
    let world = World::new();
    let mut agent = world.agent();
    let (id, _) = run_job(&world, &mut agent);
    let began = std::time::Instant::now();
    let request = agent.poll_request(&world, 25);
    assert_eq!(agent.poll_with(&world, &request).0.report, [first_attempt(id)]);
    assert!(began.elapsed() < Duration::from_secs(5), "the first question does not wait");
    // Repeated it is held like any other poll: nobody shall ask and answer in a circle.
    let (began, request) = (std::time::Instant::now(), agent.poll_request(&world, 1));
    assert_eq!(agent.poll_with(&world, &request).0.report, [first_attempt(id)]);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(world.job(id).report_asked_at.is_some());
    agent.running = vec![RunningJob {
        job_id: id,
        attempt: 1,
        step: String::new(),
        undoing: false,
        progress_at: world.clock.now(),
    }];
    assert_eq!(agent.poll(&world).0.report, []);
    assert!(world.job(id).report_asked_at.is_none());
}

#[test]
fn a_settled_attempt_is_cancelled_and_the_living_one_is_not() {
    let world = World::new();
    let mut agent = world.agent();
    let before = agent.head;
    let id = world.probe();
    let (_, first) = agent.poll(&world);
    agent.report(&world, &first[0], Outcome::Failed, Some(upstream()), None).unwrap();
    world.clock.advance_secs(120);
    let (_, second) = agent.poll(&world);
    assert_eq!((second[0].0.job_id, second[0].0.attempt), (id, 2));
    // The agent's journal was restored from a backup of before: both come in one answer.
    agent.head = before;
    let (poll, both) = agent.poll(&world);
    assert_eq!(both.iter().map(|(job, _)| job.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(poll.cancel, [first_attempt(id)]);
    agent.report(&world, &second[0], Outcome::Succeeded, None, None).unwrap();
    assert_eq!(world.state(id), JobState::Succeeded);
}

#[test]
fn an_order_that_is_repeated_leaves_a_pause() {
    let world = World::new();
    let mut agent = world.agent();
    let id = world.probe();
    assert_eq!(agent.poll(&world).0.next_poll_seconds, 0, "it says at once that it has the job");
    let cancel = CancelJob { id, reason: "not needed".into(), actor: ACTOR.into() };
    world.portal.db.write(move |tx| cancel.apply(tx)).unwrap();
    let (poll, _) = agent.poll(&world);
    assert_eq!((poll.cancel, poll.next_poll_seconds), (vec![first_attempt(id)], 1));
}
