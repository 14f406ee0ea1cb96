//! What tenants' apps ask about licenses, as they ask it.

use std::{
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use freehold_portal::config::Config;
use freehold_portal::domain::validation::ValidationCode;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, World, acme},
    licensing::{DAY, NOW, license, with_customer},
};

const VALIDATE: &str = "/api/licenses/validate";

/// A world with a tenant `acme` that has a license, and what its app knows.
pub struct App {
    pub world: World,
    pub customer: String,
    pub license: String,
    pub key: String,
    pub api_key: String,
}

impl App {
    pub fn new(more: Value) -> Self {
        Self::of(World::with_host_and_blueprint(), more)
    }

    /// With other settings of the portal.
    pub fn with(change: impl FnOnce(&mut Config), more: Value) -> Self {
        let world = World::with(change);
        world.add_host_and_blueprint();
        Self::of(world, more)
    }

    fn of(world: World, more: Value) -> Self {
        let customer = with_customer(&world);
        let (license, key) = license(&world, &customer, more);
        let mut body = acme();
        body["license"] = json!(license);
        world.post("/api/v1/tenants", body).expect(201);
        let api_key = api_key(&world, "acme");
        Self { world, customer, license, key, api_key }
    }

    pub fn question(&self) -> Value {
        json!({ "licenseKey": self.key, "organizationId": "acme-org", "feature": null, "action": null })
    }

    pub fn ask_with(&self, body: &Value) -> Answer {
        ask(&self.world, &self.api_key, body)
    }

    pub fn ask(&self) -> Value {
        self.ask_with(&self.question()).expect(200)
    }

    pub fn code_of(&self, field: &str, value: Value) -> String {
        let mut body = self.question();
        body[field] = value;
        code(&self.ask_with(&body).expect(200))
    }

    fn code(&self) -> String {
        code(&self.ask())
    }

    pub fn do_to_license(&self, what: &str, body: Value) {
        self.world.post(&format!("/api/v1/licenses/{}/{what}", self.license), body).expect(200);
    }

    fn patch(&self, path: &str, body: &Value) {
        self.world.as_owner("PATCH", path).header("if-match", "*").json(body).send().expect(200);
    }
}

fn code(answer: &Value) -> String {
    answer["code"].as_str().unwrap().to_owned()
}

fn api_key(world: &World, slug: &str) -> String {
    let made = world.as_owner("POST", &format!("/api/v1/tenants/{slug}/keys")).send().expect(201);
    made["secret"].as_str().unwrap().to_owned()
}

fn ask(world: &World, api_key: &str, body: &Value) -> Answer {
    world.call("POST", VALIDATE).header("x-api-key", api_key).json(body).send()
}

#[test]
fn the_answer_is_what_existing_apps_expect() {
    let app = App::new(json!({ "expiresAt": NOW + 30 * DAY }));
    for path in [VALIDATE, "/api/v1/licenses/validate"] {
        let answer = app
            .world
            .call("POST", path)
            .header("x-api-key", &app.api_key)
            .json(&json!({
                "licenseKey": app.key.to_lowercase(), "organizationId": "acme-org", "feature": "export",
                "action": "read", "appVersion": "1.2.3", "nested": { "ignored": [1, 2] },
            }))
            .send();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let mut body = answer.expect(200);
        assert!(body["lease"].as_str().unwrap().split('.').count() == 3);
        body["lease"] = json!("…");
        assert_eq!(
            body,
            json!({
                "valid": true, "code": "VALID", "lease": "…",
                "license": {
                    "status": "pending_deployment", "tier": "pro", "products": ["ats"],
                    "features": ["export", "sso"], "limits": { "jobs": 5, "maxApiKeys": 2, "maxUsers": 25 },
                    "expiresAt": NOW + 30 * DAY,
                },
            })
        );
    }
    let missing = json!({ "licenseKey": app.key, "organizationId": "acme-org" });
    assert_eq!(code(&app.ask_with(&missing).expect(200)), "VALID");
    let escaped = app
        .world
        .call("POST", VALIDATE)
        .header("x-api-key", &app.api_key)
        .header("content-type", "application/json")
        .body(&format!(r#"{{"licenseKey":"{}","organizationId":"acme\u002dorg"}}"#, app.key))
        .send();
    assert_eq!(code(&escaped.expect(200)), "VALID");
}

#[test]
fn every_code_is_answered_and_documented_in_the_order_of_the_checks() {
    let app = App::new(json!({ "expiresAt": NOW + 30 * DAY }));
    let other = {
        let made = app.world.post("/api/v1/customers", json!({ "name": "Beta" })).expect(201);
        license(&app.world, made["id"].as_str().unwrap(), json!({})).1
    };
    let unknown = freehold_portal::domain::license_key::LicenseKey::from_random(&[7; 23]).to_text();
    let mut seen = vec![
        app.code_of("licenseKey", json!(&app.key[..20])),
        app.code_of("licenseKey", json!(unknown)),
        app.code_of("licenseKey", json!(other)),
        app.code_of("organizationId", json!("acme-Org")),
    ];
    // Answers about what is not the asker's own tell nothing about it.
    let mut body = app.question();
    body["licenseKey"] = json!(other);
    let answer = app.ask_with(&body).expect(200);
    assert_eq!(
        (&answer["license"], &answer["lease"], &answer["valid"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    assert!(answer["reason"].is_string());

    let later = [
        app.code_of("feature", json!("none-such")),
        app.code_of("action", json!("product:")),
        app.code_of("action", json!("product:crm")),
        app.code_of("action", json!("limit:jobs:6")),
    ];
    assert_eq!(app.code_of("action", json!("limit:jobs:5")), "VALID");
    assert_eq!(app.code_of("feature", json!("")), "VALID");
    let mut body = app.question();
    body["feature"] = json!("none-such");
    let no = app.ask_with(&body).expect(200);
    assert_eq!((&no["valid"], no["license"]["tier"].as_str()), (&json!(false), Some("pro")));
    assert!(no["lease"].is_string(), "the license itself is good");
    let valid = app.code();
    app.world.clock.advance_secs(30 * 86_400);
    let grace = app.ask();
    assert_eq!((&grace["valid"], &grace["license"]["status"]), (&json!(true), &json!("expired")));
    app.world.clock.advance_secs(7 * 86_400);
    let expired = app.ask();
    assert_eq!((&expired["valid"], &expired["lease"]), (&json!(false), &Value::Null));
    app.do_to_license("suspend", json!({ "reason": "unpaid" }));
    let suspended = app.code();
    app.do_to_license("revoke", json!({ "reason": "over" }));
    seen.extend([app.code(), suspended, code(&expired)]);
    seen.extend(later);
    seen.extend([code(&grace), valid]);

    let page = include_str!("../../../docs/licenses.md");
    let documented: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once("` | "))
        .filter(|(_, rest)| rest.starts_with("yes |") || rest.starts_with("no |"))
        .map(|(code, _)| code.to_owned())
        .collect();
    assert_eq!(seen, documented, "docs/licenses.md lists the codes in the order of the checks");
    let mut all: Vec<&str> = ValidationCode::ALL.iter().map(|code| code.as_str()).collect();
    let mut sorted: Vec<&str> = documented.iter().map(String::as_str).collect();
    all.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(sorted, all);
    for code in ValidationCode::ALL {
        let (word, lease) = (
            if code.is_valid() { "yes" } else { "no" },
            if code.is_usable() { "yes" } else { "no" },
        );
        assert!(page.contains(&format!("| `{code}` | {word} | {lease} |")), "{code}");
    }
    let metrics = app.world.call("GET", "/metrics").send().text;
    assert!(metrics.contains("freehold_license_checks_total{code=\"SUSPENDED\"} 1\n"), "{metrics}");
}

#[test]
fn a_change_is_seen_by_the_next_question_after_its_answer() {
    let app = App::new(json!({}));
    assert_eq!(app.code(), "VALID");
    app.do_to_license("suspend", json!({ "reason": "unpaid" }));
    assert_eq!(app.code(), "SUSPENDED");
    app.do_to_license("reinstate", json!({}));
    assert_eq!(app.code(), "VALID");

    app.patch("/api/v1/plans/pro", &json!({ "features": ["new"], "limits": { "jobs": 9 } }));
    assert_eq!(app.code_of("feature", json!("export")), "FEATURE_NOT_LICENSED");
    assert_eq!(app.code_of("action", json!("limit:jobs:9")), "VALID");
    app.patch(
        &format!("/api/v1/licenses/{}", app.license),
        &json!({ "overrides": { "featuresAdded": ["export"], "limits": { "jobs": 1 } } }),
    );
    assert_eq!(app.code_of("feature", json!("export")), "VALID");
    assert_eq!(app.code_of("action", json!("limit:jobs:2")), "LIMIT_EXCEEDED");

    let customer = format!("/api/v1/customers/{}", app.customer);
    app.patch(&customer, &json!({ "organizationId": "acme-group" }));
    assert_eq!(app.code(), "ORGANIZATION_MISMATCH");
    app.patch(&customer, &json!({ "organizationId": "acme-org" }));
    assert_eq!(app.code(), "VALID");

    app.patch("/api/v1/tenants/acme", &json!({ "license": null }));
    assert_eq!(app.code(), "KEY_MISMATCH");
    app.patch("/api/v1/tenants/acme", &json!({ "license": app.license }));
    assert_eq!(app.code(), "VALID");

    app.do_to_license("renew", json!({ "expiresAt": NOW + DAY }));
    app.world.clock.advance_secs(86_400);
    assert_eq!(app.code(), "IN_GRACE");
    app.patch("/api/v1/plans/pro", &json!({ "expiryStrategy": "restrict" }));
    assert_eq!(app.code(), "EXPIRED");
    app.patch("/api/v1/plans/pro", &json!({ "expiryStrategy": "allow" }));
    assert_eq!(app.code(), "IN_GRACE");
    app.do_to_license("renew", json!({ "expiresAt": null }));
    assert_eq!(app.code(), "VALID");

    // Many times over, while others ask.
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..40 {
                    assert!(["VALID", "SUSPENDED"].contains(&&*app.code()));
                }
            });
        }
        for _ in 0..20 {
            app.do_to_license("suspend", json!({ "reason": "x" }));
            assert_eq!(app.code(), "SUSPENDED");
            app.do_to_license("reinstate", json!({}));
            assert_eq!(app.code(), "VALID");
        }
    });
}

#[test]
fn a_change_that_came_another_way_is_found_by_looking() {
    let app = App::new(json!({}));
    let db = rusqlite::Connection::open(app.world.portal.db.path()).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db.execute("UPDATE licenses SET status = 'suspended'", []).unwrap();
    assert_eq!(app.code(), "VALID", "nothing has looked yet");
    db.execute(
        "UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE name = 'licensing_generation'",
        [],
    )
    .unwrap();
    // The housekeeping of `freehold serve` does this ten times a second.
    app.world.portal.licensing.look(&app.world.portal.db);
    assert_eq!(app.code(), "SUSPENDED");
}

#[test]
fn a_question_takes_no_database_connection() {
    let app = App::new(json!({}));
    let (release, held) = (AtomicBool::new(false), AtomicUsize::new(0));
    let wait = || {
        held.fetch_add(1, Ordering::SeqCst);
        while !release.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    let answered = thread::scope(|scope| {
        // More than there are connections: some of these wait for one themselves.
        for _ in 0..32 {
            scope.spawn(|| app.world.portal.db.read(|_| wait()).unwrap());
        }
        while held.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(200));
        let all_held = held.load(Ordering::SeqCst) < 32;
        let (sender, receiver) = mpsc::channel();
        let app = &app;
        scope.spawn(move || sender.send(app.code()).unwrap());
        let answered = receiver.recv_timeout(Duration::from_secs(20));
        release.store(true, Ordering::SeqCst);
        (all_held, answered)
    });
    assert_eq!(answered, (true, Ok("VALID".to_owned())));
}

#[test]
fn api_keys_are_told_apart_and_guessing_is_bounded_without_locking_out_the_good() {
    let app = App::new(json!({}));
    let question = app.question();
    let with = |key: &str| ask(&app.world, key, &question);
    app.world.call("POST", VALIDATE).json(&question).send().refused(401, "api_key_missing");
    let mut wrong = app.api_key.clone();
    wrong.pop();
    with(&wrong).refused(401, "api_key_malformed");
    with(&app.world.owner).refused(401, "api_key_malformed");
    let stranger = freehold_portal::keys::mint::token("fhl_live").unwrap();
    with(stranger.expose()).refused(401, "api_key_unknown");
    // An API key is no admin's token, nor the other way round.
    app.world
        .call("GET", "/api/v1/tenants")
        .bearer(&app.api_key)
        .send()
        .refused(401, "token_malformed");

    let keys = "/api/v1/tenants/acme/keys";
    let id = app.world.get(keys).expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let rotated =
        app.world.post(&format!("{keys}/{id}/rotate"), json!({ "graceHours": 1 })).expect(201);
    let fresh = rotated["secret"].as_str().unwrap().to_owned();
    with(&fresh).expect(200);
    with(&app.api_key).expect(200);
    app.world.clock.advance_secs(3600);
    with(&app.api_key).refused(401, "api_key_replaced");
    let fresh_id = rotated["key"]["id"].as_str().unwrap();
    let made = app.world.as_owner("POST", keys).send().expect(201);
    let second = made["secret"].as_str().unwrap();
    app.world.as_owner("DELETE", &format!("{keys}/{fresh_id}")).send().expect(204);
    with(&fresh).refused(401, "api_key_revoked");

    app.world.clock.advance_secs(3600);
    for _ in 0..10 {
        with(stranger.expose()).refused(401, "api_key_unknown");
    }
    let refused = with(stranger.expose());
    refused.refused(429, "too_many_failures");
    assert!(refused.header("retry-after").is_some());
    // The same address, a good key: a neighbour's mistake locks nobody out.
    with(second).expect(200);
    app.world.clock.advance_secs(7);
    with(stranger.expose()).refused(401, "api_key_unknown");
}

#[test]
fn license_keys_are_not_guessed_with_a_good_api_key() {
    let app = App::new(json!({}));
    let guess = |n: u8| {
        let key = freehold_portal::domain::license_key::LicenseKey::from_random(&[n; 23]);
        let mut body = app.question();
        body["licenseKey"] = json!(key.to_text());
        app.ask_with(&body)
    };
    for n in 0..20 {
        assert_eq!(code(&guess(n).expect(200)), "NOT_FOUND");
    }
    guess(21).refused(429, "too_many_failures");
    assert_eq!(app.code(), "VALID");
    // A mistyped key is no guess.
    assert_eq!(app.code_of("licenseKey", json!("FHL-1")), "KEY_MALFORMED");
    app.world.clock.advance_secs(4);
    guess(22).expect(200);
}

#[test]
fn a_removed_tenants_key_is_good_for_nothing_and_another_tenants_key_asks_for_its_own_customer_only()
 {
    let app = App::new(json!({}));
    let world = &app.world;
    let beta = json!({
        "slug": "beta", "name": "Beta", "domain": "beta.example.com", "host": "vps-1", "blueprint": "shop",
    });
    world.post("/api/v1/tenants", beta).expect(201);
    let theirs = api_key(world, "beta");
    assert_eq!(code(&ask(world, &theirs, &app.question()).expect(200)), "KEY_MISMATCH");
    // A second tenant of the same customer may ask for any of that customer's licenses.
    let (second, second_key) = license(world, &app.customer, json!({}));
    app.patch("/api/v1/tenants/beta", &json!({ "license": second }));
    assert_eq!(code(&ask(world, &theirs, &app.question()).expect(200)), "VALID");
    assert_eq!(app.code_of("licenseKey", json!(second_key)), "VALID");
    world.as_owner("DELETE", "/api/v1/tenants/beta").send().expect(204);
    ask(world, &theirs, &app.question()).refused(401, "api_key_unknown");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_field() {
    let app = App::new(json!({}));
    let raw = |body: &str| {
        app.world
            .call("POST", VALIDATE)
            .header("x-api-key", &app.api_key)
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    raw("{").refused(400, "malformed_json");
    let deep = format!(r#"{{"licenseKey":"a","x":{}"#, "[".repeat(4000));
    raw(&deep).refused(400, "malformed_json");
    assert_eq!(raw("[]").expect(422)["code"], "invalid");
    assert_eq!(raw("{}").pointers(), ["/licenseKey"]);
    assert_eq!(app.ask_with(&json!({ "licenseKey": app.key })).pointers(), ["/organizationId"]);
    assert_eq!(raw(r#"{"licenseKey":1,"organizationId":""}"#).status, 422);
    assert_eq!(
        raw(r#"{"licenseKey":"a","licenseKey":"b","organizationId":""}"#).pointers(),
        ["/licenseKey"]
    );
    for hostile in ["' OR 1=1 --", "\u{0}", "FHL-\u{202e}", &"A".repeat(10_000), "ﬀ", "FHL-😀😀"]
    {
        assert_eq!(app.code_of("licenseKey", json!(hostile)), "KEY_MALFORMED", "{hostile}");
        assert_eq!(
            app.code_of("organizationId", json!(hostile)),
            "ORGANIZATION_MISMATCH",
            "{hostile}"
        );
        app.world.clock.advance_secs(60);
    }
    let large = json!({ "licenseKey": app.key, "organizationId": "acme-org", "pad": "x".repeat(16 * 1024) });
    assert_eq!(app.ask_with(&large).status, 413);
    let plain = app.world.call("POST", VALIDATE).header("x-api-key", &app.api_key).body("x").send();
    plain.refused(415, "unsupported_media_type");
    let twice = app
        .world
        .call("POST", VALIDATE)
        .header("x-api-key", &app.api_key)
        .header("x-api-key", &app.api_key)
        .json(&app.question())
        .send();
    twice.refused(400, "repeated_header");
    app.world.as_owner("GET", VALIDATE).send().refused(405, "method_not_allowed");
}

#[test]
fn uses_are_noted_hourly_and_without_a_write_per_question() {
    let app = App::new(json!({}));
    let upkeep = || freehold_portal::licensing::Desk::upkeep(&app.world.portal).unwrap();
    let noted = || {
        let license = app.world.get(&format!("/api/v1/licenses/{}", app.license)).expect(200);
        let key = app.world.get("/api/v1/tenants/acme/keys").expect(200)["items"][0].clone();
        (license["lastValidatedAt"].as_i64(), key["lastUsedAt"].as_i64())
    };
    app.ask();
    assert_eq!(noted(), (None, None));
    upkeep();
    assert_eq!(noted(), (Some(NOW), Some(NOW)));
    app.world.clock.advance_secs(3600);
    app.ask();
    upkeep();
    assert_eq!(noted(), (Some(NOW), Some(NOW)), "once an hour is enough");
    app.world.clock.advance_secs(1);
    app.ask();
    upkeep();
    assert_eq!(noted(), (Some(NOW + 3_601_000), Some(NOW + 3_601_000)));
}
