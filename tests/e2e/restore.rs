//! The portal's database restored from a backup, and its keys rotated, with a host that goes on.

use freehold_tests::world::{World, blueprint};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn backup(world: &World) -> PathBuf {
    let file = world.scratch().path().join("backup.db");
    world.portal_ref().local(&["db", "backup", file.to_str().unwrap()]).ok();
    file
}

/// Puts the backup in the place of the database, as docs/operations.md says.
fn restore(world: &mut World, file: &Path) {
    let refused = world.portal_ref().local(&["db", "restore", file.to_str().unwrap()]);
    assert!(!refused.success(), "a running portal's database was replaced");
    world.portal().stop();
    world.portal_ref().local(&["db", "restore", file.to_str().unwrap()]).ok();
    world.portal_ref().local(&["db", "check"]).ok();
    world.portal().begin();
}

fn state(world: &World) -> String {
    world.api().get("/hosts/vps-1")["state"].as_str().unwrap().to_owned()
}

/// The host as its own agent shows it.
fn agents_own(world: &World) -> serde_json::Value {
    world.agent_ref().cli(&["status", "--json"]).json()["status"].clone()
}

fn probe(world: &World) -> String {
    let reply = world.api().call("POST", "/hosts/vps-1/probe", None);
    assert!((200..300).contains(&reply.status), "{}: {}", reply.status, reply.text);
    let job: serde_json::Value = serde_json::from_str(&reply.text).unwrap();
    job["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_older_database_is_noticed_and_the_host_resumed() {
    let mut world = World::start("restore");
    let tenant = world.deployed("acme");
    let file = backup(&world);
    // A job that the backup does not know, not over when the database goes back.
    let later = world.tenant("late");
    world.create(&later, 1);
    let lost = world.queue_deploy(&later, 1);
    world.wait_step(&lost, "onboard");

    restore(&mut world, &file);
    world.eventually("the host shows a conflict", SOON, |world| state(world) == "conflict");
    world.eventually("the agent proves its chain", SOON, |world| {
        world.api().get("/hosts/vps-1")["conflict"]["proven"] == json!(true)
    });
    world.eventually("the lost job is over", Duration::from_secs(180), |world| {
        agents_own(world)["jobs"] == json!([])
    });
    let host = world.snapshot();
    // No job goes to it, whatever is asked for.
    let id = probe(&world);
    let status = world.agent_ref().cli(&["status"]).ok();
    assert!(status.contains("CONFLICT"), "{status}");
    assert_eq!(world.job(&id).state, "queued");

    world.cli(["host", "resume", "vps-1"]).ok();
    world.succeeds(&id);
    assert_eq!(state(&world), "enrolled");
    // What the portal does not know any more holds up nothing: not the job above, and not for ever.
    world.eventually("everything is told", Duration::from_secs(180), |world| {
        agents_own(world)["outbox"] == json!(0)
    });
    // A tenant that the portal does not know any more is not touched: absence is no order.
    world.snapshot().assert_same(&host);
    world.assert_live(&tenant, "1");
    world.assert_live(&later, "1");
    world.deploy(&tenant, 1);
}

#[test]
fn a_job_that_was_done_before_the_restore_has_not_brought_the_key_of_now() {
    let mut world = World::start("restore-key");
    let tenant = world.tenant("acme");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);
    world.agent().stop();
    let id = world.queue_deploy(&tenant, release);
    assert_eq!(world.job(&id).state, "queued", "a host that is away was given a job");
    let file = backup(&world);
    world.agent().start();
    world.succeeds(&id);
    let key = |world: &World| {
        let text = std::fs::read_to_string(world.folder(&tenant).join(".env")).unwrap();
        let line = text.lines().find(|line| line.starts_with("FREEHOLD_TENANT_KEY="));
        line.unwrap().to_owned()
    };
    let delivery = |world: &World| {
        let list = world.api().get(&format!("/tenants/{}/keys", tenant.slug));
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
        list["items"][0]["delivery"].clone()
    };
    let lost = key(&world);
    assert_eq!(delivery(&world), "done");

    restore(&mut world, &file);
    world.eventually("the agent proves its chain", SOON, |world| {
        world.api().get("/hosts/vps-1")["conflict"]["proven"] == json!(true)
    });
    world.cli(["host", "resume", "vps-1"]).ok();
    // The same job again, with a key that was made for it now. The host has done it with another.
    world.succeeds(&id);
    assert_eq!((delivery(&world), key(&world)), (json!("pending"), lost.clone()));
    world.deploy(&tenant, release);
    assert_eq!(delivery(&world), "done");
    assert_ne!(key(&world), lost);
}

#[test]
fn an_audit_log_that_was_cut_is_seen_by_what_agents_hold() {
    let mut world = World::start("audit");
    for _ in 0..3 {
        world.succeeds(&probe(&world));
    }
    let said = world.cli(["audit", "verify"]).ok();
    assert!(
        said.contains(
            "3 signed jobs that agents have reported on say the same of the entries up to "
        ),
        "{said}"
    );
    let marks = world.agent_ref().cli(&["journal", "--audit"]).ok();
    assert_eq!(marks.lines().count(), 3, "{marks}");
    let file = world.scratch().path().join("marks");
    std::fs::write(&file, &marks).unwrap();
    let by_marks = ["audit", "verify", "--checkpoints", "0", "--marks", file.to_str().unwrap()];
    world.cli(by_marks).ok();

    // What is left fits together; the jobs that were signed later name entries that are gone.
    world.portal().stop();
    let database = rusqlite::Connection::open(world.portal_ref().database()).unwrap();
    assert!(database.execute("DELETE FROM audit WHERE n > 3", []).unwrap() > 3);
    drop(database);
    world.portal().begin();
    world.cli(["audit", "verify", "--checkpoints", "0"]).ok();
    for args in [&["audit", "verify"][..], &by_marks] {
        let refused = world.cli(args);
        assert!(
            !refused.success() && refused.stderr.contains("the portal's history is"),
            "{args:?}: {refused}"
        );
    }
}

#[test]
fn keys_are_rotated_under_a_host_that_works() {
    let mut world = World::start("rotate");
    let tenant = world.deployed("acme");
    let trust_of =
        |world: &World| world.api().get("/hosts/vps-1")["agent"]["trustVersion"].as_u64().unwrap();
    let file = backup(&world);
    assert_eq!(trust_of(&world), 1);

    world.cli(["key", "rotate"]).ok();
    world.deploy(&tenant, 1);
    world.eventually("the agent holds the new trust document", SOON, |world| trust_of(world) == 2);
    assert_eq!(world.api().get("/keys")["epoch"], 1);

    // A job that was signed with the key that is now in other hands, and not yet taken: the host
    // is away. It is signed anew.
    world.agent().stop();
    let id = probe(&world);
    world.cli(["key", "rotate", "--compromised"]).ok();
    world.agent().start();
    world.succeeds(&id);
    assert_eq!(world.api().get("/keys")["epoch"], 2);
    world.deploy(&tenant, 1);
    world
        .eventually("the agent holds the third trust document", SOON, |world| trust_of(world) == 3);

    // A backup from before both rotations: the keys are not in it, so nothing is forked.
    restore(&mut world, &file);
    let id = probe(&world);
    world.eventually("the host has settled", SOON, |world| {
        if state(world) == "conflict"
            && world.api().get("/hosts/vps-1")["conflict"]["proven"] == json!(true)
        {
            world.cli(["host", "resume", "vps-1"]).ok();
        }
        world.job(&id).rested
    });
    world.succeeds(&id);
    world.deploy(&tenant, 1);
    world.assert_live(&tenant, "1");

    // More rotations than one answer brings documents of.
    world.agent().stop();
    for _ in 0..70 {
        world
            .api()
            .call("POST", "/keys/rotate", Some(&json!({ "compromised": false })))
            .expect(200);
    }
    world.agent().start();
    world.succeeds(&probe(&world));
    world.eventually("the agent holds the last document", SOON, |world| trust_of(world) == 73);
}

#[test]
fn a_backup_is_taken_while_jobs_run_and_is_sound() {
    let world = World::start("backup");
    let tenant = world.tenant("acme");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);
    let id = world.queue_deploy(&tenant, release);
    world.wait_step(&id, "start");
    let file = backup(&world);
    let again = world.portal_ref().local(&["db", "backup", file.to_str().unwrap()]);
    assert!(!again.success() && again.stderr.contains("exists"), "{again}");
    world.succeeds(&id);
    let check = world.portal_ref().local(&["db", "check"]);
    assert!(check.success(), "{check}");
    // Half a file is no backup.
    let bytes = std::fs::read(&file).unwrap();
    let half = world.scratch().path().join("half.db");
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let refused = world.portal_ref().local(&["db", "restore", half.to_str().unwrap()]);
    assert!(!refused.success(), "half a backup was taken: {refused}");
}
