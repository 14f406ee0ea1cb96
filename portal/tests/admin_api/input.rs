//! Bad input, and repeated requests.

use serde_json::json;

use crate::harness::World;

#[test]
fn malformed_requests_are_told_what_is_wrong() {
    let world = World::new();
    let hosts = "/api/v1/hosts";
    world.get("/api/v1/nothing").refused(404, "unknown_address");
    world.get("/api/v1/hosts/").refused(404, "unknown_address");
    let method = world.as_owner("PUT", hosts).json(&json!({})).send();
    method.refused(405, "method_not_allowed");
    assert_eq!(method.header("allow"), Some("GET, POST, HEAD"));
    let text = world.as_owner("POST", hosts).header("content-type", "text/plain").body("{}").send();
    text.refused(415, "unsupported_media_type");
    let broken = world
        .as_owner("POST", hosts)
        .header("content-type", "application/json")
        .body("{\"name\": \"vps")
        .send();
    let broken = broken.refused(400, "malformed_json");
    assert!(broken["advice"].as_str().unwrap().contains("line 1, column"), "{broken}");
    world.as_owner("POST", hosts).send().refused(400, "body_missing");
    assert_eq!(world.post(hosts, json!({ "name": "vps-1", "lables": {} })).pointers(), ["/lables"]);
    assert_eq!(world.post(hosts, json!({})).pointers(), ["/name"]);
    let huge = "x".repeat(600 * 1024);
    assert_eq!(world.post(hosts, json!({ "name": huge })).status, 413);
    world.get("/api/v1/jobs/..").refused(404, "not_found");
    world.get("/api/v1/hosts?page=2").refused(400, "bad_query");
    world.get("/api/v1/hosts?limit=100000").refused(400, "bad_query");
    world.get("/api/v1/tenants?status=sleeping").refused(400, "bad_query");
    world.get("/api/v1/tenants?cursor=aG9zdHM6eA").refused(400, "bad_query");
}

#[test]
fn every_answer_has_the_security_headers() {
    let world = World::new();
    for path in ["/api/v1/me", "/api/v1/nothing", "/healthz", "/readyz", "/api/v1/version"] {
        let answer = world.get(path);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
    assert_eq!(world.get("/readyz").text, "ready\n");
    assert!(world.call("GET", "/metrics").send().text.contains("freehold_"));
}

#[test]
fn an_idempotency_key_makes_a_repeat_harmless() {
    let world = World::new();
    let send = |key: &str, name: &str| {
        world
            .as_owner("POST", "/api/v1/hosts")
            .header("idempotency-key", key)
            .json(&json!({ "name": name }))
            .send()
    };
    let first = send("k-1", "vps-1");
    let again = send("k-1", "vps-1");
    assert_eq!(
        (first.expect(201), first.header("etag")),
        (again.expect(201), again.header("etag"))
    );
    assert_eq!(first.header("location"), again.header("location"));
    send("k-1", "vps-2").refused(422, "idempotency_key_reused");
    send("k-2", "vps-1").refused(409, "host_name_taken");
    send("k 3", "vps-1").refused(400, "bad_idempotency_key");
    assert_eq!(world.get("/api/v1/hosts").expect(200)["items"].as_array().unwrap().len(), 1);
    let token = || {
        world
            .as_owner("POST", "/api/v1/tokens")
            .header("idempotency-key", "k-4")
            .json(&json!({ "name": "ci", "role": "viewer" }))
            .send()
    };
    token().expect(201);
    token().refused(409, "already_created");
}
