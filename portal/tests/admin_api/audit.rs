//! What an entry of the audit log says: the request that asked for the change, and what was before and after it.

use freehold_portal::{
    app::license_status,
    http::{route, server::Method},
};
use serde_json::{Value, json};

use crate::{
    harness::World,
    licensing::{DAY, NOW, license, with_customer},
    users::PASSWORD,
};

impl World {
    /// The entries after number `n`.
    pub fn log_after(&self, n: usize) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/audit?limit=200&after={n}")).expect(200);
        assert_eq!(page["next"], Value::Null);
        page["items"].as_array().unwrap().clone()
    }

    /// All entries.
    pub fn log(&self) -> Vec<Value> {
        self.log_after(0)
    }
}

#[test]
fn the_log_is_listed_by_page_and_its_hashes_are_right() {
    let world = World::with_tenant();
    let log = world.log();
    let actions: Vec<&str> = log.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["token.create", "host.create", "blueprint.publish", "tenant.create"]);
    assert_eq!(log[1]["actor"], "token:first-owner");
    let page = world.get("/api/v1/audit?after=1&limit=2").expect(200);
    assert_eq!((&page["items"][0]["n"], &page["next"]), (&json!(2), &json!("3")));
    let wrong = world.portal.db.read(freehold_portal::db::audit::verify).unwrap();
    assert_eq!(wrong, None);
}

#[test]
fn an_entry_names_the_request_that_asked_for_it_and_what_the_portal_does_by_itself_has_none() {
    let world = World::with_tenant();
    world.user("anna@example.com", "owner");
    let customer = with_customer(&world);
    let (id, _) = license(&world, &customer, json!({ "expiresAt": NOW + DAY }));
    let asked = |path: &str, body: Value| world.as_owner("POST", path).json(&body).send();
    let answers = [
        // By a transaction of its own, by one with an Idempotency-Key, by more than one, by nobody known yet.
        ("host.drain", asked("/api/v1/hosts/vps-1/drain", json!({}))),
        (
            "token.create",
            world
                .as_owner("POST", "/api/v1/tokens")
                .header("idempotency-key", "one")
                .json(&json!({ "name": "one", "role": "viewer" }))
                .send(),
        ),
        ("key.rotate", asked("/api/v1/keys/rotate", json!({ "compromised": false }))),
        ("key.rotate_lease", asked("/api/v1/keys/rotate-lease", json!({ "compromised": false }))),
        ("login.succeed", world.login("anna@example.com", PASSWORD)),
        ("login.fail", world.login("anna@example.com", "a wrong password")),
    ];
    let log = world.log();
    for (action, answer) in &answers {
        let row = log.iter().rfind(|row| row["action"] == *action);
        let row = row.unwrap_or_else(|| panic!("{action}: {answer:?}"));
        assert_eq!(row["detail"]["requestId"], answer.header("x-request-id").unwrap(), "{action}");
    }
    // What two requests did has two ids.
    let mut ids: Vec<&str> =
        log.iter().filter_map(|row| row["detail"]["requestId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);

    world.clock.advance_secs(2 * DAY / 1000);
    world.portal.db.write(|tx| license_status::note_expired(tx, 10)).unwrap();
    let expired = world.log().pop().unwrap();
    assert_eq!(
        (&expired["action"], &expired["actor"]),
        (&json!("license.expire"), &json!("system"))
    );
    assert_eq!((&expired["objectId"], &expired["detail"]["requestId"]), (&json!(id), &Value::Null));
    assert_eq!(world.log()[0]["detail"]["requestId"], Value::Null, "the first token");
    assert_eq!(world.portal.db.read(freehold_portal::db::audit::verify).unwrap(), None);
}

/// Each PATCH of an admin: where, with what, the fields that its entry names as changed, and some of what it says.
type Patched<'a> = (&'a str, String, Value, &'a [&'a str], Vec<(&'a str, Value)>);

#[test]
fn an_update_says_what_was_before_and_after_and_never_the_value_of_a_setting() {
    let world = World::with_tenant();
    let customer = with_customer(&world);
    let (license, _) = license(&world, &customer, json!({}));
    world
        .post(
            "/api/v1/plans",
            json!({ "name": "team", "products": ["ats"], "expiryStrategy": "restrict" }),
        )
        .expect(201);
    let user = world.user("anna@example.com", "operator");
    let hidden = "hunter2-of-nobody";
    let table: [Patched<'_>; 8] = [
        (
            "UpdateHost",
            "/hosts/vps-1".into(),
            json!({ "labels": { "region": "eu" }, "tenantLimit": 3 }),
            &["labels", "tenantLimit"],
            vec![("/labels", json!([{}, { "region": "eu" }])), ("/tenantLimit", json!([null, 3]))],
        ),
        (
            "UpdateTenant",
            "/tenants/acme".into(),
            json!({ "name": "Acme AG", "license": license, "settings": { "GREETING": hidden, "SEATS": "5" } }),
            &["license", "name", "settings/GREETING", "settings/SEATS"],
            vec![
                ("/name", json!(["Acme GmbH", "Acme AG"])),
                ("/license", json!([null, license])),
                ("/settings~1GREETING", json!(true)),
            ],
        ),
        (
            "UpdatePlan",
            "/plans/pro".into(),
            json!({ "title": "Pro 2", "maxUsers": 30, "maxApiKeys": 2 }),
            &["maxUsers", "title"],
            vec![("/title", json!(["Pro", "Pro 2"])), ("/maxUsers", json!([25, 30]))],
        ),
        (
            "UpdateCustomer",
            format!("/customers/{customer}"),
            json!({ "name": "Acme AG", "email": format!("{hidden}@example.com"), "notes": hidden }),
            &["email", "name", "notes"],
            vec![("/name", json!(["Acme GmbH", "Acme AG"])), ("/email", json!(true))],
        ),
        (
            "UpdateLicense",
            format!("/licenses/{license}"),
            json!({ "plan": "team", "overrides": { "limits": { "seats": 9 } } }),
            &["gives", "overrides", "plan"],
            vec![
                ("/plan", json!(["pro", "team"])),
                ("/gives/0/features", json!(["export", "sso"])),
                ("/gives/1/features", json!([])),
                ("/overrides/1/limits", json!({ "seats": 9 })),
            ],
        ),
        (
            "UpdateUser",
            format!("/users/{user}"),
            json!({ "login": "anna@example.org", "role": "approver" }),
            &["login", "role"],
            vec![
                ("/login", json!(["anna@example.com", "anna@example.org"])),
                ("/role", json!(["operator", "approver"])),
            ],
        ),
        (
            "UpdateMe",
            "/me".into(),
            json!({ "name": "Anna" }),
            &["name"],
            vec![("/name", json!(["anna@example.com", "Anna"]))],
        ),
        // The user's own business: not even the names.
        ("UpdateSettings", "/me/settings".into(), json!({ "theme": hidden }), &[], Vec::new()),
    ];
    for (name, path, body, fields, says) in &table {
        let before = world.log().len();
        let path = format!("/api/v1{path}");
        let call = if path.starts_with("/api/v1/me") {
            let session = world.session("anna@example.org");
            world.as_user(&session, "PATCH", &path)
        } else {
            world.as_owner("PATCH", &path)
        };
        call.header("if-match", "*").json(body).send().expect(200);
        let entry = world.log_after(before).pop().unwrap();
        let changed = &entry["detail"]["changed"];
        let named: Vec<&String> =
            changed.as_object().into_iter().flat_map(|all| all.keys()).collect();
        assert_eq!(named, *fields, "{name}: {entry}");
        for (pointer, value) in says {
            assert_eq!(changed.pointer(pointer), Some(value), "{name} {pointer}: {entry}");
        }
        // Once more: nothing is changed any more, and the entry says so.
        let call = world.as_owner("PATCH", &path).header("if-match", "*").json(body);
        if !path.starts_with("/api/v1/me") {
            call.send().expect(200);
            assert_eq!(world.log().pop().unwrap()["detail"]["changed"], json!({}), "{name}");
        }
    }
    assert!(!world.get("/api/v1/audit?limit=200").text.contains(hidden));
    let known = route::operations();
    let patches = known.iter().filter(|operation| operation.method == Method::Patch);
    for operation in patches {
        let named = table.iter().any(|(name, ..)| *name == operation.name);
        assert!(named, "{}: say here what its entry shows of before and after", operation.name);
    }
}

#[test]
fn a_license_says_from_which_status_and_end_to_which() {
    let world = World::new();
    let customer = with_customer(&world);
    let (id, _) = license(&world, &customer, json!({}));
    for (what, body, detail) in [
        (
            "suspend",
            json!({ "reason": "unpaid" }),
            json!({ "changed": { "status": ["pending_deployment", "suspended"] }, "reason": "unpaid" }),
        ),
        (
            "reinstate",
            json!({}),
            json!({ "changed": { "status": ["suspended", "pending_deployment"] } }),
        ),
        (
            "renew",
            json!({ "expiresAt": NOW + DAY }),
            json!({ "changed": { "expiresAt": [null, NOW + DAY] } }),
        ),
        (
            "revoke",
            json!({ "reason": "over" }),
            json!({ "changed": { "status": ["pending_deployment", "revoked"] }, "reason": "over" }),
        ),
    ] {
        world.post(&format!("/api/v1/licenses/{id}/{what}"), body).expect(200);
        let mut entry = world.log().pop().unwrap();
        assert_eq!(entry["action"], format!("license.{what}"));
        entry["detail"].as_object_mut().unwrap().remove("requestId").unwrap();
        assert_eq!(entry["detail"], detail);
    }
}
