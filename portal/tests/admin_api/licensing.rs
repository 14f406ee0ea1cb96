//! Plans, customers, licenses, and a tenant's license.

use serde_json::{Value, json};

use crate::harness::{Answer, World, acme};

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;
/// When the world's clock starts.
pub const NOW: i64 = 1_790_000_000_000;

pub fn pro() -> Value {
    json!({
        "name": "pro", "title": "Pro", "products": ["ats"], "features": ["export", "sso"],
        "limits": { "jobs": 5 }, "maxUsers": 25, "maxApiKeys": 2,
        "quotas": { "memoryMb": 4096, "cpuMillis": 1000, "diskGb": 20 },
        "expiryStrategy": "grace", "graceDays": 7,
    })
}

/// The plan `pro` and the customer `acme-org`; returns the customer's id.
pub fn with_customer(world: &World) -> String {
    world.post("/api/v1/plans", pro()).expect(201);
    let made = world.post(
        "/api/v1/customers",
        json!({ "name": "Acme GmbH", "email": "billing@acme.example", "organizationId": "acme-org" }),
    );
    made.expect(201)["id"].as_str().unwrap().to_owned()
}

/// A license of the plan `pro` for a customer: its id and its key.
pub fn license(world: &World, customer: &str, more: Value) -> (String, String) {
    let mut body = json!({ "customer": customer, "plan": "pro" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.post("/api/v1/licenses", body).expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["license"]["id"]), text(&made["key"]))
}

fn patch(world: &World, path: &str, tag: &str, body: &Value) -> Answer {
    world.as_owner("PATCH", path).header("if-match", tag).json(body).send()
}

fn status(world: &World, id: &str) -> String {
    let shown = world.get(&format!("/api/v1/licenses/{id}")).expect(200);
    shown["status"].as_str().unwrap().to_owned()
}

fn do_to(world: &World, id: &str, what: &str, body: Value) -> Answer {
    world.post(&format!("/api/v1/licenses/{id}/{what}"), body)
}

#[test]
fn a_plan_is_made_changed_archived_and_removed() {
    let world = World::new();
    let made = world.post("/api/v1/plans", pro());
    let plan = made.expect(201);
    assert_eq!(made.header("location"), Some("/api/v1/plans/pro"));
    assert_eq!((&plan["licenses"], &plan["maxApiKeys"]), (&json!(0), &json!(2)));
    world.post("/api/v1/plans", pro()).refused(409, "name_taken");
    let path = "/api/v1/plans/pro";
    let changed = patch(
        &world,
        path,
        made.header("etag").unwrap(),
        &json!({ "limits": { "jobs": null, "seats": 9 }, "maxUsers": 0, "memoryMb": 0, "features": [] }),
    )
    .expect(200);
    assert_eq!(changed["limits"], json!({ "seats": 9 }));
    assert_eq!((&changed["features"], changed.get("maxUsers")), (&json!([]), None));
    assert_eq!(changed["quotas"], json!({ "cpuMillis": 1000, "diskGb": 20 }));
    assert_eq!(changed["graceDays"], 7);
    patch(&world, path, made.header("etag").unwrap(), &json!({ "title": "x" }))
        .refused(412, "changed_meanwhile");
    world.as_owner("PATCH", path).json(&json!({})).send().refused(428, "if_match_required");
    let restricted = patch(&world, path, "*", &json!({ "expiryStrategy": "restrict" })).expect(200);
    assert_eq!(restricted["graceDays"], 0);
    let archived = world.as_owner("POST", &format!("{path}/archive")).send().expect(200);
    assert_eq!(archived["archivedAt"], NOW);
    world.as_owner("POST", &format!("{path}/archive")).send().expect(200);
    let open = world.as_owner("POST", &format!("{path}/unarchive")).send().expect(200);
    assert_eq!(open.get("archivedAt"), None);
    world.as_owner("DELETE", path).send().expect(204);
    world.get(path).refused(404, "not_found");
}

#[test]
fn every_wrong_field_of_a_plan_is_named_at_once() {
    let world = World::new();
    let refused = world.post(
        "/api/v1/plans",
        json!({
            "name": "Pro!", "products": [], "features": ["ok", "not ok", "ok"],
            "limits": { "maxUsers": 5, "a b": 1, "big": 9_007_199_254_740_992_u64 },
            "maxUsers": 0, "maxApiKeys": 101, "quotas": { "diskGb": 0 }, "expiryStrategy": "maybe",
        }),
    );
    assert_eq!(
        refused.pointers(),
        [
            "/name",
            "/features/1",
            "/features/2",
            "/limits/a b",
            "/limits/big",
            "/limits/maxUsers",
            "/products",
            "/expiryStrategy",
            "/maxUsers",
            "/maxApiKeys",
            "/quotas/diskGb",
        ]
    );
    let with = |field: &str, value: Value| {
        let mut body = pro();
        body[field] = value;
        world.post("/api/v1/plans", body)
    };
    assert_eq!(with("graceDays", json!(0)).pointers(), ["/graceDays"]);
    assert_eq!(with("graceDays", json!(366)).pointers(), ["/graceDays"]);
    assert_eq!(with("expiryStrategy", json!("allow")).pointers(), ["/graceDays"]);
    assert_eq!(with("colour", json!("red")).pointers(), ["/colour"]);
    assert_eq!(with("limits", json!({ "jobs": -1 })).expect(422)["code"], "invalid");
    world.post("/api/v1/plans", pro()).expect(201);
    let update = patch(
        &world,
        "/api/v1/plans/pro",
        "*",
        &json!({ "products": [], "limits": { "maxApiKeys": 3 } }),
    );
    assert_eq!(update.pointers(), ["/products", "/limits/maxApiKeys"]);
}

#[test]
fn a_customer_is_made_found_changed_and_removed_when_nothing_is_left() {
    let world = World::new();
    let id = with_customer(&world);
    let path = format!("/api/v1/customers/{id}");
    let plain = world.post("/api/v1/customers", json!({ "name": "Beta" })).expect(201);
    assert_eq!(plain["organizationId"], plain["id"]);
    world
        .post("/api/v1/customers", json!({ "name": "C", "organizationId": "acme-org" }))
        .refused(409, "organization_taken");
    let found = world.get("/api/v1/customers?organizationId=acme-org").expect(200);
    assert_eq!(
        (&found["items"][0]["id"], found["items"].as_array().unwrap().len()),
        (&json!(id), 1)
    );
    let refused = world.post(
        "/api/v1/customers",
        json!({ "name": " x", "email": "nobody", "organizationId": "a b", "notes": "\u{1b}[2J" }),
    );
    assert_eq!(refused.pointers(), ["/name", "/email", "/organizationId", "/notes"]);
    let changed =
        patch(&world, &path, "\"1\"", &json!({ "email": "", "notes": "key account" })).expect(200);
    assert_eq!((changed.get("email"), &changed["notes"]), (None, &json!("key account")));
    patch(&world, &path, "\"1\"", &json!({ "name": "x" })).refused(412, "changed_meanwhile");
    patch(&world, &path, "*", &json!({ "organizationId": plain["id"] }))
        .refused(409, "organization_taken");

    let (license, _) = license(&world, &id, json!({}));
    world.as_owner("DELETE", &path).send().refused(409, "customer_in_use");
    do_to(&world, &license, "revoke", json!({ "reason": "over" })).expect(200);
    world
        .as_owner("DELETE", &path)
        .header("if-match", "\"1\"")
        .send()
        .refused(412, "changed_meanwhile");
    world.as_owner("DELETE", &path).send().expect(204);
    world.get(&format!("/api/v1/licenses/{license}")).refused(404, "not_found");
}

#[test]
fn a_license_has_what_its_plan_gives_but_for_its_differences() {
    let world = World::new();
    let customer = with_customer(&world);
    let made = world.post(
        "/api/v1/licenses",
        json!({
            "customer": customer, "plan": "pro", "expiresAt": NOW + DAY,
            "overrides": { "featuresAdded": ["api"], "featuresRemoved": ["sso"], "limits": { "maxUsers": 40 } },
        }),
    );
    let body = made.expect(201);
    let (license, key) = (&body["license"], body["key"].as_str().unwrap());
    assert!(key.starts_with("FHL-") && key.len() == 33, "{key}");
    assert_eq!(license["keyHint"], format!("{}-…", &key[..9]));
    assert_eq!(license["status"], "pending_deployment");
    assert_eq!(license["features"], json!(["api", "export"]));
    assert_eq!(license["limits"], json!({ "jobs": 5, "maxApiKeys": 2, "maxUsers": 40 }));
    assert_eq!(
        (&license["expiresAt"], &license["graceUntil"]),
        (&json!(NOW + DAY), &json!(NOW + 8 * DAY))
    );
    assert_eq!(license["tenantsDueAt"], NOW + 8 * DAY);
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    assert!(!world.get(&path).text.contains(key));

    // A change of the plan is a change of its licenses.
    patch(&world, "/api/v1/plans/pro", "*", &json!({ "features": ["sso", "new"], "maxUsers": 99 }))
        .expect(200);
    let shown = world.get(&path).expect(200);
    assert_eq!(
        (&shown["features"], &shown["limits"]["maxUsers"]),
        (&json!(["api", "new"]), &json!(40))
    );
    let updated =
        patch(&world, &path, made.header("etag").unwrap(), &json!({ "overrides": {} })).expect(200);
    assert_eq!(
        (&updated["features"], &updated["limits"]["maxUsers"]),
        (&json!(["new", "sso"]), &json!(99))
    );

    let refused = |body: Value| world.post("/api/v1/licenses", body).pointers();
    assert_eq!(
        refused(json!({
            "customer": "x", "plan": "Y", "expiresAt": NOW,
            "overrides": { "featuresAdded": ["a"], "featuresRemoved": ["a"], "limits": { "maxApiKeys": 0 } },
        })),
        [
            "/customer",
            "/plan",
            "/overrides/featuresRemoved",
            "/overrides/limits/maxApiKeys",
            "/expiresAt"
        ]
    );
    let nobody = "0190a000-0000-7000-8000-000000000001";
    assert_eq!(refused(json!({ "customer": nobody, "plan": "pro" })), ["/customer"]);
    assert_eq!(refused(json!({ "customer": customer, "plan": "none-such" })), ["/plan"]);
    assert_eq!(
        refused(
            json!({ "customer": customer, "plan": "pro", "overrides": { "productsRemoved": ["ats"] } })
        ),
        ["/overrides/productsRemoved"]
    );
    world.as_owner("POST", "/api/v1/plans/pro/archive").send().expect(200);
    assert_eq!(refused(json!({ "customer": customer, "plan": "pro" })), ["/plan"]);
    // It may stay in a plan that was archived.
    patch(&world, &path, "*", &json!({ "plan": "pro" })).expect(200);
    world.as_owner("DELETE", "/api/v1/plans/pro").send().refused(409, "plan_in_use");
}

#[test]
fn a_license_is_suspended_reinstated_renewed_and_revoked() {
    let world = World::new();
    let customer = with_customer(&world);
    let (id, _) = license(&world, &customer, json!({ "expiresAt": NOW + 10 * DAY }));
    assert_eq!(do_to(&world, &id, "suspend", json!({ "reason": "" })).pointers(), ["/reason"]);
    assert_eq!(do_to(&world, &id, "suspend", json!({ "reason": "a\nb" })).pointers(), ["/reason"]);
    do_to(&world, &id, "reinstate", json!({})).refused(409, "license_status");
    let suspended = do_to(&world, &id, "suspend", json!({ "reason": "unpaid" })).expect(200);
    assert_eq!(
        (&suspended["status"], &suspended["statusReason"]),
        (&json!("suspended"), &json!("unpaid"))
    );
    assert_eq!(suspended["tenantsDueAt"], NOW + 7 * DAY);
    do_to(&world, &id, "suspend", json!({ "reason": "again" })).refused(409, "license_status");
    let back = do_to(&world, &id, "reinstate", json!({})).expect(200);
    assert_eq!((&back["status"], back.get("statusReason")), (&json!("pending_deployment"), None));

    assert_eq!(
        do_to(&world, &id, "renew", json!({ "expiresAt": NOW - 1 })).pointers(),
        ["/expiresAt"]
    );
    world.clock.advance_secs(10 * 86_400);
    assert_eq!(status(&world, &id), "expired");
    let list = |query: &str| {
        world.get(&format!("/api/v1/licenses?{query}")).expect(200)["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((list("status=expired"), list("status=pending_deployment")), (1, 0));
    assert_eq!((list(&format!("customer={customer}&plan=pro")), list("plan=other")), (1, 0));
    world.get("/api/v1/licenses?status=gone").refused(400, "bad_query");
    let renewed = do_to(&world, &id, "renew", json!({ "expiresAt": NOW + 20 * DAY })).expect(200);
    assert_eq!(renewed["status"], "pending_deployment");

    // The sweep notes it; what it is worth does not wait for that.
    world.clock.advance_secs(10 * 86_400);
    let note = |world: &World| {
        world
            .portal
            .db
            .write(|tx| freehold_portal::app::license_status::note_expired(tx, 10))
            .unwrap();
    };
    note(&world);
    note(&world);
    let shown = world.get(&format!("/api/v1/licenses/{id}")).expect(200);
    assert_eq!((&shown["status"], &shown["statusAt"]), (&json!("expired"), &json!(NOW + 20 * DAY)));
    do_to(&world, &id, "renew", json!({})).expect(200);
    assert_eq!(world.get(&format!("/api/v1/licenses/{id}")).expect(200).get("expiresAt"), None);
    do_to(&world, &id, "revoke", json!({ "reason": "over" })).expect(200);
    for (what, body) in [
        ("revoke", json!({ "reason": "x" })),
        ("suspend", json!({ "reason": "x" })),
        ("reinstate", json!({})),
        ("renew", json!({})),
    ] {
        do_to(&world, &id, what, body).refused(409, "license_revoked");
    }
    patch(&world, &format!("/api/v1/licenses/{id}"), "*", &json!({ "plan": "pro" }))
        .refused(409, "license_revoked");
    let log = world.get("/api/v1/audit?limit=200").expect(200);
    let of_license: Vec<&str> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["objectKind"] == "license")
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        of_license,
        [
            "license.create",
            "license.suspend",
            "license.reinstate",
            "license.renew",
            "license.expire",
            "license.renew",
            "license.revoke"
        ]
    );
}

#[test]
fn a_license_key_is_kept_sealed_and_shown_again_to_an_owner_only() {
    let world = World::new();
    let customer = with_customer(&world);
    let (id, key) = license(&world, &customer, json!({}));
    let path = format!("/api/v1/licenses/{id}/reveal");
    let operator = world.token("op", "operator");
    world.call("POST", &path).bearer(&operator).send().refused(403, "forbidden");
    assert_eq!(world.as_owner("POST", &path).send().expect(200)["key"], key);
    let log = world.get("/api/v1/audit?limit=200").text;
    assert!(log.contains("license.key_shown") && !log.contains(&key[10..]));
    // Neither in the file nor in its log does the key stand in the clear.
    for name in ["", "-wal"] {
        let mut file = world.portal.db.path().as_os_str().to_owned();
        file.push(name);
        let bytes = std::fs::read(file).unwrap();
        let plain = key.replace('-', "");
        assert!(!bytes.windows(key.len()).any(|part| part == key.as_bytes()), "{name}");
        assert!(!bytes.windows(25).any(|part| part == &plain.as_bytes()[3..]), "{name}");
    }
    // The answer that held the key is not kept.
    let body = json!({ "customer": customer, "plan": "pro" });
    let again = || {
        world
            .as_owner("POST", "/api/v1/licenses")
            .header("idempotency-key", "k1")
            .json(&body)
            .send()
    };
    again().expect(201);
    again().refused(409, "already_created");
}

#[test]
fn a_tenants_license_bounds_what_its_blueprint_may_want() {
    let world = World::with_host_and_blueprint();
    let customer = with_customer(&world);
    let (id, _) = license(&world, &customer, json!({}));
    let mut body = acme();
    body["license"] = json!("0190a000-0000-7000-8000-000000000001");
    assert_eq!(world.post("/api/v1/tenants", body.clone()).pointers(), ["/license"]);
    body["license"] = json!(id);
    let made = world.post("/api/v1/tenants", body).expect(201);
    assert_eq!(made["tenant"]["license"], json!(id));
    assert_eq!(
        world.get(&format!("/api/v1/licenses/{id}")).expect(200)["tenants"],
        json!(["acme"])
    );
    world
        .as_owner("DELETE", &format!("/api/v1/customers/{customer}"))
        .send()
        .refused(409, "customer_in_use");

    let deploy = || world.as_owner("POST", "/api/v1/tenants/acme/deploy").send();
    patch(&world, "/api/v1/plans/pro", "*", &json!({ "memoryMb": 4095, "diskGb": 19 })).expect(200);
    let refused = deploy();
    assert_eq!(
        refused.pointers(),
        ["/blueprint/resources/memoryMb", "/blueprint/resources/diskGb"]
    );
    assert!(
        refused.text.contains("wants 4096 MiB of memory, and the plan pro gives 4095"),
        "{}",
        refused.text
    );
    patch(&world, "/api/v1/plans/pro", "*", &json!({ "memoryMb": 4096, "diskGb": 0 })).expect(200);
    // Processors are those that the services may take, not only those that the release says it wants.
    let wants_little = crate::harness::SHOP
        .replace("  routes:", "  resources: { memoryMb: 4096, cpus: 0.1, diskGb: 20 }\n  routes:");
    world.post("/api/v1/blueprints", json!({ "source": wants_little })).expect(201);
    patch(&world, "/api/v1/plans/pro", "*", &json!({ "cpuMillis": 500 })).expect(200);
    let release = |number: u32| {
        patch(&world, "/api/v1/tenants/acme", "*", &json!({ "release": number })).expect(200);
    };
    release(2);
    let refused = deploy();
    assert_eq!(refused.pointers(), ["/blueprint/resources/cpuMillis"]);
    assert!(
        refused.text.contains("may take 1000 thousandths of a processor together"),
        "{}",
        refused.text
    );
    let takes_little =
        wants_little.replace("  web:\n    image", "  web:\n    cpus: 0.5\n    image");
    world.post("/api/v1/blueprints", json!({ "source": takes_little })).expect(201);
    patch(&world, "/api/v1/plans/pro", "*", &json!({ "cpuMillis": 499 })).expect(200);
    release(3);
    assert_eq!(deploy().pointers(), ["/blueprint/resources/cpuMillis"]);
    patch(&world, "/api/v1/plans/pro", "*", &json!({ "cpuMillis": 1000 })).expect(200);
    do_to(&world, &id, "suspend", json!({ "reason": "unpaid" })).expect(200);
    deploy().refused(409, "license_not_valid");
    do_to(&world, &id, "reinstate", json!({})).expect(200);
    deploy().expect(202);

    let tenant = |body: Value| patch(&world, "/api/v1/tenants/acme", "*", &body);
    assert_eq!(tenant(json!({ "name": "Acme AG" })).expect(200)["license"], json!(id));
    assert_eq!(tenant(json!({ "license": null })).expect(200).get("license"), None);
    do_to(&world, &id, "revoke", json!({ "reason": "over" })).expect(200);
    assert_eq!(tenant(json!({ "license": id })).pointers(), ["/license"]);
    assert_eq!(tenant(json!({ "license": "x" })).pointers(), ["/license"]);
}

#[test]
fn a_license_that_a_running_tenant_gets_is_active_at_once() {
    let world = World::with_tenant();
    let customer = with_customer(&world);
    let (id, _) = license(&world, &customer, json!({}));
    let give = || patch(&world, "/api/v1/tenants/acme", "*", &json!({ "license": id })).expect(200);
    give();
    assert_eq!(status(&world, &id), "pending_deployment");
    let db = rusqlite::Connection::open(world.portal.db.path()).unwrap();
    db.execute("UPDATE tenants SET release_deployed = 1, status = 'active'", []).unwrap();
    give();
    assert_eq!(status(&world, &id), "active");
    // It stays so, whatever happens to the tenant.
    patch(&world, "/api/v1/tenants/acme", "*", &json!({ "license": null })).expect(200);
    assert_eq!(status(&world, &id), "active");
    let log = world.get("/api/v1/audit?limit=200").text;
    assert_eq!(log.matches("license.activate").count(), 1);
}
