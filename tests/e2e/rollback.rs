//! Deploys that fail, each in its own way: the host is as it was before, the reason and the remedy
//! are told, and the next good deploy works.

use freehold_portal::api::jobs::JobView;
use freehold_protocol::failure::FailureClass;
use freehold_protocol::report::EventKind;
use freehold_tests::engine::Engine;
use freehold_tests::world::{Edge, Setup, Snapshot, Tenant, World, blueprint, docker};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const BACKEND: &str = "freehold-sample/backend:1";
const BACKEND_HEALTH: &str = "\"http://127.0.0.1:3000/api/health\"]\n      interval: 1s\n      timeout: 5s\n      retries: 30";
/// The engine gives up sooner on a backend that will never be healthy.
const IMPATIENT: (&str, &str) = (
    BACKEND_HEALTH,
    "\"http://127.0.0.1:3000/api/health\"]\n      interval: 1s\n      timeout: 5s\n      retries: 5",
);

/// Deploys what must fail, and checks that it is told well and undone.
#[track_caller]
fn fails(world: &World, tenant: &Tenant, release: u64, before: &Snapshot) -> JobView {
    let id = world.queue_deploy(tenant, release);
    let job = world.wait_job(&id);
    assert!(
        matches!(job.state.as_str(), "rolled_back" | "failed" | "dead"),
        "{}: {:#?}",
        job.state,
        job.failure
    );
    let failure = job.failure.as_ref().expect("a failure");
    assert!(!failure.what.is_empty() && !failure.advice.is_empty(), "{failure:#?}");
    world.assert_gapless(&id);
    world.snapshot().assert_same(before);
    if world.view(tenant).release_deployed.is_none() {
        world.assert_unserved(tenant);
    }
    job
}

/// The same tenant deploys well afterwards, and is removed again.
#[track_caller]
fn recovers(world: &World, tenant: &Tenant, release: u64, before: &Snapshot) {
    world.deploy(tenant, release);
    world.assert_live(tenant, "1");
    world.remove_with_data(tenant);
    world.snapshot().assert_same(before);
}

#[test]
fn a_bad_first_release_leaves_nothing() {
    let world = World::start("bad-release");
    let good = world.push(&blueprint(&[]));
    let before = world.snapshot();
    let onboard = ("PORT: \"3000\"", "PORT: \"3000\"\n      SAMPLE_FAIL: onboard");
    for (name, change, step) in [
        ("unhealthy", (BACKEND, "freehold-sample/backend:unhealthy"), "start"),
        ("crash", (BACKEND, "freehold-sample/backend:crash"), "start"),
        ("badmigrate", (BACKEND, "freehold-sample/backend:badmigrate"), "migrate"),
        ("onboard", onboard, "onboard"),
        ("missing", (BACKEND, "freehold-sample/no-such-image:1"), "pull-images"),
    ] {
        let tenant = world.tenant(name);
        let bad = world.push(&blueprint(&[IMPATIENT, change]));
        world.create(&tenant, bad);
        let job = fails(&world, &tenant, bad, &before);
        let failed = job.steps.iter().find(|step| step.state == "failed" || step.state == "undone");
        assert!(failed.is_some(), "{name}: {:#?}", job.steps);
        let reached = job.steps.last().map(|step| step.step.as_str());
        assert_eq!(reached, Some(step), "{name}: {:#?}", job.steps);
        let class = job.failure.unwrap().class;
        if name != "missing" {
            assert_eq!(class, FailureClass::App, "{name}");
        }
        if name == "crash" {
            recovers(&world, &tenant, good, &before);
        }
    }
    // One of them, later, with the good release.
    let tenant = world.tenant("badmigrate");
    recovers(&world, &tenant, good, &before);
}

#[test]
fn a_bad_update_leaves_the_old_release_serving() {
    let world = World::start("bad-update");
    let tenant = world.deployed("acme");
    let password = world.password(&tenant);
    let before = world.snapshot();
    for image in ["unhealthy", "badmigrate", "crash"] {
        let bad = world.push(&blueprint(&[
            IMPATIENT,
            (BACKEND, &format!("freehold-sample/backend:{image}")),
            ("freehold-sample/frontend:1", "freehold-sample/frontend:2"),
        ]));
        let job = fails(&world, &tenant, bad, &before);
        assert_eq!(job.state, "rolled_back", "{image}");
        world.assert_live(&tenant, "1");
        assert_eq!(world.login(&tenant, &password), 200, "{image}");
        let view = world.view(&tenant);
        assert_eq!((view.status.as_str(), view.release_deployed), ("active", Some(1)), "{image}");
    }
}

#[test]
fn an_authority_that_refuses_leaves_nothing() {
    let world = World::start("no-certificate");
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let before = world.snapshot();
    world.acme.break_dns(&tenant.domain);
    let job = fails(&world, &tenant, release, &before);
    let failure = job.failure.unwrap();
    assert!(failure.what.contains("certificate"), "{failure:#?}");
    world.acme.mend_dns(&tenant.domain);
    recovers(&world, &tenant, release, &before);
}

#[test]
fn strangers_on_every_port_are_left_alone() {
    let world = World::start("ports");
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let before = world.snapshot();
    let (first, count) = world.port_range();
    let strangers: Vec<_> = (first..first + count / 2)
        .map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap())
        .collect();
    let job = fails(&world, &tenant, release, &before);
    let failure = job.failure.unwrap();
    assert!(failure.what.contains("backend"), "{failure:#?}");
    drop(strangers);

    // A container that publishes the first port; the next one is taken.
    let name = format!("stranger-{}_x", world.tag());
    let publish = format!("127.0.0.1:{first}:5173");
    docker([
        "run",
        "--detach",
        "--name",
        &name,
        "--publish",
        &publish,
        "freehold-sample/frontend:1",
        "frontend",
    ])
    .ok();
    let with_stranger = world.snapshot();
    world.deploy(&tenant, release);
    let taken = world.view(&tenant).ports;
    assert!(taken.values().all(|port| port.get() != first), "{taken:?}");
    world.remove_with_data(&tenant);
    world.snapshot().assert_same(&with_stranger);
}

/// Somebody takes the port after we have looked and before the engine does.
#[test]
fn a_port_that_is_taken_at_the_last_moment_is_left_to_whoever_has_it() {
    let mut world = World::start("port-race");
    let script = world.scratch().path().join("docker");
    let name = format!("stranger-{}_x", world.tag());
    let taken = world.scratch().path().join("taken");
    // A `docker` that, the first time a stack is started, starts a stranger on its backend port.
    let text = format!(
        "#!/bin/sh\n\
         case \" $* \" in *' up --detach'*)\n\
         \x20 if ! [ -e {taken} ]; then\n\
         \x20   env=$(printf '%s\\n' \"$@\" | sed -n 's/^--env-file=//p')\n\
         \x20   sed -n 's/^FREEHOLD_PORT_BACKEND=\"\\([0-9]*\\)\"$/\\1/p' \"$env\" >{taken}\n\
         \x20   docker run --detach --name {name} --publish 127.0.0.1:$(cat {taken}):5173 \\\n\
         \x20     freehold-sample/frontend:1 frontend >/dev/null || exit 99\n\
         \x20 fi;;\n\
         esac\n\
         exec docker \"$@\"\n",
        taken = taken.display(),
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.agent().stop();
    world.agent().setup().agent = vec![format!("programs.docker={}", script.display())];
    world.agent().start();
    let tenant = world.tenant("acme");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);
    let before = world.snapshot();
    let job = world.deploy(&tenant, release);
    let taken: u16 = std::fs::read_to_string(&taken).unwrap().trim().parse().unwrap();
    let ports = world.view(&tenant).ports;
    assert!(ports.values().all(|port| port.get() != taken), "{taken}: {ports:?}");
    let told = world.events(&job.id.to_string());
    let words = format!("taken by something else: {taken}");
    assert!(told.iter().any(|event| event.message.contains(&words)), "{told:#?}");
    world.assert_live(&tenant, "1");
    world.remove_with_data(&tenant);
    // The stranger was never touched, and its port is not counted as ours.
    world.snapshot().without("container", &name).assert_same(&before);
    let state = docker(["inspect", "--format", "{{.State.Status}} {{.RestartCount}}", &name]).ok();
    assert_eq!(state.trim(), "running 0");
}

#[test]
fn a_broken_web_server_is_not_made_worse() {
    let world = World::start("nginx");
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);

    // Broken by somebody else before.
    let stranger = world.nginx.sites().join("stranger.conf");
    std::fs::write(&stranger, "server { listen nonsense; }\n").unwrap();
    let before = world.snapshot();
    let job = fails(&world, &tenant, release, &before);
    let failure = job.failure.unwrap();
    assert_eq!(failure.class, FailureClass::Host, "{failure:#?}");
    assert!(format!("{failure:?}").contains("stranger.conf"), "{failure:#?}");
    std::fs::remove_file(&stranger).unwrap();

    // Good until our site comes: the names' table is too small for it.
    let mut tenant = world.tenant("bolt");
    tenant.domain = format!("{}.{}", "a".repeat(60), tenant.domain);
    world.create(&tenant, release);
    let conf = world.scratch().path().join("nginx/nginx.conf");
    let good = std::fs::read_to_string(&conf).unwrap();
    let small =
        good.replace("server_names_hash_bucket_size 128", "server_names_hash_bucket_size 32");
    assert_ne!(good, small);
    std::fs::write(&conf, small).unwrap();
    world.nginx.reload().unwrap();
    let before = world.snapshot();
    let job = fails(&world, &tenant, release, &before);
    assert_eq!(job.state, "rolled_back");
    let failure = job.failure.unwrap();
    assert!(format!("{failure:?}").contains("server_names_hash"), "{failure:#?}");
    world.nginx.reload().expect("what is left of our site breaks the web server");
    std::fs::write(&conf, good).unwrap();
    world.nginx.reload().unwrap();
    recovers(&world, &tenant, release, &before);
}

#[test]
fn a_site_that_does_not_verify_is_taken_back() {
    let mut world = World::start("verify");
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let before = world.snapshot();
    // The public address is somebody else's: nothing of ours listens there.
    world.agent().stop();
    world.agent().setup().agent.push("probe.address=127.0.0.2".to_owned());
    world.agent().start();
    let job = fails(&world, &tenant, release, &before);
    assert_eq!(job.state, "rolled_back");
    // The certificate leads to a root that visitors do not know.
    world.agent().stop();
    world.agent().setup().agent =
        vec![format!("probe.ca_file={}", world.acme.server_ca().display())];
    world.agent().start();
    let job = fails(&world, &tenant, release, &before);
    assert_eq!(job.state, "rolled_back");

    world.agent().stop();
    world.agent().setup().agent.clear();
    world.agent().start();
    recovers(&world, &tenant, release, &before);
}

/// The stack runs, and nobody is served.
const MIDDLE: [Edge; 4] = [Edge::Done(5), Edge::Started(6), Edge::Done(6), Edge::Started(7)];

#[test]
fn an_engine_that_goes_away_is_waited_for_or_told() {
    let mut world = World::start("engine");
    let mut engine = Engine::open_in(world.scratch().path());
    world.agent().stop();
    world.agent().setup().agent = vec![format!("programs.docker={}", engine.client().display())];
    world.agent().start();
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let before = world.snapshot();

    // Down before anything was done.
    engine.down();
    let job = fails(&world, &tenant, release, &before);
    assert_eq!((job.state.as_str(), job.step.as_str()), ("failed", "preflight"));
    let failure = job.failure.unwrap();
    assert_eq!(failure.class, FailureClass::Host);
    assert!(failure.what.contains("engine") && failure.advice.contains("docker"), "{failure:#?}");
    assert!(failure.detail.contains("Cannot connect to the Docker daemon"), "{failure:#?}");
    engine.up();

    // Down while the stack starts, until the job turns back: the undo waits for it.
    let id = world.queue_deploy(&tenant, release);
    world.wait_event(&id, "a container", |event| {
        event.step == "start" && event.message.contains("Container")
    });
    engine.down();
    world.wait_event(&id, "an undo that does not work", |event| {
        event.what == EventKind::UndoFailed && event.step == "start"
    });
    engine.up();
    let job = world.rests_as(&id, "rolled_back");
    assert_eq!(job.failure.unwrap().class, FailureClass::Host);
    world.snapshot().assert_same(&before);

    // Down for good in the middle: what could not be undone is named, and a resume does it.
    let id = world.queue_deploy(&tenant, release);
    world.at_edge(&id, &MIDDLE, || engine.down());
    let job = world.rests_as(&id, "rollback_failed");
    let failure = job.failure.unwrap();
    assert_eq!(failure.class, FailureClass::Stuck, "{failure:#?}");
    assert!(failure.advice.contains("resume"), "{failure:#?}");
    let reply = world.api().call("POST", &format!("/tenants/{}/deploy", tenant.slug), None);
    assert_eq!(reply.problem(409).errors.len(), 0, "a stuck tenant took another job");
    engine.up();
    let reply = world.api().call("POST", &format!("/jobs/{id}/resume"), None);
    assert!((200..300).contains(&reply.status), "{}: {}", reply.status, reply.text);
    world.eventually("the stuck job is undone", Duration::from_secs(300), |world| {
        world.job(&id).state == "rolled_back"
    });
    world.snapshot().assert_same(&before);
    recovers(&world, &tenant, release, &before);
}

/// Before the files of the stack are written; or just after, and `start` writes them anew.
const BEFORE_FILES: [Edge; 5] =
    [Edge::Done(1), Edge::Started(2), Edge::Done(2), Edge::Started(3), Edge::Done(3)];

#[test]
fn a_full_disk_is_told_and_nothing_is_half_made() {
    let setup = Setup {
        state_disk_kib: Some(64 * 1024),
        tenants_disk_kib: Some(300 * 1024),
        ..Setup::default()
    };
    let world = World::start_with("disk", setup);
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let before = world.snapshot();
    let (disk, tenants) = (world.agent_ref().disk(), world.agent_ref().tenants_disk());

    tenants.fill(100 * 1024);
    let job = fails(&world, &tenant, release, &world.snapshot());
    assert_eq!(job.state, "failed");
    let failure = job.failure.unwrap();
    assert_eq!(failure.class, FailureClass::Host, "{failure:#?}");
    assert!(failure.what.contains("free"), "{failure:#?}");
    tenants.free();

    // Full in the middle: no file of the stack has room.
    let id = world.queue_deploy(&tenant, release);
    world.at_edge(&id, &BEFORE_FILES, || tenants.fill(0));
    let job = world.rests_as(&id, "rolled_back");
    tenants.free();
    is_of_the_disk(&job);
    world.assert_gapless(&id);
    world.snapshot().assert_same(&before);

    // The same with an update: the old release serves on.
    world.deploy(&tenant, release);
    let deployed = world.snapshot();
    let next = world.push(&blueprint(&[
        (BACKEND, "freehold-sample/backend:2"),
        ("freehold-sample/frontend:1", "freehold-sample/frontend:2"),
    ]));
    let id = world.queue_deploy(&tenant, next);
    world.at_edge(&id, &BEFORE_FILES, || tenants.fill(0));
    let job = world.rests_as(&id, "rolled_back");
    tenants.free();
    is_of_the_disk(&job);
    world.snapshot().assert_same(&deployed);
    world.assert_live(&tenant, "1");
    world.remove_with_data(&tenant);
    world.snapshot().assert_same(&before);

    // The journal cannot be written either: the executor ends, and goes on when there is room again.
    // It begins with an empty log, so that each commit needs room.
    let journal = rusqlite::Connection::open(world.agent_ref().journal()).unwrap();
    let busy: i64 =
        journal.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0);
    drop(journal);
    world.create(&tenant, release);
    let id = world.queue_deploy(&tenant, release);
    world.at_edge(&id, &BEFORE_FILES, || {
        disk.fill(0);
        tenants.fill(0);
    });
    world.eventually("the full disk is felt", Duration::from_secs(120), |world| {
        world.agent_ref().log().contains("the journal does not work any more")
    });
    disk.free();
    tenants.free();
    world.succeeds(&id);
    world.assert_gapless(&id);
    world.assert_live(&tenant, "1");
    world.remove_with_data(&tenant);
    world.snapshot().assert_same(&before);
}

#[track_caller]
fn is_of_the_disk(job: &JobView) {
    let failure = job.failure.as_ref().expect("a failure");
    assert_eq!(failure.class, FailureClass::Host, "{failure:#?}");
    assert!(failure.advice.contains("free space on the disk"), "{failure:#?}");
}
