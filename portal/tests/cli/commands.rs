//! Commands end to end: what they send, print and exit with.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use super::fake::{Fake, World};

const ID: &str = "01890000-0000-7000-8000-00000000abcd";

fn me() -> Value {
    json!({
        "token": { "id": ID, "name": "anna", "role": "owner", "hint": "fhk_Ab…yz",
                   "createdBy": "system", "createdAt": 0 },
        "actor": "token:anna", "role": "owner"
    })
}

fn job(state: &str, rested: bool) -> Value {
    json!({
        "id": ID, "kind": "deploy_tenant", "state": state, "rested": rested, "host": "web-1",
        "hostId": ID, "tenant": "acme", "attempt": 1, "maxAttempts": 3, "actor": "token:anna",
        "undoing": false, "notBefore": 0, "expiresAt": 0, "generation": 1, "createdAt": 0,
        "updatedAt": 0
    })
}

fn events(state: &str, rested: bool, steps: &[(&str, &str)]) -> Value {
    let events: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(n, (step, what))| json!({ "attempt": 1, "n": n, "at": 0, "step": step, "what": what }))
        .collect();
    json!({ "events": events, "next": "1-9", "more": false, "state": state, "rested": rested,
            "attempt": 1, "undoing": false })
}

fn host(name: &str) -> Value {
    json!({ "id": ID, "name": name, "state": "enrolled", "presence": "online", "labels": {},
            "tenants": 2, "drained": false, "generation": 7, "createdAt": 0, "updatedAt": 0 })
}

fn ok(body: Value) -> (u16, String) {
    (200, body.to_string())
}

#[test]
fn login_checks_the_token_and_stores_it_for_its_owner_alone() {
    let fake = Fake::start(vec![ok(me()), ok(me())]);
    let world = World::new();
    let ran = world.run(None, &["login", &fake.url], "fhk_secret\n");
    assert_eq!((ran.code, ran.out.contains("token:anna (owner)")), (0, true), "{ran:?}");
    let file = world.home.path().join(".config/freehold/remote.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let ran = world.run(None, &["whoami"], "");
    assert_eq!((ran.code, ran.out.contains("anna")), (0, true), "{ran:?}");
    assert!(fake.asked()[1].headers.contains(&"authorization: bearer fhk_secret".into()));
    let ran = world.run(None, &["logout"], "");
    assert_eq!((ran.code, file.exists()), (0, false), "{ran:?}");
    let ran = world.run(None, &["whoami"], "");
    assert_eq!((ran.code, ran.err.contains("freehold login")), (4, true), "{ran:?}");
}

#[test]
fn a_refused_token_is_not_stored() {
    let problem = json!({ "type": "about:blank", "title": "Unauthorized", "status": 401,
        "code": "bad_token", "detail": "the token is not valid", "requestId": "r-17" });
    let fake = Fake::start(vec![(401, problem.to_string())]);
    let world = World::new();
    let ran = world.run(None, &["login", &fake.url], "fhk_wrong\n");
    assert_eq!(ran.code, 4);
    assert!(ran.err.starts_with("error: the token is not valid\n"), "{}", ran.err);
    assert!(ran.err.contains("request: r-17"), "{}", ran.err);
    assert!(!world.home.path().join(".config/freehold").exists());
}

#[test]
fn lists_follow_their_cursor_to_the_end() {
    let fake = Fake::start(vec![
        ok(json!({ "items": [host("web-1"), host("web-2")], "next": "abc=" })),
        ok(json!({ "items": [host("web-3")] })),
    ]);
    let ran = World::new().run(Some(&fake), &["host", "list"], "");
    assert_eq!((ran.code, ran.out.lines().count()), (0, 4), "{ran:?}");
    assert!(ran.out.starts_with("NAME   STATE"), "{}", ran.out);
    assert_eq!(fake.asked()[1].line, "GET /api/v1/hosts?limit=200&cursor=abc%3D HTTP/1.1");
}

#[test]
fn a_limit_is_kept_and_json_is_an_array() {
    let fake = Fake::start(vec![ok(json!({ "items": [host("web-1")], "next": "abc" }))]);
    let ran = World::new().run(Some(&fake), &["host", "list", "--limit", "1", "--json"], "");
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, printed[0]["name"].as_str()), (0, Some("web-1")));
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn a_change_names_the_version_that_it_is_based_on() {
    let fake = Fake::start(vec![ok(host("web-1")), ok(host("web-1"))]);
    let args = ["host", "update", "web-1", "--label", "a=b", "--remove-label", "c"];
    let ran = World::new().run(Some(&fake), &args, "");
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = &fake.asked()[1];
    assert_eq!(asked.line, "PATCH /api/v1/hosts/web-1 HTTP/1.1");
    assert!(asked.headers.contains(&"if-match: \"7\"".into()), "{asked:?}");
    assert_eq!(asked.body, r#"{"labels":{"a":"b","c":null}}"#);
}

#[test]
fn refused_fields_are_shown_with_their_exit_code() {
    let problem = json!({ "type": "about:blank", "title": "Invalid", "status": 422,
        "code": "invalid", "detail": "2 fields were refused", "advice": "correct them",
        "errors": [{ "pointer": "/slug", "detail": "use a-z" }, { "pointer": "/domain", "detail": "no" }] });
    let fake = Fake::start(vec![(422, problem.to_string()), (422, problem.to_string())]);
    let world = World::new();
    let args =
        ["tenant", "add", "A!", "--name", "A", "--domain", "x", "--host", "h", "--blueprint", "b"];
    let ran = world.run(Some(&fake), &args, "");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            7,
            "error: 2 fields were refused\n  /slug: use a-z\n  /domain: no\n  hint: correct them\n"
        )
    );
    assert!(fake.asked()[0].headers.iter().any(|header| header.starts_with("idempotency-key: ")));
    let json_args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
    let ran = world.run(Some(&fake), &json_args, "");
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["exitCode"]),
        (&json!("invalid"), &json!(7))
    );
}

#[test]
fn data_is_deleted_only_when_the_name_is_given_again() {
    let fake = Fake::start(vec![ok(job("queued", false))]);
    let world = World::new();
    for args in [
        &["tenant", "remove", "acme"][..],
        &["tenant", "remove", "acme", "--delete-data"],
        &["tenant", "remove", "acme", "--delete-data", "--yes-delete", "acne"],
    ] {
        let ran = world.run(Some(&fake), args, "acme\n");
        assert_eq!(ran.code, 8, "{ran:?}");
    }
    assert!(fake.asked().is_empty());
    let args = ["tenant", "remove", "acme", "--delete-data", "--yes-delete", "acme"];
    let ran = world.run(Some(&fake), &args, "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fake.asked()[0].body, r#"{"data":"delete","confirm":"acme"}"#);
}

#[test]
fn a_job_is_followed_over_a_restart_of_the_portal() {
    let fake = Fake::start(vec![
        ok(job("queued", false)),
        ok(events("running", false, &[("preflight", "step_started"), ("preflight", "step_done")])),
        (0, String::new()),
        ok(events("rolled_back", true, &[("start", "step_failed")])),
        ok(job("rolled_back", true)),
    ]);
    let ran = World::new().run(Some(&fake), &["tenant", "deploy", "acme", "--watch"], "");
    assert_eq!(ran.code, 10, "{ran:?}");
    assert!(ran.out.contains("preflight done\n"), "{}", ran.out);
    assert!(ran.out.contains("failed; every change was undone"), "{}", ran.out);
    assert!(ran.err.contains("cannot be reached") && ran.err.contains("is back"), "{}", ran.err);
    let asked = fake.asked();
    let target = format!("GET /api/v1/jobs/{ID}/events?waitSeconds=25");
    assert_eq!(asked[1].line, format!("{target} HTTP/1.1"));
    assert_eq!(asked[3].line, format!("{target}&after=1-9 HTTP/1.1"));
}

#[test]
fn a_job_is_found_by_the_end_of_its_identifier() {
    let page = json!({ "items": [job("succeeded", true)] });
    let fake = Fake::start(vec![ok(page), ok(job("succeeded", true))]);
    let ran = World::new().run(Some(&fake), &["job", "show", "00abcd"], "");
    assert_eq!((ran.code, ran.out.contains("succeeded")), (0, true), "{ran:?}");
    assert_eq!(fake.asked()[1].line, format!("GET /api/v1/jobs/{ID} HTTP/1.1"));
}

#[test]
fn a_portal_that_is_not_there_is_named() {
    let world = World::new();
    let ran = world.run(None, &["--url", "http://127.0.0.1:1", "host", "list"], "");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("the portal http://127.0.0.1:1 cannot be reached"), "{}", ran.err);
    let ran = world.run(None, &["--url", "http://10.0.0.1", "host", "list"], "");
    assert_eq!((ran.code, ran.err.contains("--insecure-http")), (2, true), "{ran:?}");
}

#[test]
fn a_blueprint_is_checked_without_a_portal() {
    let world = World::new();
    let ran = world.run(None, &["blueprint", "lint", "-"], "services: {}\nprivileged: true\n");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.starts_with("stdin:"), "{}", ran.out);
    assert!(ran.err.contains("problem"), "{}", ran.err);
}

#[test]
fn completions_are_printed() {
    let ran = World::new().run(None, &["completions", "bash"], "");
    assert_eq!((ran.code, ran.out.contains("freehold")), (0, true));
}

#[test]
fn a_host_is_given_up_only_when_its_name_is_given_again() {
    let mut revoked = host("web-1");
    revoked["state"] = json!("revoked");
    revoked["revokedAt"] = json!(1);
    let fake = Fake::start(vec![ok(revoked.clone()), ok(revoked)]);
    let world = World::new();
    for args in [&["host", "revoke", "web-1"][..], &["host", "revoke", "web-1", "--yes", "web-2"]] {
        let ran = world.run(Some(&fake), args, "web-1\n");
        assert_eq!(ran.code, 8, "{ran:?}");
    }
    assert!(fake.asked().is_empty());
    let ran = world.run(Some(&fake), &["host", "revoke", "web-1", "--yes", "web-1"], "");
    assert_eq!((ran.code, ran.out.contains("is revoked")), (0, true), "{ran:?}");
    let asked = &fake.asked()[0];
    assert_eq!(asked.line, "POST /api/v1/hosts/web-1/revoke HTTP/1.1");
    assert_eq!(asked.body, r#"{"confirm":"web-1"}"#);
    let ran = world.run(Some(&fake), &["host", "show", "web-1"], "");
    assert!(
        ran.out.contains("revoked (") && ran.out.contains("freehold host token web-1"),
        "{ran:?}"
    );
}

#[test]
fn a_tenant_of_a_lost_host_is_not_shown_as_well() {
    let tenant = json!({ "id": ID, "slug": "acme", "name": "Acme", "domain": "acme.example.com",
        "host": "web-1", "blueprint": "shop", "releaseWanted": 1, "releaseDeployed": 1,
        "status": "active", "settings": {}, "onboarded": true, "certificate": { "source": "acme" },
        "endpoints": {}, "ports": {}, "unknownSince": 0, "credentials": "none", "generation": 1,
        "createdBy": "x", "createdAt": 0, "updatedAt": 0 });
    let fake = Fake::start(vec![ok(json!({ "items": [tenant] })), ok(tenant)]);
    let world = World::new();
    let ran = world.run(Some(&fake), &["tenant", "list"], "");
    assert!(ran.out.contains("unknown (active before)"), "{ran:?}");
    let ran = world.run(Some(&fake), &["tenant", "show", "acme"], "");
    assert!(ran.out.contains("freehold tenant forget acme"), "{ran:?}");
}
