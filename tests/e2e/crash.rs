//! The agent dies while a step runs, and each program dies while the others work. Afterwards a
//! deploy has happened or has not; there is no third state, and no event is lost.

use freehold_protocol::report::EventKind;
use freehold_tests::world::{DEPLOY_STEPS, Half, Snapshot, Tenant, World, blueprint, steps_of};
use std::time::{Duration, Instant};

/// Cuts off every step of a deploy once, at its beginning. A deploy that goes on after a cut is cut
/// again at the next step; one that turns back has its place taken by another tenant's.
fn every_step_is_cut_off(world: &mut World, cut: impl Fn(&mut World)) {
    let release = world.push(&blueprint(&[]));
    let before = world.snapshot();
    let mut left = DEPLOY_STEPS.iter().copied().peekable();
    let mut deploys = 0;
    while left.peek().is_some() {
        let tenant = world.tenant(&format!("t{deploys}"));
        world.create(&tenant, release);
        let id = world.queue_deploy(&tenant, release);
        let mut cuts = 0;
        while left.next_if(|step| world.reaches(&id, step)).is_some() {
            cut(world);
            cuts += 1;
        }
        assert!(
            cuts > 0,
            "{}: the deploy came to rest before it",
            left.next().unwrap_or("nothing")
        );
        rests_whole(world, &id, &tenant, &before);
        let events = world.events(&id);
        let resumed = events.iter().filter(|event| event.what == EventKind::Resumed).count();
        assert!(resumed <= cuts, "resumed {resumed} times after {cuts} cuts");
        deploys += 1;
    }
}

/// After the crash: live and removable, or as before.
#[track_caller]
fn rests_whole(world: &World, id: &str, tenant: &Tenant, before: &Snapshot) {
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
fn the_executor_dies_in_each_step() {
    let mut world = World::start("kill-executor");
    every_step_is_cut_off(&mut world, |world| world.agent_ref().kill_half(Half::Executor));
    // The poll that was open meanwhile is no trouble for anybody.
    assert!(!world.agent_ref().log().contains("a poll failed error=no_poll"));
}

#[test]
fn both_halves_die_in_each_step() {
    let mut world = World::start("kill-both");
    every_step_is_cut_off(&mut world, |world| {
        world.agent().kill();
        world.agent().start();
    });
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
    // A minute in all: many attempts of the agent to reach it.
    std::thread::sleep(Duration::from_secs(60).saturating_sub(began.elapsed()));
    world.portal().begin();
    world.succeeds(&id);
    world.assert_gapless(&id);
    assert_eq!(steps_of(&world.events(&id)).len(), 12);
    let password = world.password(&tenant);
    assert_eq!(world.login(&tenant, &password), 200);
    world.remove_with_data(&tenant);
}
