//! Volumes that an image declares and a blueprint does not mount: nobody could keep or find them.

use freehold_protocol::failure::FailureClass;
use freehold_tests::world::{World, blueprint, docker};

const DATA: &str = "- db-data:/var/lib/postgresql/data";

#[test]
fn an_unnamed_volume_is_refused() {
    let world = World::start("volumes");
    let tenant = world.tenant("acme");
    let before = world.snapshot();
    // The data elsewhere: the image goes on declaring a volume at its own place.
    let elsewhere = [
        (DATA, "- db-data:/srv/postgresql"),
        ("POSTGRES_USER: app", "POSTGRES_USER: app\n      PGDATA: /srv/postgresql/data"),
    ];
    let bare = world.push(&blueprint(&elsewhere));
    world.create(&tenant, bare);
    let id = world.queue_deploy(&tenant, bare);
    let job = world.wait_job(&id);
    assert_eq!(job.steps.last().unwrap().step, "pull-images", "{:#?}", job.failure);
    let failure = job.failure.unwrap();
    assert_eq!(failure.class, FailureClass::Request, "{failure:#?}");
    for words in ["/var/lib/postgresql/data", "service db"] {
        assert!(failure.what.contains(words), "{failure:#?}");
    }
    assert!(failure.advice.contains("tmpfs: [/var/lib/postgresql/data]"), "{failure:#?}");
    world.snapshot().assert_same(&before);
}

/// The snapshot that every test compares by sees a volume that nothing of ours names.
#[test]
fn an_unnamed_volume_that_stays_behind_is_seen() {
    let world = World::start("unnamed");
    let before = world.snapshot();
    let name = format!("stranger-{}_x", world.tag());
    let image = "freehold-sample/postgres:15";
    docker(["run", "--name", &name, "--entrypoint", "/bin/true", image]).ok();
    docker(["container", "rm", &name]).ok();
    world.eventually("the snapshot differs", std::time::Duration::from_secs(30), |world| {
        let volumes = world.snapshot();
        volumes != before && volumes.names("volume").len() == 1
    });
    // The end of the world takes it away.
}
