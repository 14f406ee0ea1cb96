//! A portal whose disk is nearly full.

use std::time::Duration;

use freehold_tests::world::{Api, Setup, World, blueprint};
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn logs_are_refused_before_jobs_are() {
    let setup = Setup { data_disk_kib: Some(400 * 1024), ..Setup::default() };
    let world = World::start_with("full", setup);
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let made =
        world.api().call("POST", &format!("/tenants/{}/keys", tenant.slug), None).expect(201);
    let app = Api::new(world.api().url(), made["secret"].as_str().unwrap(), None);
    let lines = json!({ "batchId": "b-1", "logs": [{ "level": "info", "message": "hello" }] });
    let send = || app.call("POST", "/tenant-logs", Some(&lines));
    let probe = || {
        let job = world.api().call("POST", "/hosts/vps-1/probe", None).expect(202);
        world.succeeds(job["id"].as_str().unwrap());
    };

    world.portal_ref().disk().fill(100 * 1024);
    world.eventually("batches are refused", SOON, |_| send().status == 503);
    let refused = send().problem(503);
    assert_eq!(refused.code, "disk_low", "{refused:?}");
    assert!(world.portal_ref().log().contains("the disk is nearly full"));
    probe();

    world.portal_ref().disk().free();
    world.eventually("batches are taken", SOON, |_| send().status == 200);
    // The batch that was sent again and again stands there once.
    let path = format!("/tenants/{}/logs", tenant.slug);
    let found = world.api().get(&path);
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    probe();
}
