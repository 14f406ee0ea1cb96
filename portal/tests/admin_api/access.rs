//! Tokens and roles.

use serde_json::json;

use crate::harness::World;

#[test]
fn without_a_valid_token_nothing_but_the_version_is_told() {
    let world = World::new();
    assert_eq!(world.call("GET", "/api/v1/version").send().expect(200)["protocol"], 1);
    let anonymous = world.call("GET", "/api/v1/hosts").send();
    anonymous.refused(401, "token_missing");
    assert!(anonymous.header("www-authenticate").is_some());
    // A last character that surely is another one: the token itself may end in `x`.
    let (body, last) = world.owner.split_at(world.owner.len() - 1);
    let wrong = format!("{body}{}", if last == "x" { "y" } else { "x" });
    world.call("GET", "/api/v1/me").bearer(&wrong).send().refused(401, "token_malformed");
    world
        .call("GET", "/api/v1/me")
        .header("authorization", "Basic eA==")
        .send()
        .refused(401, "token_missing");
    let me = world.get("/api/v1/me").expect(200);
    assert_eq!(
        (&me["actor"], &me["token"]["role"]),
        (&json!("token:first-owner"), &json!("owner"))
    );
    assert!(!me.to_string().contains(&world.owner));
}

#[test]
fn ten_failures_end_in_429_and_time_heals_and_a_good_token_is_answered_all_the_while() {
    let world = World::new();
    let revoked =
        world.post("/api/v1/tokens", json!({ "name": "old", "role": "viewer" })).expect(201);
    let id = revoked["token"]["id"].as_str().unwrap();
    world.as_owner("DELETE", &format!("/api/v1/tokens/{id}")).send().expect(204);
    let cron =
        || world.call("GET", "/api/v1/me").bearer(revoked["secret"].as_str().unwrap()).send();
    for _ in 0..10 {
        cron().refused(401, "token_revoked");
    }
    let refused = cron();
    refused.refused(429, "too_many_failures");
    assert_eq!(refused.header("retry-after"), Some("7"));
    world.call("GET", "/api/v1/me").send().refused(429, "too_many_failures");
    world.call("GET", "/api/v1/me").bearer("fhk_x").send().refused(429, "too_many_failures");
    // The script that was forgotten locks nobody else out behind the same address.
    world.get("/api/v1/me").expect(200);
    world.clock.advance_secs(6);
    cron().refused(401, "token_revoked");
    cron().refused(429, "too_many_failures");
    world.clock.advance_secs(61);
    cron().refused(401, "token_revoked");
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let world = World::new();
    world.get("/api/v1/me").expect(200);
    for _ in 0..11 {
        world.call("GET", "/api/v1/me").send();
    }
    world.clock.step_back_secs(3_600);
    world.call("GET", "/api/v1/me").send().refused(429, "too_many_failures");
    // A token's whole minute counts as used up, and not the hour.
    let wait = world.get("/api/v1/me");
    wait.refused(429, "too_many_requests");
    assert_eq!(wait.header("retry-after"), Some("1"));
    world.clock.advance_secs(7);
    world.call("GET", "/api/v1/me").send().refused(401, "token_missing");
    world.get("/api/v1/me").expect(200);
}

#[test]
fn tokens_are_shown_once_expire_and_are_revoked() {
    let world = World::new();
    let made = world
        .post("/api/v1/tokens", json!({ "name": "ci", "role": "viewer", "expiresInDays": 1 }))
        .expect(201);
    let (secret, id) = (made["secret"].as_str().unwrap(), made["token"]["id"].as_str().unwrap());
    assert!(secret.starts_with("fhk_") && secret.len() == 40, "{secret}");
    assert!(!world.get("/api/v1/tokens").text.contains(secret));
    world.call("GET", "/api/v1/hosts").bearer(secret).send().expect(200);
    world
        .call("POST", "/api/v1/hosts")
        .bearer(secret)
        .json(&json!({ "name": "vps-1" }))
        .send()
        .refused(403, "forbidden");
    world
        .post("/api/v1/tokens", json!({ "name": "ci", "role": "viewer" }))
        .refused(409, "name_taken");
    world.clock.advance_secs(86_400);
    world.call("GET", "/api/v1/hosts").bearer(secret).send().refused(401, "token_expired");
    world.as_owner("DELETE", &format!("/api/v1/tokens/{id}")).send().expect(204);
    world.call("GET", "/api/v1/hosts").bearer(secret).send().refused(401, "token_revoked");
    assert_eq!(
        world.post("/api/v1/tokens", json!({ "name": "x y", "role": "viewer" })).pointers(),
        ["/name"]
    );
    assert_eq!(
        world.post("/api/v1/tokens", json!({ "name": "x", "role": "king" })).pointers(),
        ["/role"]
    );
    assert_eq!(
        world
            .post("/api/v1/tokens", json!({ "name": "x", "role": "viewer", "expiresInDays": 0 }))
            .pointers(),
        ["/expiresInDays"]
    );
}

#[test]
fn the_last_owner_cannot_be_revoked() {
    let world = World::new();
    let me = world.get("/api/v1/me").expect(200);
    let path = format!("/api/v1/tokens/{}", me["token"]["id"].as_str().unwrap());
    world.as_owner("DELETE", &path).send().refused(409, "last_owner");
    let other = world.token("boss", "owner");
    world.call("DELETE", &path).bearer(&other).send().expect(204);
    world.get("/api/v1/me").refused(401, "token_revoked");
}

#[test]
fn every_role_is_held_to_its_permissions() {
    let world = World::with_tenant();
    let cases = [
        ("GET", "/api/v1/tenants", [200, 200, 200]),
        ("POST", "/api/v1/tenants/acme/check", [403, 409, 403]),
        ("POST", "/api/v1/hosts/vps-1/drain", [403, 200, 403]),
        ("POST", "/api/v1/hosts/vps-1/enrollment-tokens", [403, 403, 403]),
        ("GET", "/api/v1/audit", [403, 403, 403]),
        ("GET", "/api/v1/tokens", [403, 403, 403]),
        ("POST", "/api/v1/keys/rotate", [403, 403, 403]),
        ("GET", "/api/v1/keys", [200, 200, 200]),
    ];
    let tokens = ["viewer", "operator", "approver"].map(|role| world.token(role, role));
    for (method, path, expected) in cases {
        for (token, expected) in tokens.iter().zip(expected) {
            let answer = world.call(method, path).bearer(token).send();
            assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
        }
    }
}

#[test]
fn keys_are_shown_and_rotated() {
    let world = World::new();
    let before = world.get("/api/v1/keys").expect(200);
    assert_eq!((&before["trustVersion"], &before["epoch"]), (&json!(1), &json!(1)));
    let after = world.post("/api/v1/keys/rotate", json!({ "compromised": true })).expect(200);
    assert_eq!((&after["trustVersion"], &after["epoch"]), (&json!(2), &json!(2)));
    assert_ne!(before["jobKeys"], after["jobKeys"]);
    world.post("/api/v1/keys/rotate", json!({})).refused(422, "invalid");
}
