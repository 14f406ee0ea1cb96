//! The agent dies while a step runs, and each program dies while the others work. Afterwards a
//! deploy has happened or has not; there is no third state, and no event is lost.

use freehold_protocol::report::EventKind;
use freehold_tests::world::{DEPLOY_STEPS, Half, World, blueprint, steps_of};
use std::time::{Duration, Instant};

/// Where the executor dies: containers half up, an account that may or may not have been made, a
/// web server with a new site. The steps between leave the same kinds of things.
const EXECUTOR: [&str; 3] = ["start", "onboard", "site-https"];
/// Where both halves die: files half written, a database that is being changed, an order at the
/// certificate authority.
const BOTH: [&str; 3] = ["write-stack", "migrate", "certificate"];
/// These steps, or every second of all from number `half` on when all are asked for with
/// `FREEHOLD_TEST_EVERY_STEP=1`, by a run that has the time.
fn steps(some: &[&'static str], half: usize) -> Vec<&'static str> {
    if std::env::var_os("FREEHOLD_TEST_EVERY_STEP").is_some() {
        DEPLOY_STEPS.into_iter().skip(half).step_by(2).collect()
    } else {
        some.to_vec()
    }
}

/// After the crash: live and removable, or as before.
#[track_caller]
fn rests_whole(
    world: &World,
    id: &str,
    tenant: &freehold_tests::world::Tenant,
    before: &freehold_tests::world::Snapshot,
) {
    let job = world.wait_job(id);
    world.assert_gapless(id);
    match job.state.as_str() {
        "succeeded" => {
            world.assert_live(tenant, "1");
            let password = world.password(tenant);
            assert_eq!(
                world.login(tenant, &password),
                200,
                "the password that was shown is not the account's"
            );
            world.remove_with_data(tenant);
        }
        "rolled_back" => {}
        other => panic!("{other}: {:#?}", job.failure),
    }
    world.snapshot().assert_same(before);
}

#[test]
fn the_executor_dies_while_a_step_runs() {
    let world = World::start("kill-executor");
    let release = world.push(&blueprint(&[]));
    let before = world.snapshot();
    for (number, step) in steps(&EXECUTOR, 0).into_iter().enumerate() {
        let tenant = world.tenant(&format!("t{number}"));
        world.create(&tenant, release);
        let id = world.queue_deploy(&tenant, release);
        world.wait_step(&id, step);
        world.agent_ref().kill_half(Half::Executor);
        rests_whole(&world, &id, &tenant, &before);
    }
}

#[test]
fn both_halves_die_while_a_step_runs() {
    let mut world = World::start("kill-both");
    let release = world.push(&blueprint(&[]));
    let before = world.snapshot();
    for (number, step) in steps(&BOTH, 1).into_iter().enumerate() {
        let tenant = world.tenant(&format!("t{number}"));
        world.create(&tenant, release);
        let id = world.queue_deploy(&tenant, release);
        world.wait_step(&id, step);
        world.agent().kill();
        world.agent().start();
        rests_whole(&world, &id, &tenant, &before);
        let resumed =
            world.events(&id).iter().filter(|event| event.what == EventKind::Resumed).count();
        assert!(resumed <= 1, "{step}: resumed {resumed} times");
    }
}

#[test]
fn the_executor_dies_while_it_undoes() {
    let world = World::start("kill-undo");
    let bad = world
        .push(&blueprint(&[("freehold-sample/backend:1", "freehold-sample/backend:badmigrate")]));
    let before = world.snapshot();
    let tenant = world.tenant("acme");
    world.create(&tenant, bad);
    let id = world.queue_deploy(&tenant, bad);
    world.wait_event(&id, "an undo of start", |event| {
        event.what == EventKind::UndoStarted && event.step == "start"
    });
    world.agent_ref().kill_half(Half::Executor);
    world.rests_as(&id, "rolled_back");
    world.assert_gapless(&id);
    world.snapshot().assert_same(&before);
}

#[test]
fn the_executor_dies_during_a_removal() {
    let world = World::start("kill-removal");
    let before = world.snapshot();
    let tenant = world.deployed("acme");
    for step in ["stop-stack", "delete-volumes"] {
        let id = world.queue_remove(&tenant, "delete");
        world.wait_step(&id, step);
        world.agent_ref().kill_half(Half::Executor);
        let job = world.wait_job(&id);
        match job.state.as_str() {
            "succeeded" => world.snapshot().assert_same(&before),
            "rolled_back" => world.assert_live(&tenant, "1"),
            other => panic!("{step}: {other}: {:#?}", job.failure),
        }
        if job.state == "succeeded" {
            return;
        }
    }
}

#[test]
fn the_portal_dies_while_events_stream() {
    let mut world = World::start("kill-portal");
    let release = world.push(&blueprint(&[]));
    let before = world.snapshot();
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let id = world.queue_deploy(&tenant, release);
    for step in ["start", "onboard", "certificate"] {
        world.wait_step(&id, step);
        world.portal().kill();
        world.portal().begin();
    }
    world.succeeds(&id);
    world.assert_gapless(&id);
    assert_eq!(steps_of(&world.events(&id)).len(), 12);
    world.assert_live(&tenant, "1");
    world.remove_with_data(&tenant);
    world.snapshot().assert_same(&before);
}

#[test]
fn a_job_goes_on_while_the_portal_is_away_and_tells_it_afterwards() {
    let mut world = World::start("portal-away");
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let id = world.queue_deploy(&tenant, release);
    world.wait_step(&id, "pull-images");
    world.portal().stop();
    // The whole deploy happens without the portal.
    let began = Instant::now();
    while world.https(&tenant, "/api/health", &[]).map_or(true, |answer| answer.status != 200) {
        assert!(began.elapsed() < Duration::from_secs(90), "the job does not go on");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Longer than a few attempts of the agent to reach it.
    std::thread::sleep(Duration::from_secs(15));
    world.portal().begin();
    world.succeeds(&id);
    world.assert_gapless(&id);
    assert_eq!(steps_of(&world.events(&id)).len(), 12);
    let password = world.password(&tenant);
    assert_eq!(world.login(&tenant, &password), 200);
    world.remove_with_data(&tenant);
}
