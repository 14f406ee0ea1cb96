//! Hosts and enrollment tokens.

use serde_json::{Value, json};

use crate::harness::World;

#[test]
fn hosts_are_created_listed_changed_and_deleted() {
    let world = World::new();
    for name in ["vps-2", "vps-1", "vps-3"] {
        world
            .post("/api/v1/hosts", json!({ "name": name, "labels": { "region": "eu" } }))
            .expect(201);
    }
    let page = world.get("/api/v1/hosts?limit=2").expect(200);
    let names = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|h| h["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&page), ["vps-1", "vps-2"]);
    let next = world
        .get(&format!("/api/v1/hosts?limit=2&cursor={}", page["next"].as_str().unwrap()))
        .expect(200);
    assert_eq!((names(&next), next.get("next")), (vec!["vps-3".to_owned()], None));

    let host = world.get("/api/v1/hosts/vps-1");
    let etag = host.header("etag").unwrap().to_owned();
    assert_eq!((&host.json()["state"], &host.json()["presence"]), (&json!("new"), &json!("never")));
    let patch = |etag: Option<&str>, body: Value| {
        let call = world.as_owner("PATCH", "/api/v1/hosts/vps-1").json(&body);
        etag.map_or(world.as_owner("PATCH", "/api/v1/hosts/vps-1").json(&body), |etag| {
            call.header("if-match", etag)
        })
        .send()
    };
    patch(None, json!({ "tenantLimit": 3 })).refused(428, "if_match_required");
    let changed = patch(
        Some(&etag),
        json!({ "tenantLimit": 3, "labels": { "region": null, "tier": "gold" } }),
    )
    .expect(200);
    assert_eq!(
        (&changed["tenantLimit"], &changed["labels"]),
        (&json!(3), &json!({ "tier": "gold" }))
    );
    patch(Some(&etag), json!({ "tenantLimit": 4 })).refused(412, "changed_meanwhile");
    assert_eq!(
        patch(Some("*"), json!({ "labels": { "BAD KEY": "x" } })).pointers(),
        ["/labels/BAD KEY"]
    );
    world.as_owner("DELETE", "/api/v1/hosts/vps-3").send().expect(204);
    world.get("/api/v1/hosts/vps-3").refused(404, "not_found");
}

#[test]
fn bad_names_are_refused_with_the_rule() {
    let world = World::new();
    let long = "a".repeat(64);
    for name in
        ["", "a", "VPS", "vps 1", "vps\n1", "vps;1", "..", "-vps", "vps-", "vps--1", "ünix", &long]
    {
        let refused = world.post("/api/v1/hosts", json!({ "name": name }));
        assert_eq!(refused.pointers(), ["/name"], "{name}");
        assert!(refused.json()["errors"][0]["detail"].as_str().unwrap().contains("for example"));
    }
    assert_eq!(
        world.post("/api/v1/hosts", json!({ "name": "vps-1", "tenantLimit": 0 })).pointers(),
        ["/tenantLimit"]
    );
}

#[test]
fn an_enrollment_token_is_one_string_shown_once() {
    let world = World::with_host_and_blueprint();
    let path = "/api/v1/hosts/vps-1/enrollment-tokens";
    let made = world.as_owner("POST", path).send().expect(201);
    let text = made["token"].as_str().unwrap();
    let token: freehold_protocol::enroll::EnrollmentToken = text.parse().unwrap();
    assert_eq!(token.url, "https://portal.example.com");
    let keys = world.get("/api/v1/keys").expect(200);
    assert_eq!(keys["trustDigest"], token.trust.to_string());
    assert_eq!(made["expiresAt"].as_i64().unwrap() - 1_790_000_000_000, 30 * 60_000);
    for ttl in [0, 1441] {
        assert_eq!(world.post(path, json!({ "ttlMinutes": ttl })).pointers(), ["/ttlMinutes"]);
    }
    assert!(!world.get("/api/v1/audit").text.contains(token.secret.expose()));
}

#[test]
fn draining_probing_resuming_and_ports() {
    let world = World::with_tenant();
    assert_eq!(
        world.as_owner("POST", "/api/v1/hosts/vps-1/drain").send().expect(200)["drained"],
        true
    );
    assert_eq!(
        world.as_owner("POST", "/api/v1/hosts/vps-1/undrain").send().expect(200)["drained"],
        false
    );
    world.as_owner("POST", "/api/v1/hosts/vps-1/probe").send().refused(409, "not_enrolled");
    world.as_owner("POST", "/api/v1/hosts/vps-1/resume").send().refused(409, "no_conflict");
    assert_eq!(world.get("/api/v1/hosts/vps-1/ports").expect(200)["ports"], json!([]));
    world.as_owner("DELETE", "/api/v1/hosts/vps-1").send().refused(409, "host_in_use");
}

#[test]
fn revoking_asks_for_the_name_and_for_an_agent() {
    let world = World::with_tenant();
    let path = "/api/v1/hosts/vps-1/revoke";
    for body in [json!({}), json!({ "confirm": "vps-2" })] {
        assert_eq!(world.post(path, body).pointers(), ["/confirm"]);
    }
    world.as_owner("POST", path).send().expect(422);
    world.post(path, json!({ "confirm": "vps-1" })).refused(409, "not_enrolled");
    world.post(path, json!({ "confirm": "vps-1", "force": true })).expect(422);
    let operator = world.token("op", "operator");
    let body = json!({ "confirm": "vps-1" });
    world.call("POST", path).bearer(&operator).json(&body).send().refused(403, "forbidden");
}
