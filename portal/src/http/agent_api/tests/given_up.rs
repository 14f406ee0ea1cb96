//! Hosts that were given up, jobs that were given up, and reports that come late or answer nothing.

use std::{sync::Arc, thread, time::Duration};

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::TenantId,
    report::{Event, EventKind, HealthStatus, JobResult, Outcome, Removed, TenantHealth},
    wire::{EventsAnswer, EventsRequest, Inventory, PollAnswer, RunningJob},
};

use super::world::{ACTOR, Agent, World, facts, open, removal};
use crate::{
    api::hosts::RevokeHost as Body,
    app::{hosts_admin::ResumeHost, jobs_admin::RetryJob, revoke_host::RevokeHost},
    clock::Clock as _,
    db::{self, audit, hosts, orphans, tenants},
    domain::{job::JobState, tenant::TenantStatus},
    error::{AppError, Kind},
    http::route::AgentRoute,
};

fn revoke(world: &World) -> Result<hosts::HostRow, AppError> {
    let request = Body { confirm: "vps-1".into() };
    let revoke = RevokeHost { name: "vps-1".parse().unwrap(), request, actor: ACTOR.into() };
    world.portal.db.write(move |tx| revoke.apply(tx))
}

fn actions(world: &World) -> Vec<String> {
    let rows = world.portal.db.read(|read| audit::after(read, 0, 1000)).unwrap();
    rows.into_iter().map(|row| format!("{} {}", row.actor, row.action)).collect()
}

fn unknown(world: &World, tenant: TenantId) -> bool {
    let row = world.portal.db.read(|read| tenants::by_id(read, tenant)).unwrap().unwrap();
    row.unknown_since.is_some()
}

#[test]
fn a_revoked_host_is_shut_out_at_once_its_jobs_are_settled_and_it_can_enroll_anew() {
    let world = Arc::new(World::new());
    let mut agent = world.agent();
    let (tenant, empty) = (world.tenant("active", Some(1)), world.tenant("pending", None));
    let running = world.queue(removal(tenant));
    let (_, jobs) = agent.poll(&world);
    let queued = world.probe();
    agent.running = vec![RunningJob {
        job_id: running,
        attempt: 1,
        step: "stop".into(),
        undoing: false,
        progress_at: world.clock.now(),
    }];
    let mut request = agent.poll_request(&world, 25);
    request.free_workers = 0;
    let unused = world.token();
    let other = Arc::clone(&world);
    let parked = thread::spawn(move || {
        let refused = agent.post::<PollAnswer>(&other, &AgentRoute::Poll, &request).unwrap_err();
        (agent, refused)
    });
    while world.portal.waiting_room.waiting() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let host = revoke(&world).unwrap();
    assert!(host.revoked_at.is_some() && host.agent_id.is_none());
    let (mut agent, refused) = parked.join().unwrap();
    assert_eq!((refused.kind, refused.code), (Kind::Unauthenticated, "agent_revoked"));

    let lost = world.job(running);
    assert_eq!((lost.state, world.state(queued)), (JobState::Failed, JobState::Cancelled));
    let failure = lost.failure.clone().unwrap();
    assert!(failure.what.contains("whether it was done is not known"), "{failure:?}");
    assert!(failure.detail.contains("the last known step was stop"), "{failure:?}");
    assert!(failure.advice.contains("freehold host token vps-1"), "{failure:?}");
    assert_eq!((unknown(&world, tenant), unknown(&world, empty)), (true, false));
    // Neither a report nor an unused token gets through any more.
    let error = agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap_err();
    assert_eq!(error.code, "agent_revoked");
    assert_eq!(Agent::new(7).enroll(&world, &unused).unwrap_err().code, "enrollment_revoked");
    assert_eq!(world.state(running), JobState::Failed);
    // Nothing is queued for the next machine of this name before it is there.
    let rules = world.portal.config.job_rules();
    let probe = freehold_protocol::job::ProbeHost {};
    let work = freehold_protocol::job::Work::ProbeHost(probe).into();
    let queue = crate::app::queue_job::QueueJob { host: host.id, work, actor: ACTOR.into(), rules };
    let error = world.portal.db.write(move |tx| queue.apply(tx)).unwrap_err();
    assert_eq!(error.code, "host_revoked");
    // Once more changes nothing and leaves no second row in the log.
    revoke(&world).unwrap();
    let rows = actions(&world);
    assert_eq!(rows.iter().filter(|row| *row == "token:test host.revoke").count(), 1, "{rows:?}");

    let mut anew = Agent::new(20);
    anew.enroll(&world, &world.token()).unwrap();
    assert!(world.host().revoked_at.is_none());
    world
        .portal
        .db
        .write(move |tx| RetryJob { id: queued, actor: ACTOR.into(), rules }.apply(tx))
        .unwrap();
    assert_eq!(anew.poll(&world).1[0].0.job_id, queued);
    // What the new agent says of a tenant makes it known again; being enrolled alone does not.
    assert!(unknown(&world, tenant));
    let health = TenantHealth {
        tenant,
        at: world.clock.now(),
        status: HealthStatus::Healthy,
        containers: Vec::new(),
        backend: None,
        public: None,
        certificate_expires: None,
        disk: None,
        problems: Vec::new(),
    };
    let inventory = Inventory { facts: facts(), tenants: vec![health], ports: Vec::new() };
    anew.post::<Option<()>>(&world, &AgentRoute::Inventory, &inventory).unwrap();
    assert!(!unknown(&world, tenant));
    assert!(db::backup::check(world.portal.db.path()).unwrap().is_empty());
}

#[test]
fn revoking_asks_for_the_name_and_for_an_agent() {
    let world = World::new();
    let error = revoke(&world).unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Conflict, "not_enrolled"));
    world.agent();
    for confirm in ["", "vps-2"] {
        let request = Body { confirm: confirm.into() };
        let revoke = RevokeHost { name: "vps-1".parse().unwrap(), request, actor: ACTOR.into() };
        let error = world.portal.db.write(move |tx| revoke.apply(tx)).unwrap_err();
        assert_eq!((error.kind, error.fields[0].pointer.as_str()), (Kind::Invalid, "/confirm"));
    }
    assert!(world.host().agent_id.is_some());
}

/// A removal whose report did not come for so long that it was given up.
fn given_up(
    world: &World,
    agent: &mut Agent,
    tenant: TenantId,
) -> (freehold_protocol::job::Job, freehold_protocol::ids::Sha256Digest) {
    let id = world.queue(removal(tenant));
    let (_, mut jobs) = agent.poll(world);
    // Asked for again, and still not there.
    assert_eq!(agent.poll(world).0.report.len(), 1);
    world.clock.advance_secs(16 * 60);
    agent.poll(world);
    let job = world.job(id);
    assert_eq!((job.state, job.lost_at.is_some()), (JobState::Failed, true));
    jobs.remove(0)
}

fn removed() -> Option<JobResult> {
    Some(JobResult::Removed(Removed { kept_volumes: Vec::new(), deleted_volumes: Vec::new() }))
}

#[test]
fn a_late_report_settles_the_job_that_was_given_up() {
    for (outcome, state, status) in [
        (Outcome::Succeeded, JobState::Succeeded, TenantStatus::Removed),
        (Outcome::RolledBack, JobState::RolledBack, TenantStatus::Active),
        (Outcome::Stuck, JobState::RollbackFailed, TenantStatus::Failed),
    ] {
        let world = World::new();
        let mut agent = world.agent();
        let tenant = world.tenant("active", Some(1));
        let job = given_up(&world, &mut agent, tenant);
        let failure = Failure::new(FailureClass::Upstream, "it said no", "wait");
        let (failure, result) = match outcome {
            Outcome::Succeeded => (None, removed()),
            _ => (Some(failure), None),
        };
        agent.report(&world, &job, outcome, failure, result).unwrap();
        let row = world.job(job.0.job_id);
        assert_eq!((row.state, row.lost_at), (state, None), "{outcome:?}");
        assert_eq!(world.tenant_status(tenant), status, "{outcome:?}");
        assert_eq!(row.failure.is_none(), outcome == Outcome::Succeeded);
        let rows = actions(&world);
        assert!(rows.contains(&"system job.settle".to_owned()), "{rows:?}");
        // A second report of the same attempt changes nothing any more.
        let failure = Failure::new(FailureClass::Host, "other", "none");
        agent.report(&world, &job, Outcome::Failed, Some(failure), None).unwrap();
        assert_eq!(world.state(job.0.job_id), state);
    }
}

#[test]
fn a_late_report_that_a_newer_job_contradicts_is_kept_and_changes_nothing() {
    let world = World::new();
    let mut agent = world.agent();
    let tenant = world.tenant("active", Some(1));
    let job = given_up(&world, &mut agent, tenant);
    world.queue(removal(tenant));
    agent.report(&world, &job, Outcome::Succeeded, None, removed()).unwrap();
    assert_eq!(world.state(job.0.job_id), JobState::Failed);
    assert_eq!(world.tenant_status(tenant), TenantStatus::Active);
    let attempts =
        world.portal.db.read(|read| db::job_views::attempts(read, job.0.job_id)).unwrap();
    assert_eq!(attempts[0].outcome.as_deref(), Some("succeeded"), "it is shown all the same");
    // One of an attempt before the one that runs is kept as well.
    let world = World::new();
    let mut agent = world.agent();
    let tenant = world.tenant("active", Some(1));
    let job = given_up(&world, &mut agent, tenant);
    let (id, rules) = (job.0.job_id, world.portal.config.job_rules());
    world.portal.db.write(move |tx| RetryJob { id, actor: ACTOR.into(), rules }.apply(tx)).unwrap();
    agent.report(&world, &job, Outcome::Succeeded, None, removed()).unwrap();
    let row = world.job(id);
    assert_eq!((row.state, row.attempt, row.lost_at), (JobState::Queued, 2, None));
}

#[test]
fn reports_on_jobs_that_a_restored_backup_does_not_know_are_kept_to_be_looked_at() {
    let world = World::new();
    let mut agent = world.agent();
    let copy = world.dir.path().join("backup.db");
    db::backup::backup(world.portal.db.path(), &copy).unwrap();
    let forgotten = world.probe();
    let (_, jobs) = agent.poll(&world);
    let World { dir, clock, portal } = world;
    let path = portal.db.path().to_owned();
    portal.db.close();
    drop(portal);
    db::restore::restore(&dir.path().join("data"), &path, &copy, clock.now()).unwrap();
    let world = World { portal: open(dir.path(), &clock), dir, clock };
    // The agent's events and report go out before its first poll shows that the histories differ.
    let event = Event {
        n: 4,
        at: world.clock.now(),
        step: "look".into(),
        what: EventKind::StepDone,
        message: String::new(),
    };
    let events = EventsRequest { attempt: 1, events: vec![event] };
    let answer: EventsAnswer = agent.post(&world, &AgentRoute::Events(forgotten), &events).unwrap();
    assert_eq!(answer.next, 5, "what cannot be kept does not hold up the report behind it");
    for _ in 0..2 {
        agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap();
    }
    let host = world.host().id;
    let kept = world.portal.db.read(|read| orphans::latest(read, host, 10)).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].job, kept[0].kind.as_str(), kept[0].outcome.as_str()),
        (forgotten, "probe_host", "succeeded")
    );
    let rows = actions(&world);
    let noted = rows.iter().filter(|row| *row == "agent:vps-1 host.orphan_report").count();
    assert_eq!(noted, 1, "{rows:?}");
    // It is the same once an admin has resumed the host.
    let mut request = agent.poll_request(&world, 0);
    request.head_proof = agent.last.clone();
    assert!(agent.poll_with(&world, &request).0.conflict);
    let keys = world.portal.keys.current();
    let resume = ResumeHost { name: "vps-1".parse().unwrap(), actor: ACTOR.into() };
    world.portal.db.write(move |tx| resume.apply(tx, &keys)).unwrap();
    let failure = Failure::new(FailureClass::Host, "no disk", "add one");
    agent.report(&world, &jobs[0], Outcome::Failed, Some(failure), None).unwrap();
    let kept = world.portal.db.read(|read| orphans::latest(read, host, 10)).unwrap();
    assert_eq!(kept.len(), 2);
    assert!(db::backup::check(world.portal.db.path()).unwrap().is_empty());
}

#[test]
fn a_host_cannot_fill_the_disk_with_reports_on_nothing() {
    let world = World::new();
    let mut agent = world.agent();
    world.probe();
    let (_, mut jobs) = agent.poll(&world);
    for n in 0..orphans::MAX_PER_HOST + 5 {
        jobs[0].0.attempt = n + 2;
        // The nonce of the scripted agent is one byte.
        world.clock.advance_secs(10);
        agent.nonces = u8::try_from(50 + n % 200).unwrap();
        agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap();
    }
    let host = world.host().id;
    let kept = world.portal.db.read(|read| orphans::latest(read, host, 1000)).unwrap();
    assert_eq!(kept.len(), orphans::MAX_PER_HOST as usize);
    assert_eq!(kept[0].attempt, orphans::MAX_PER_HOST + 6, "the newest are kept");
}
