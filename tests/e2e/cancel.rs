//! Cancelling a job that runs: it stops within seconds and the host is as it was.

use freehold_protocol::report::EventKind;
use freehold_tests::world::{Half, World, blueprint, docker, steps_of};
use std::time::{Duration, Instant};

/// From the wish to the end, undoing included.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_cancelled_deploy_stops_soon_and_leaves_nothing() {
    let world = World::start("cancel");
    let good = world.push(&blueprint(&[]));
    let before = world.snapshot();
    let slow = (
        "PORT: \"3000\"",
        "PORT: \"3000\"\n      SAMPLE_FAIL: slow\n      SAMPLE_SLOW_SECONDS: \"120\"",
    );
    let sleeps = ("command: [\"migrate\"]", "command: [\"probe\", \"http://192.0.2.1/\"]");
    for (name, change, step) in [("start", slow, "start"), ("migrate", sleeps, "migrate")] {
        let tenant = world.tenant(name);
        let release = world.push(&blueprint(&[change]));
        world.create(&tenant, release);
        let id = world.queue_deploy(&tenant, release);
        world.wait_step(&id, step);
        let began = Instant::now();
        world.cancel(&id, "ordered by mistake");
        let job = world.rests_as(&id, "cancelled");
        assert!(began.elapsed() < SOON, "{name}: cancelled after {:?}", began.elapsed());
        assert_eq!(job.cancel_reason.as_deref(), Some("ordered by mistake"));
        world.assert_gapless(&id);
        world.snapshot().assert_same(&before);
        assert_eq!(world.view(&tenant).status, "cancelled");
        world.deploy(&tenant, good);
        world.assert_live(&tenant, "1");
        world.remove_with_data(&tenant);
        world.snapshot().assert_same(&before);
    }
}

#[test]
fn a_job_that_waits_is_cancelled_without_the_host() {
    let mut world = World::start("cancel-queued");
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let before = world.snapshot();

    // No job goes to a drained host.
    world.cli(["host", "drain", "vps-1"]).ok();
    let id = world.queue_deploy(&tenant, release);
    world.cancel(&id, "");
    world.rests_as(&id, "cancelled");
    assert!(world.events(&id).is_empty(), "a cancelled job was run");
    world.cli(["host", "undrain", "vps-1"]).ok();

    // The host goes away just when the job is given to it: the order to cancel waits for it.
    // Its poll is open, and nobody reads the answer.
    world.hold_in_a_poll();
    let id = world.queue_deploy(&tenant, release);
    world
        .eventually("the job is given to the host", SOON, |world| world.job(&id).state != "queued");
    world.agent().kill();
    world.cancel(&id, "");
    world.agent().start();
    world.rests_as(&id, "cancelled");
    assert!(steps_of(&world.events(&id)).is_empty(), "a cancelled job was run");

    // The next job goes well.
    world.deploy(&tenant, release);
    world.remove_with_data(&tenant);
    world.snapshot().assert_same(&before);
}

/// A command inside a container of the product outlives the client that started it, and an update
/// need not touch that container.
#[test]
fn a_hook_inside_a_container_ends_with_its_job() {
    let world = World::start("exec");
    let tenant = world.deployed("acme");
    let before = world.snapshot();
    let release = world.push(&blueprint(&[(
        "command: [\"migrate\"]",
        "mode: exec\n      command: [\"/bin/sh\", \"-c\", \"exec sleep 4711\"]",
    )]));
    let backend = format!("{}_recruitiq-backend-1", tenant.slug);
    // Nothing while the container is down.
    let at_work = || -> Vec<String> {
        let list = docker(["top", &backend, "-eo", "pid,args"]).stdout;
        let found = list.lines().filter(|line| line.contains("sleep 4711"));
        found.map(|line| line.split_whitespace().next().unwrap_or_default().to_owned()).collect()
    };
    let id = world.queue_deploy(&tenant, release);
    world.wait_step(&id, "migrate");
    world.eventually("the hook is at work", SOON, |_| at_work().len() == 1);
    let first = at_work();

    // After a crash it is run once more, and not beside the first.
    world.agent_ref().kill_half(Half::Executor);
    world.wait_event(&id, "a restart", |event| {
        event.what == EventKind::Progress && event.message.contains("restarting backend")
    });
    world.eventually("another run is at work, alone", SOON * 3, |_| {
        let now = at_work();
        now.len() == 1 && now != first
    });

    world.cancel(&id, "it sleeps");
    world.rests_as(&id, "cancelled");
    assert_eq!(at_work(), [""; 0], "the hook outlives its job");
    world.assert_live(&tenant, "1");
    world.snapshot().assert_same(&before);
}
