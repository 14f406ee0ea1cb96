//! The chain of jobs through restored databases and rotated keys.

use std::time::{Duration, Instant};

use freehold_protocol::{
    dsse::Envelope,
    ids::{JobId, Sha256Digest},
    job::AuditHead,
    report::Outcome,
    trust::MAX_STEPS,
    wire::PollAnswer,
};

use super::world::{ACTOR, Agent, World, call, open, read};
use crate::{
    app::{hosts_admin::ResumeHost, rotate_key::RotateKey},
    clock::Clock as _,
    db::{self, hosts, jobs},
    domain::{checkpoint, job::JobState},
    error::AppError,
    http::route::AgentRoute,
    keys::Rotation,
};

/// A portal that was put back to before its agent's last job, and that job.
fn restored() -> (World, Agent, JobId) {
    let world = World::new();
    let mut agent = world.agent();
    world.probe();
    agent.poll(&world);
    let copy = world.dir.path().join("backup.db");
    db::backup::backup(world.portal.db.path(), &copy).unwrap();
    let later = world.probe();
    let (_, jobs) = agent.poll(&world);
    agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap();
    let World { dir, clock, portal } = world;
    let path = portal.db.path().to_owned();
    portal.db.close();
    drop(portal);
    db::restore::restore(&dir.path().join("data"), &path, &copy, clock.now()).unwrap();
    (World { portal: open(dir.path(), &clock), dir, clock }, agent, later)
}

fn resume_host(world: &World) -> Result<hosts::HostRow, AppError> {
    let keys = world.portal.keys.current();
    let resume = ResumeHost { name: "vps-1".parse().unwrap(), actor: ACTOR.into() };
    world.portal.db.write(move |tx| resume.apply(tx, &keys))
}

#[test]
fn a_restored_database_is_noticed_and_goes_on_only_when_resumed() {
    let (world, mut agent, later) = restored();
    assert!(world.portal.db.read(|read| jobs::get(read, later)).is_err());
    let new = world.probe();
    let (poll, jobs) = agent.poll(&world);
    assert!(poll.conflict && jobs.is_empty());
    assert_eq!(world.host().state, hosts::HostState::Conflict);
    assert_eq!(resume_host(&world).unwrap_err().code, "not_proven");
    let mut request = agent.poll_request(&world, 0);
    request.head_proof = agent.last.clone();
    assert!(agent.poll_with(&world, &request).0.conflict);
    resume_host(&world).unwrap();
    let (poll, jobs) = agent.poll(&world);
    assert!(!poll.conflict);
    assert_eq!(jobs.iter().map(|(job, _)| (job.job_id, job.seq)).collect::<Vec<_>>(), [(new, 3)]);
}

#[test]
fn a_restored_database_is_noticed_although_the_keys_are_rotated_before_the_first_poll() {
    let (world, mut agent, _) = restored();
    let rotate = RotateKey { rotation: Rotation::Compromised, actor: ACTOR.into() };
    rotate.apply(&world.portal.db, &world.portal.keys).unwrap();
    let new = world.probe();
    let mut request = agent.poll_request(&world, 0);
    request.head_proof = agent.last.clone();
    let (poll, jobs) = agent.poll_with(&world, &request);
    assert!(poll.conflict && jobs.is_empty());
    resume_host(&world).unwrap();
    let (poll, jobs) = agent.poll(&world);
    assert!(!poll.conflict);
    let places: Vec<_> = jobs.iter().map(|(job, _)| (job.job_id, job.epoch, job.seq)).collect();
    assert_eq!(places, [(new, 2, 1)], "the old chain is closed, the new one begins");
}

#[test]
fn the_same_place_with_another_hash_is_a_conflict() {
    let world = World::new();
    let mut agent = world.agent();
    world.probe();
    agent.poll(&world);
    agent.head.hash = Sha256Digest::of(b"another history");
    assert!(agent.poll(&world).0.conflict);
}

#[test]
fn rotation_reaches_agents_and_a_compromise_starts_chains_anew() {
    let world = World::new();
    let mut agent = world.agent();
    let accepted = world.probe();
    let (_, old) = agent.poll(&world);
    let rotate = |rotation| {
        let rotate = RotateKey { rotation, actor: ACTOR.into() };
        rotate.apply(&world.portal.db, &world.portal.keys).unwrap()
    };
    rotate(Rotation::Routine);
    let never_taken = world.probe();
    let stood = agent.head;
    let (poll, _) = agent.poll(&world);
    assert_eq!((poll.trust_version, poll.epoch), (2, 1));
    // The answer with the second job was lost, then the key was stolen.
    agent.head = stood;
    rotate(Rotation::Compromised);
    let (poll, jobs) = agent.poll(&world);
    assert_eq!((poll.trust_version, poll.epoch), (3, 2));
    let places: Vec<_> = jobs.iter().map(|(j, _)| (j.job_id, j.epoch, j.seq, j.attempt)).collect();
    assert_eq!(places, [(never_taken, 2, 1, 1)]);
    // What was accepted before goes on and is reported as ever.
    agent.report(&world, &old[0], Outcome::Succeeded, None, None).unwrap();
    assert_eq!(world.state(accepted), JobState::Succeeded);
    // Of the job that was signed twice, the envelope that was reported on vouches for the audit log.
    agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap();
    assert_eq!(vouched(&world), [jobs[0].0.audit, old[0].0.audit]);
}

#[test]
fn an_agent_that_was_away_for_many_rotations_gets_page_after_page_at_once() {
    let world = World::new();
    let mut agent = world.agent();
    let rotations = 2 * MAX_STEPS + 2;
    for _ in 0..rotations {
        let rotate = RotateKey { rotation: Rotation::Routine, actor: ACTOR.into() };
        rotate.apply(&world.portal.db, &world.portal.keys).unwrap();
    }
    let job = world.probe();
    // A host that enrolls now gets the newest, with which every token that is still good begins.
    let newest: Vec<Envelope> =
        read(&call(&world.portal, &AgentRoute::Trust, Vec::new(), &[]).unwrap());
    assert_eq!(newest.len(), MAX_STEPS);
    let began = Instant::now();
    for _ in 0..2 {
        let request = agent.poll_request(&world, 25);
        let answer: PollAnswer = agent.post(&world, &AgentRoute::Poll, &request).unwrap();
        assert_eq!(answer.trust.len(), MAX_STEPS);
        // What the executor does: it keeps the page, cannot believe the rest yet, and asks again.
        agent.trust = Some(agent.trust.as_ref().unwrap().walk(&answer.trust).unwrap());
    }
    let request = agent.poll_request(&world, 25);
    let (poll, jobs) = agent.poll_with(&world, &request);
    assert_eq!(poll.trust_version, rotations as u64 + 1);
    assert_eq!(jobs.iter().map(|(job, _)| job.job_id).collect::<Vec<_>>(), [job]);
    assert!(began.elapsed() < Duration::from_secs(20), "a poll that brings documents was held");
}

/// The heads of the audit log that reported jobs name, newest first.
fn vouched(world: &World) -> Vec<AuditHead> {
    let keys = checkpoint::JobKeys::of(world.portal.keys.current().trust_after(0)).unwrap();
    let rows = world.portal.db.read(|read| db::checkpoints::before(read, None, 10)).unwrap().0;
    rows.iter()
        .map(|row| {
            let key = row.report_key.key().unwrap();
            checkpoint::vouched(&row.job, &row.report, key, &keys).unwrap()
        })
        .collect()
}

#[test]
fn a_job_names_the_last_entry_of_the_audit_log() {
    let world = World::new();
    let mut agent = world.agent();
    let head = || world.portal.db.read(db::audit::head).unwrap();
    world.probe();
    let queued = head();
    assert!(queued.n > 0);
    let (_, jobs) = agent.poll(&world);
    assert_eq!(jobs[0].0.audit, queued);
    let shown = || world.portal.db.read(|read| db::checkpoints::before(read, None, 10)).unwrap().0;
    // Nobody has vouched for it yet.
    assert!(shown().is_empty());
    agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap();
    assert!(head().n > queued.n);

    world.probe();
    let (_, jobs) = agent.poll(&world);
    agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap();
    assert_eq!(vouched(&world), [jobs[0].0.audit, queued]);
    // Page by page, newest first.
    let read = |place| world.portal.db.read(move |read| db::checkpoints::before(read, place, 1));
    let (first, more) = read(None).unwrap();
    assert!(more);
    let (second, more) = read(Some(first[0].place)).unwrap();
    assert!(!more);
    assert_eq!([&first[0].job, &second[0].job], [&shown()[0].job, &shown()[1].job]);
}
