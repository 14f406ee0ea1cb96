//! The agent API from the outside of its handlers: a real database, real keys, a scripted agent.

mod aged;
mod audited;
mod delivered;
mod disk;
mod edges;
mod given_up;
mod history;
mod lost;
mod requests;
mod seen;
mod shape;
mod world;

use std::{collections::BTreeMap, sync::Arc, thread, time::Duration};

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::{AgentId, JobId, Sha256Digest},
    job::{ReleaseRef, Work},
    keys::SigningKey,
    report::{Deployed, Event, EventKind, HealthStatus, JobResult, Outcome, Removed, TenantHealth},
    seal::{SealContext, seal},
    secret::Secret,
    wire::{EventsAnswer, EventsRequest, JobAttempt, PollAnswer, RunningJob},
};

use crate::{
    app::{
        jobs_admin::{CancelJob, ResumeJob, RetryJob},
        tenant_credentials::RevealCredentials,
    },
    clock::Clock as _,
    config::Config,
    db,
    domain::{job::JobState, license::LicenseStatus, tenant::TenantStatus},
    error::Kind,
    http::route::AgentRoute,
};

use world::{ACTOR, Agent, World, call, facts, removal, upstream};

fn first_attempt(job_id: JobId) -> JobAttempt {
    JobAttempt { job_id, attempt: 1 }
}

#[test]
fn enrollment_is_single_use_repeatable_by_the_same_agent_and_each_refusal_says_why() {
    let world = World::new();
    let token = world.token();
    let mut agent = Agent::new(1);
    let mut wrong = token.clone();
    wrong.secret = Secret::new("fhe_guess".into());
    let error = agent.enroll(&world, &wrong).unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Unauthenticated, "enrollment_refused"));
    let first = agent.enroll(&world, &token).unwrap();
    assert_eq!(agent.enroll(&world, &token).unwrap(), first);
    let error = Agent::new(7).enroll(&world, &token).unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Gone, "enrollment_used"));
    let late = world.token();
    world.clock.advance_secs(31 * 60);
    let error = Agent::new(7).enroll(&world, &late).unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Gone, "enrollment_expired"));
    let (older, newer) = (world.token(), world.token());
    let error = Agent::new(7).enroll(&world, &older).unwrap_err();
    assert_eq!(error.code, "enrollment_revoked");
    let second = Agent::new(7).enroll(&world, &newer).unwrap();
    assert_eq!(second.host_id, first.host_id);
    assert_ne!(second.agent_id, first.agent_id);
    // The replaced agent is out.
    let request = agent.poll_request(&world, 0);
    let error = agent.post::<PollAnswer>(&world, &AgentRoute::Poll, &request).unwrap_err();
    assert_eq!(error.code, "agent_revoked");
}

#[test]
fn unsigned_foreign_repeated_and_skewed_requests_are_refused() {
    let world = World::new();
    let mut agent = world.agent();
    let request = agent.poll_request(&world, 0);
    let body = serde_json::to_vec(&request).unwrap();
    let error = call(&world.portal, &AgentRoute::Poll, body, &[]).unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Unauthenticated, "signature_missing"));
    for (skew, ok) in [(-300, true), (300, true), (-301, false), (301, false)] {
        let created = world.clock.now().plus_secs(skew);
        let result = agent.signed(&world.portal, &AgentRoute::Poll, &request, created);
        match result {
            Ok(_) => assert!(ok, "{skew}"),
            Err(error) => {
                assert!(!ok, "{skew}: {error}");
                assert_eq!((error.kind, error.code), (Kind::Unauthenticated, "clock_skew"));
                assert!(error.advice.contains("1790000000"), "{}", error.advice);
            }
        }
    }
    agent.nonces -= 3;
    let error = agent.post::<PollAnswer>(&world, &AgentRoute::Poll, &request).unwrap_err();
    assert_eq!(error.code, "nonce_repeated");
    agent.nonces += 10;
    let id = agent.id();
    let mut thief = Agent::new(50);
    thief.id = Some(id);
    thief.trust = agent.trust.clone();
    let error = thief.post::<PollAnswer>(&world, &AgentRoute::Poll, &request).unwrap_err();
    assert_eq!(error.code, "signature_invalid");
    thief.id = Some(AgentId::from_uuid(uuid::Uuid::now_v7()));
    let error = thief.post::<PollAnswer>(&world, &AgentRoute::Poll, &request).unwrap_err();
    assert_eq!(error.code, "agent_unknown");
}

#[test]
fn a_job_is_given_again_until_it_is_taken_then_run_and_reported_once() {
    let world = World::new();
    let mut agent = world.agent();
    let id = world.probe();
    let before = agent.head;
    let (_, first) = agent.poll(&world);
    assert_eq!(first.len(), 1);
    assert_eq!(world.state(id), JobState::Leased);
    // The answer was lost: the agent stands where it stood.
    agent.head = before;
    let (_, again) = agent.poll(&world);
    assert_eq!(again, first);
    let (_, none) = agent.poll(&world);
    assert!(none.is_empty());
    agent.running = vec![RunningJob {
        job_id: id,
        attempt: 1,
        step: "preflight".into(),
        undoing: false,
        progress_at: world.clock.now(),
    }];
    agent.poll(&world);
    let job = world.job(id);
    assert_eq!((job.state, job.step.as_str()), (JobState::Running, "preflight"));
    let event = |n| Event {
        n,
        at: world.clock.now(),
        step: "preflight".into(),
        what: EventKind::StepDone,
        message: "done".into(),
    };
    let send = |events| EventsRequest { attempt: 1, events };
    let route = AgentRoute::Events(id);
    let answer: EventsAnswer = agent.post(&world, &route, &send(vec![event(1), event(2)])).unwrap();
    assert_eq!(answer.next, 3);
    let answer: EventsAnswer = agent.post(&world, &route, &send(vec![event(2), event(3)])).unwrap();
    assert_eq!(answer.next, 4);
    let answer: EventsAnswer = agent.post(&world, &route, &send(vec![event(6)])).unwrap();
    assert_eq!(answer.next, 4, "a gap is not filled with what comes after it");
    let done = Some(JobResult::Probed(Box::new(facts())));
    agent.report(&world, &first[0], Outcome::Succeeded, None, done.clone()).unwrap();
    agent.report(&world, &first[0], Outcome::Succeeded, None, done).unwrap();
    assert_eq!(world.state(id), JobState::Succeeded);
    let reports = world.portal.db.read(|read| db::events::reports(read, id)).unwrap();
    assert_eq!(reports.len(), 1);
    // Another outcome for a job at rest is kept as evidence and changes nothing.
    agent.report(&world, &first[0], Outcome::Failed, Some(upstream()), None).unwrap();
    assert_eq!(world.state(id), JobState::Succeeded);
}

#[test]
fn a_report_for_what_was_not_given_changes_no_job_and_one_by_another_key_is_refused() {
    let world = World::new();
    let mut agent = world.agent();
    world.probe();
    let (_, jobs) = agent.poll(&world);
    let mut other_digest = jobs[0].clone();
    other_digest.1 = Sha256Digest::of(b"another job");
    let mut other_attempt = jobs[0].clone();
    other_attempt.0.attempt = 2;
    for wrong in [other_digest, other_attempt] {
        agent.report(&world, &wrong, Outcome::Succeeded, None, None).unwrap();
        assert_eq!(world.state(jobs[0].0.job_id), JobState::Leased);
    }
    // The poller holds the identity key only: it cannot forge a report.
    agent.report = SigningKey::from_seed(&[1; 32]);
    let error = agent.report(&world, &jobs[0], Outcome::Succeeded, None, None).unwrap_err();
    assert_eq!((error.kind, error.code), (Kind::Invalid, "report_refused"));
    assert_eq!(world.state(jobs[0].0.job_id), JobState::Leased);
}

#[test]
fn upstream_failures_are_tried_again_with_backoff_then_dead_then_requeued_by_an_admin() {
    let world = World::new();
    let mut agent = world.agent();
    let id = world.probe();
    for attempt in 1..=3 {
        let (_, jobs) = agent.poll(&world);
        assert_eq!(jobs[0].0.attempt, attempt);
        agent.report(&world, &jobs[0], Outcome::Failed, Some(upstream()), None).unwrap();
        assert!(agent.poll(&world).1.is_empty(), "the backoff holds");
        world.clock.advance_secs(120);
    }
    assert_eq!(world.state(id), JobState::Dead);
    let rules = world.portal.config.job_rules();
    world.portal.db.write(move |tx| RetryJob { id, actor: ACTOR.into(), rules }.apply(tx)).unwrap();
    let (_, jobs) = agent.poll(&world);
    assert_eq!((jobs[0].0.job_id, jobs[0].0.attempt), (id, 4));
}

#[test]
fn attempts_and_expiry_are_those_of_the_configuration() {
    let world = World::with(Config { max_attempts: 1, job_expiry_minutes: 2, ..Config::default() });
    let mut agent = world.agent();
    let id = world.probe();
    let (_, jobs) = agent.poll(&world);
    assert_eq!(jobs[0].0.exp, world.clock.now().plus_secs(120));
    agent.report(&world, &jobs[0], Outcome::Failed, Some(upstream()), None).unwrap();
    assert_eq!(world.state(id), JobState::Dead);
    let waiting = world.probe();
    world.clock.advance_secs(121);
    world.reap();
    assert_eq!(world.state(waiting), JobState::Expired);
}

#[test]
fn cancel_expiry_lease_and_standstill() {
    let world = World::new();
    let mut agent = world.agent();
    let cancel = |id| {
        let cancel = CancelJob { id, reason: "not needed".into(), actor: ACTOR.into() };
        world.portal.db.write(move |tx| cancel.apply(tx)).unwrap();
    };
    let queued = world.probe();
    cancel(queued);
    assert_eq!(world.state(queued), JobState::Cancelled);
    let given = world.probe();
    let (_, jobs) = agent.poll(&world);
    cancel(given);
    for _ in 0..2 {
        assert_eq!(
            agent.poll(&world).0.cancel,
            [first_attempt(given)],
            "repeated until the report comes"
        );
    }
    let failure = Failure::new(FailureClass::Cancelled, "cancelled", "none");
    agent.report(&world, &jobs[0], Outcome::Cancelled, Some(failure), None).unwrap();
    assert_eq!(world.state(given), JobState::Cancelled);
    assert!(agent.poll(&world).0.cancel.is_empty());
    let still = world.probe();
    agent.poll(&world);
    world.clock.advance_secs(121);
    world.reap();
    assert!(world.job(still).lease_lost_at.is_some());
    assert_eq!(world.state(still), JobState::Leased, "the job goes on when the agent returns");
    agent.poll(&world);
    assert!(world.job(still).lease_lost_at.is_none());
    // A heartbeat is not progress.
    world.clock.advance_secs(1801);
    world.reap();
    let job = world.job(still);
    assert_eq!(job.cancel_reason.as_deref(), Some("no progress for 30 minutes"));
    let forgotten = world.probe();
    world.clock.advance_secs(3601);
    world.reap();
    assert_eq!(world.state(forgotten), JobState::Expired);
}

#[test]
fn a_hook_may_be_silent_for_as_long_as_its_blueprint_says() {
    const HOOK_SECS: i64 = 2400;
    let world = World::new();
    let mut agent = world.agent();
    let tenant = world.tenant("active", Some(1));
    let id = world.queue(world::deployment(tenant, HOOK_SECS));
    assert_eq!(world.job(id).timeout_secs, 3600 + 2400);
    let (_, jobs) = agent.poll(&world);
    assert_eq!(jobs[0].0.timeout_secs, 3600 + 2400);
    let running = |job_id, step: &str, undoing, progress_at| {
        vec![RunningJob { job_id, attempt: 1, step: step.to_owned(), undoing, progress_at }]
    };
    agent.running = running(id, "migrate", false, world.clock.now());
    agent.poll(&world);
    // Forty minutes and half an hour, in which nothing is heard.
    for (secs, reason) in
        [(1801, None), (HOOK_SECS - 10, None), (20, Some("no progress for 70 minutes"))]
    {
        world.clock.advance_secs(secs);
        world.reap();
        assert_eq!(world.job(id).cancel_reason.as_deref(), reason, "after {secs} more");
    }

    // No other step of the same job may, nor may undoing this one.
    for (step, undoing) in [("start", false), ("onboard", false), ("migrate", true)] {
        let world = World::new();
        let mut agent = world.agent();
        let id = world.queue(world::deployment(world.tenant("active", Some(1)), HOOK_SECS));
        agent.poll(&world);
        agent.running = running(id, step, undoing, world.clock.now());
        agent.poll(&world);
        world.clock.advance_secs(1801);
        world.reap();
        let reason = world.job(id).cancel_reason.clone();
        assert_eq!(reason.as_deref(), Some("no progress for 30 minutes"), "{step}");
    }
}

#[test]
fn one_job_at_a_time_per_tenant_and_no_more_than_workers() {
    let world = World::new();
    let mut agent = world.agent();
    let (one, two, three) = (
        world.tenant("active", Some(1)),
        world.tenant("active", Some(1)),
        world.tenant("active", Some(1)),
    );
    for tenant in [one, one, two, three] {
        world.queue(removal(tenant));
    }
    let (_, first) = agent.poll(&world);
    let tenants: Vec<_> = first.iter().map(|(job, _)| job.work.tenant().unwrap()).collect();
    assert_eq!(tenants, [one, two], "two workers, two tenants");
    assert_eq!(world.tenant_status(one), TenantStatus::Removing);
    let mut request = agent.poll_request(&world, 0);
    request.free_workers = 0;
    assert!(agent.poll_with(&world, &request).1.is_empty());
    let removed = Removed { kept_volumes: vec!["v".into()], deleted_volumes: Vec::new() };
    let result = Some(JobResult::Removed(removed));
    agent.report(&world, &first[1], Outcome::Succeeded, None, result).unwrap();
    assert_eq!(world.tenant_status(two), TenantStatus::Removed);
    let (_, next) = agent.poll(&world);
    let tenants: Vec<_> = next.iter().map(|(job, _)| job.work.tenant().unwrap()).collect();
    assert_eq!(tenants, [three], "the second job of the first tenant waits");
}

#[test]
fn a_stuck_job_blocks_its_tenant_until_it_was_resumed() {
    let world = World::new();
    let mut agent = world.agent();
    let tenant = world.tenant("active", Some(1));
    let id = world.queue(removal(tenant));
    let (_, jobs) = agent.poll(&world);
    let stuck = Failure::new(FailureClass::Stuck, "a volume is in use", "look");
    agent.report(&world, &jobs[0], Outcome::Stuck, Some(stuck), None).unwrap();
    assert_eq!(world.state(id), JobState::RollbackFailed);
    assert_eq!(world.tenant_status(tenant), TenantStatus::Failed);
    world.queue(removal(tenant));
    assert!(agent.poll(&world).1.is_empty());
    world.portal.db.write(move |tx| ResumeJob { id, actor: ACTOR.into() }.apply(tx)).unwrap();
    assert_eq!(agent.poll(&world).0.resume, [id]);
    let undone = Failure::new(FailureClass::Host, "undone at last", "none");
    agent.report(&world, &jobs[0], Outcome::RolledBack, Some(undone), None).unwrap();
    assert_eq!(world.state(id), JobState::RolledBack);
    assert_eq!(world.tenant_status(tenant), TenantStatus::Active);
    assert_eq!(agent.poll(&world).1.len(), 1);
}

#[test]
fn a_deploy_keeps_what_it_made_its_password_sealed_and_activates_its_license() {
    let world = World::new();
    let mut agent = world.agent();
    let tenant = world.tenant("pending", None);
    let license = world.license(tenant);
    assert_eq!(world.license_row(license).status, LicenseStatus::PendingDeployment);
    let yaml = include_str!("../../../../tests/blueprints/recruitiq.yaml");
    let blueprint = crate::blueprint::read(yaml, "recruitiq.yaml").unwrap();
    let release = ReleaseRef {
        blueprint: "shop".parse().unwrap(),
        number: 1,
        digest: Sha256Digest::of(b"model"),
    };
    let deploy = freehold_protocol::job::DeployTenant {
        tenant,
        slug: "acme".parse().unwrap(),
        name: "Acme".into(),
        domain: "acme.example.com".parse().unwrap(),
        release: release.clone(),
        blueprint,
        settings: BTreeMap::new(),
        admin: None,
        certificate: freehold_protocol::job::CertificateSource::Acme,
    };
    let id = world.queue(Work::DeployTenant(Box::new(deploy)));
    let (_, jobs) = agent.poll(&world);
    assert_eq!(world.tenant_status(tenant), TenantStatus::Provisioning);
    let keys = world.portal.keys.current();
    let context =
        SealContext::TenantPassword { portal: keys.portal(), agent: agent.id(), tenant, job: id };
    let sealed =
        seal(&keys.seal().public(), &context, &Secret::new("first-password".into())).unwrap();
    let deployed = Deployed {
        project: "acme_shop".into(),
        release,
        domain: "acme.example.com".parse().unwrap(),
        endpoints: BTreeMap::new(),
        ports: BTreeMap::from([("backend".into(), 3001.try_into().unwrap())]),
        health: TenantHealth {
            tenant,
            at: world.clock.now(),
            status: HealthStatus::Healthy,
            containers: Vec::new(),
            backend: None,
            public: None,
            certificate_expires: None,
            disk: None,
            problems: Vec::new(),
        },
        sealed_password: Some(sealed.clone()),
        app_key: None,
    };
    let result = Some(JobResult::Deployed(Box::new(deployed)));
    agent.report(&world, &jobs[0], Outcome::Succeeded, None, result).unwrap();
    assert_eq!(world.tenant_status(tenant), TenantStatus::Active);
    let activated = world.license_row(license);
    assert_eq!(activated.status, LicenseStatus::Active);
    assert_eq!(activated.activated_at, Some(world.clock.now()));
    let Some(JobResult::Deployed(kept)) = world.job(id).head.result else { panic!("no result") };
    assert!(kept.sealed_password.is_none());
    let slug = format!("t{}", &tenant.to_string()[24..]).parse().unwrap();
    let reveal = RevealCredentials { slug, actor: ACTOR.into() };
    let (_, password) = world.portal.db.write(move |tx| reveal.apply(tx, keys.master())).unwrap();
    assert_eq!(password.expose(), "first-password");
    let raw = std::fs::read(world.portal.db.path()).unwrap();
    assert!(!raw.windows(14).any(|part| part == b"first-password"));
}

#[test]
fn a_parked_poll_is_woken_by_its_job() {
    let world = Arc::new(World::new());
    let mut agent = world.agent();
    let request = agent.poll_request(&world, 25);
    let other = Arc::clone(&world);
    let poll = thread::spawn(move || {
        let answer: PollAnswer = agent.post(&other, &AgentRoute::Poll, &request).unwrap();
        agent.take(&answer, &request).1
    });
    while world.portal.waiting_room.waiting() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let id = world.probe();
    let jobs = poll.join().unwrap();
    assert_eq!(jobs[0].0.job_id, id);
}

#[test]
fn near_the_connection_cap_agents_are_sent_to_intervals() {
    let rhythm = |max_connections, asked_wait| {
        let world =
            World::with(Config { max_connections, poll_wait_secs: 20, ..Config::default() });
        let mut agent = world.agent();
        let request = agent.poll_request(&world, asked_wait);
        let (poll, _) = agent.poll_with(&world, &request);
        (poll.wait_seconds, poll.next_poll_seconds)
    };
    assert_eq!(rhythm(12_000, 0), (20, 0));
    // No room for a single waiting poll: it is answered at once whatever it asked for.
    let began = std::time::Instant::now();
    let (wait, next) = rhythm(4, 25);
    assert!(began.elapsed() < Duration::from_secs(15), "it was held");
    assert_eq!(wait, 0);
    assert!((30..=40).contains(&next), "{next}");
}
