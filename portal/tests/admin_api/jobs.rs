//! Jobs: looking, cancelling, trying again.

use std::time::{Duration, Instant};

use freehold_protocol::{
    ids::JobId,
    report::{Event, EventKind},
};
use serde_json::json;

use crate::harness::World;

fn deployed(world: &World) -> String {
    let answer = world.as_owner("POST", "/api/v1/tenants/acme/deploy").send();
    let job = answer.expect(202);
    assert_eq!((&job["state"], &job["kind"]), (&json!("queued"), &json!("deploy_tenant")));
    let id = job["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/api/v1/jobs/{id}").as_str()));
    id
}

#[test]
fn a_job_is_queued_cancelled_retried_and_deleted() {
    let world = World::with_tenant();
    let id = deployed(&world);
    let job = format!("/api/v1/jobs/{id}");
    assert_eq!(world.get("/api/v1/tenants/acme").expect(200)["openJob"], json!(id));
    world.as_owner("POST", "/api/v1/tenants/acme/deploy").send().refused(409, "tenant_busy");
    world.as_owner("DELETE", "/api/v1/tenants/acme").send().refused(409, "tenant_busy");
    world.as_owner("DELETE", &job).send().refused(409, "cannot_delete");
    world.as_owner("POST", &format!("{job}/retry")).send().refused(409, "cannot_retry");
    world.as_owner("POST", &format!("{job}/resume")).send().refused(409, "not_stuck");
    let list = world
        .get("/api/v1/jobs?state=queued&host=vps-1&tenant=acme&kind=deploy_tenant")
        .expect(200);
    assert_eq!(list["items"][0]["id"], json!(id));
    assert_eq!(world.get("/api/v1/jobs?state=dead").expect(200)["items"], json!([]));

    let cancelled =
        world.post(&format!("{job}/cancel"), json!({ "reason": "wrong day" })).expect(202);
    assert_eq!(
        (&cancelled["state"], &cancelled["failure"]["class"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    assert!(cancelled["failure"]["what"].as_str().unwrap().contains("wrong day"));
    assert_eq!(world.get("/api/v1/tenants/acme").expect(200)["status"], "cancelled");
    world.as_owner("POST", &format!("{job}/cancel")).send().refused(409, "job_at_rest");

    let retried = world.as_owner("POST", &format!("{job}/retry")).send().expect(202);
    assert_eq!((&retried["state"], retried.get("failure")), (&json!("queued"), None));
    assert_eq!(world.get("/api/v1/tenants/acme").expect(200)["status"], "pending");
    world.as_owner("POST", &format!("{job}/cancel")).send().expect(202);
    let second = deployed(&world);
    world.as_owner("POST", &format!("/api/v1/jobs/{second}/cancel")).send().expect(202);
    // The newer one never came to anything, so the older one may be tried again.
    world.as_owner("POST", &format!("{job}/retry")).send().expect(202);
    world.as_owner("POST", &format!("{job}/cancel")).send().expect(202);
    world.as_owner("DELETE", &job).send().expect(204);
    world.get(&job).refused(404, "not_found");
}

#[test]
fn the_setting_that_a_deployment_lacks_is_named() {
    let world = World::with_tenant();
    world
        .as_owner("PATCH", "/api/v1/tenants/acme")
        .header("if-match", "*")
        .json(&json!({ "settings": { "GREETING": null } }))
        .send()
        .expect(200);
    let refused = world.as_owner("POST", "/api/v1/tenants/acme/deploy").send();
    assert_eq!(refused.pointers(), ["/settings/GREETING"]);
    assert_eq!(
        world.post("/api/v1/tenants/acme/deploy", json!({ "release": 9 })).pointers(),
        ["/release"]
    );
}

#[test]
fn events_are_read_from_a_place_and_waited_for() {
    let world = World::with_tenant();
    let id = deployed(&world);
    let job: JobId = id.parse().unwrap();
    let path = format!("/api/v1/jobs/{id}/events");
    let none = world.get(&path).expect(200);
    assert_eq!((&none["events"], &none["next"]), (&json!([]), &json!("0.0")));
    let add = |n: u64, what: EventKind| {
        let event = Event {
            n,
            at: world.portal.db.now(),
            step: "start".into(),
            what,
            message: format!("line {n}"),
        };
        world
            .portal
            .db
            .write(move |tx| freehold_portal::db::events::append(tx, job, 1, &event))
            .unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            add(1, EventKind::StepStarted);
        });
        let begun = Instant::now();
        let found = world.get(&format!("{path}?after=0.0&waitSeconds=20")).expect(200);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(
            (&found["events"][0]["message"], &found["next"]),
            (&json!("line 1"), &json!("1.1"))
        );
    });
    add(2, EventKind::StepDone);
    let rest = world.get(&format!("{path}?after=1.1")).expect(200);
    assert_eq!(
        (&rest["events"][0]["n"], &rest["next"], &rest["more"]),
        (&json!(2), &json!("1.2"), &json!(false))
    );
    let steps = world.get(&format!("/api/v1/jobs/{id}")).expect(200);
    assert_eq!(
        (&steps["steps"][0]["step"], &steps["steps"][0]["state"]),
        (&json!("start"), &json!("done"))
    );
    world.get(&format!("{path}?after=x")).refused(400, "bad_query");
    world.get(&format!("{path}?waitSeconds=31")).refused(400, "bad_query");
}
