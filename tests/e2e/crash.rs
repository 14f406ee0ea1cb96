//! The agent dies at every edge of a job, between two records of its journal, and each program dies
//! while the others work. The job ends as it would have ended, once, and no event is lost.

use freehold_protocol::report::EventKind;
use freehold_tests::world::{Cut, DEPLOY_STEPS, Edge, World, blueprint, steps_of};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Most jobs of a kind until each of its edges was met: a machine that is busy may pass one between
/// two looks.
const ROUNDS: usize = 10;
/// How many steps a removal with its data has.
const REMOVAL_STEPS: usize = 6;
/// How many steps a deploy has begun when the authority refuses the certificate.
const STEPS_TO_CERTIFICATE: usize = 10;
/// Those of them that change the host, from the last to the first.
const UNDONE: [&str; 7] =
    ["certificate", "site-http", "onboard", "migrate", "start", "write-stack", "reserve-ports"];

/// Cuts off a job at every edge of it. `begin` queues the job of a round; `rests` looks at what has
/// become of it.
#[track_caller]
fn cut_at_every_edge<T>(
    world: &mut World,
    mut left: BTreeSet<Edge>,
    begin: impl Fn(&World, usize) -> (String, T),
    cut: Cut,
    rests: impl Fn(&World, &str, T),
) {
    for round in 0..ROUNDS {
        let (id, what) = begin(world, round);
        let taken_up = world.cut_off(&id, &mut left, cut);
        rests(world, &id, what);
        world.assert_gapless(&id);
        let events = world.events(&id);
        let resumed = events.iter().filter(|event| event.what == EventKind::Resumed).count();
        assert_eq!(resumed, taken_up, "not each time it was taken up did it say so");
        if left.is_empty() {
            return;
        }
    }
    panic!("not met in {ROUNDS} jobs: {left:?}");
}

fn every_edge_of_a_deploy_is_met(world: &mut World, cut: Cut) {
    let release = world.push(&blueprint(&[]));
    let before = world.snapshot();
    cut_at_every_edge(
        world,
        Edge::forward(DEPLOY_STEPS.len()),
        |world, round| {
            let tenant = world.tenant(&format!("t{round}"));
            world.create(&tenant, release);
            (world.queue_deploy(&tenant, release), tenant)
        },
        cut,
        |world, id, tenant| {
            world.succeeds(id);
            assert_eq!(steps_of(&world.events(id)), DEPLOY_STEPS);
            world.assert_live(&tenant, "1");
            let password = world.password(&tenant);
            assert_eq!(
                world.login(&tenant, &password),
                200,
                "the password that was shown is not the account's"
            );
            world.remove_with_data(&tenant);
            world.snapshot().assert_same(&before);
        },
    );
}

#[test]
fn the_executor_dies_at_every_edge_of_a_deploy() {
    let mut world = World::start("kill-executor");
    every_edge_of_a_deploy_is_met(&mut world, Cut::Executor);
    // The poll that was open meanwhile is no trouble for anybody.
    let log = world.agent_ref().log();
    let trouble = |line: &&str| line.contains("a poll failed") && line.contains("no_poll");
    assert_eq!(log.lines().find(trouble), None);
}

#[test]
fn both_halves_die_at_every_edge_of_a_deploy() {
    let mut world = World::start("kill-both");
    every_edge_of_a_deploy_is_met(&mut world, Cut::All);
}

#[test]
fn the_executor_dies_at_every_edge_of_an_undo() {
    let mut world = World::start("kill-undo");
    let release = world.push(&blueprint(&[]));
    let before = world.snapshot();
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    world.acme.break_dns(&tenant.domain);
    cut_at_every_edge(
        &mut world,
        Edge::back(STEPS_TO_CERTIFICATE),
        |world, _| (world.queue_deploy(&tenant, release), ()),
        Cut::Executor,
        |world, id, ()| {
            // The portal does not try for ever what others refuse.
            world.rests_as(id, "dead");
            let events = world.events(id);
            let undone = events.iter().filter(|event| event.what == EventKind::UndoDone);
            let undone: Vec<_> = undone.map(|event| event.step.as_str()).collect();
            assert_eq!(undone, UNDONE);
            world.snapshot().assert_same(&before);
        },
    );
}

#[test]
fn the_executor_dies_at_every_edge_of_a_removal() {
    let mut world = World::start("kill-removal");
    let before = world.snapshot();
    cut_at_every_edge(
        &mut world,
        Edge::forward(REMOVAL_STEPS),
        |world, round| {
            let tenant = world.deployed(&format!("t{round}"));
            (world.queue_remove(&tenant, "delete"), ())
        },
        Cut::Executor,
        |world, id, ()| {
            world.succeeds(id);
            world.snapshot().assert_same(&before);
        },
    );
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
        assert!(began.elapsed() < Duration::from_secs(300), "the job does not go on");
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
