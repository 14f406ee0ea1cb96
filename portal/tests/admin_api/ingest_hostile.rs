//! Requests that want what is not theirs, or want to break what takes logs.

use serde_json::{Value, json};

use crate::ingest::{Apps, HEALTH, LOGS, USAGE, gzip, lines};

/// A good body for each route.
fn bodies() -> [(&'static str, Value); 4] {
    [
        (LOGS, json!({ "logs": lines(&["x"]) })),
        ("/api/v1/tenant-logs", json!({ "logs": lines(&["x"]) })),
        (USAGE, json!({ "metrics": [{ "name": "a", "value": 1 }] })),
        (HEALTH, json!({ "status": "healthy" })),
    ]
}

#[test]
fn no_tenant_writes_for_another() {
    let apps = Apps::new();
    let other = apps.id("other");
    for (path, good) in bodies() {
        for named in [other.as_str(), "other", "nobody", "", "acme' OR '1'='1", "ACME"] {
            let header = apps.as_acme(path).header("x-tenant-id", named).json(&good).send();
            header.refused(403, "tenant_mismatch");
            for field in ["tenantId", "organizationSlug"] {
                let mut body = good.clone();
                body[field] = json!(named);
                apps.send(path, &body).refused(403, "tenant_mismatch");
            }
        }
        for named in [apps.id("acme").as_str(), "acme", "acme-org"] {
            let mut body = good.clone();
            body["tenantId"] = json!(named);
            apps.as_acme(path).header("x-tenant-id", named).json(&body).send().expect(200);
        }
    }
    assert!(apps.messages("other", "").is_empty());
    assert_eq!(apps.world.get("/api/v1/tenants/other/usage").expect(200)["items"], json!([]));
    assert_eq!(apps.world.get("/api/v1/tenants/other").expect(200)["appHealth"], Value::Null);
    assert_eq!(apps.messages("acme", "").len(), 6);
}

#[test]
fn keys_and_tokens_open_only_their_own_doors() {
    let apps = Apps::new();
    let viewer = apps.world.token("viewer", "viewer");
    for (path, good) in bodies() {
        // So that failures are not counted together.
        apps.world.clock.advance_secs(120);
        apps.world.call("POST", path).json(&good).send().refused(401, "api_key_missing");
        apps.world.as_owner("POST", path).json(&good).send().refused(401, "api_key_malformed");
        let two = apps.as_acme(path).header("x-api-key", &apps.other).json(&good).send();
        two.refused(400, "two_api_keys");
        apps.as_acme(path).header("x-api-key", &apps.acme).json(&good).send().expect(200);
        apps.world.call("GET", path).bearer(&apps.acme).send().refused(405, "method_not_allowed");
    }
    for path in ["/api/v1/tenants/acme/logs", "/api/v1/tenants/acme/usage", "/api/v1/tenants/acme"]
    {
        apps.world.clock.advance_secs(120);
        apps.world.call("GET", path).bearer(&apps.acme).send().refused(401, "token_malformed");
        apps.world.call("GET", path).send().refused(401, "token_missing");
        apps.world.call("GET", path).bearer(&viewer).send().expect(200);
    }
    // Who is limited to a tenant sees that one's only.
    let limited = json!({ "name": "limited", "role": "viewer", "tenant": "other" });
    let limited = apps.world.post("/api/v1/tokens", limited).expect(201);
    let limited = limited["secret"].as_str().unwrap();
    for what in ["/logs", "/usage", "/usage?format=csv", ""] {
        let of = |slug: &str| {
            let path = format!("/api/v1/tenants/{slug}{what}");
            apps.world.call("GET", &path).bearer(limited).send()
        };
        assert_eq!(of("other").status, 200, "{what}");
        of("acme").refused(404, "not_found");
    }
    for path in ["/api/v1/tenants/nobody/logs", "/api/v1/tenants/nobody/usage"] {
        apps.world.get(path).refused(404, "not_found");
    }
    let keys = apps.world.get("/api/v1/tenants/acme/keys").expect(200);
    let id = keys["items"][0]["id"].as_str().unwrap();
    apps.world.as_owner("DELETE", &format!("/api/v1/tenants/acme/keys/{id}")).send().expect(204);
    for (path, good) in bodies() {
        apps.send(path, &good).refused(401, "api_key_revoked");
    }
}

#[test]
fn words_of_sql_are_words() {
    let apps = Apps::new();
    let words = ["'; DROP TABLE log_lines; --", "%' OR 1=1 --", "\u{1b}[31m\"\\", "100%_"];
    apps.send(LOGS, &json!({ "batchId": "'--;DROP", "logs": lines(&words) })).expect(200);
    apps.send(LOGS, &json!({ "logs": lines(&["plain"]) })).expect(200);
    for (text, expected) in
        [("%27%3B%20DROP", 1), ("%25_", 1), ("%25", 2), ("_", 2), ("OR%201=1", 1)]
    {
        let found = apps.messages("acme", &format!("text={text}"));
        assert_eq!(found.len(), expected, "{text}: {found:?}");
    }
    assert_eq!(apps.messages("acme", "").len(), 5);
    let metric = apps.world.get("/api/v1/tenants/acme/usage?metric=%27%20OR%201=1").expect(200);
    assert_eq!(metric["items"], json!([]));
}

#[test]
fn bodies_that_are_too_much() {
    let apps = Apps::new();
    let huge = "x".repeat(1 << 20);
    let answer = apps.send(LOGS, &json!({ "logs": [
        { "level": "info", "message": huge }, { "level": "info", "message": "x", "context": { "a": huge } },
        { "level": huge, "message": "x" }, { "level": "info", "message": "good" },
    ] }));
    // 3 MB is more than a body may have; packed it is not.
    answer.refused(413, "body_too_large");
    let body = json!({ "logs": [
        { "level": "info", "message": huge }, { "level": "info", "message": "x", "context": { "a": huge } },
        { "level": huge, "message": "x" }, { "level": "info", "message": "x", "userId": huge },
        { "level": "info", "message": "x", "ip": huge }, { "level": "info", "message": "good" },
    ] });
    let packed = |path: &str, body: Vec<u8>| {
        apps.as_acme(path)
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .bytes(body)
            .send()
    };
    let answer = packed(LOGS, gzip(body.to_string().as_bytes())).expect(200);
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(1), &json!(5)));
    assert!(answer["refusals"].as_array().unwrap().iter().all(|item| item["reason"] == "too_long"));
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 400_000);
    for path in [LOGS, USAGE, HEALTH] {
        packed(path, bomb.clone()).refused(413, "inflated_too_large");
        packed(path, bomb[..bomb.len() / 2].to_vec()).refused(413, "inflated_too_large");
        let small = gzip(b"{\"logs\":[]}");
        packed(path, small[..small.len() - 3].to_vec()).refused(400, "bad_gzip");
        packed(path, b"{\"logs\":[]}".to_vec()).refused(400, "bad_gzip");
        for coding in ["br", "deflate", "gzip, gzip", "zstd"] {
            let call = apps.as_acme(path).header("content-encoding", coding);
            call.json(&json!({})).send().refused(415, "unsupported_media_type");
        }
        let form = apps.as_acme(path).header("content-type", "text/plain").body("x").send();
        form.refused(415, "unsupported_media_type");
        // Packed, but not said to be.
        let call = apps.as_acme(path).header("content-type", "application/json");
        call.bytes(gzip(b"{}")).send().refused(400, "malformed_json");
        let empty = apps.as_acme(path).header("content-type", "application/json").bytes(Vec::new());
        empty.send().refused(400, "body_missing");
        for deep in ["[", "{\"logs\":", "{\"a\":"] {
            let body = deep.repeat(100_000);
            let call = apps.as_acme(path).header("content-type", "application/json");
            let status = call.body(&body).send().status;
            assert!(status == 400 || status == 422, "{path} {deep} {status}");
        }
        let call = apps.as_acme(path).header("content-type", "application/json");
        call.bytes(b"{\"a\":\"\xff\xfe\"}".to_vec()).send().refused(400, "malformed_json");
    }
    for id in ["x".repeat(101), "a b".into(), "ü".into(), String::new()] {
        let body = json!({ "batchId": id, "logs": lines(&["x"]) });
        assert_eq!(apps.send(LOGS, &body).pointers(), ["/batchId"], "{id}");
    }
    let mut body = json!({ "batchId": "a", "logs": [] });
    let two = apps.as_acme(LOGS).header("idempotency-key", "b").json(&body).send();
    assert_eq!(two.pointers(), ["/batchId"]);
    let long = apps.as_acme(LOGS).header("idempotency-key", &"x".repeat(256)).json(&body).send();
    long.refused(400, "bad_idempotency_key");
    body["logs"] = json!(vec![1; 5001]);
    apps.send(LOGS, &body).refused(413, "too_many_items");
    // Nothing of all this has hurt it.
    assert_eq!(
        apps.send(LOGS, &json!({ "logs": lines(&["still here"]) })).expect(200)["accepted"],
        1
    );
}
