//! Tenants: adding, changing, removing.

use serde_json::{Value, json};

use crate::harness::{World, acme};

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = acme();
    change(&mut body);
    body
}

#[test]
fn a_tenant_is_created_shown_changed_and_deleted() {
    let world = World::with_host_and_blueprint();
    let made = world.post("/api/v1/tenants", acme());
    let tenant = made.expect(201);
    assert_eq!(made.header("location"), Some("/api/v1/tenants/acme"));
    assert_eq!((&tenant["tenant"]["status"], tenant.get("job")), (&json!("pending"), None));
    assert_eq!(tenant["tenant"]["credentials"], "none");
    let shown = world.get("/api/v1/tenants/acme");
    let etag = shown.header("etag").unwrap().to_owned();
    let patch = |etag: &str, body: Value| {
        world.as_owner("PATCH", "/api/v1/tenants/acme").header("if-match", etag).json(&body).send()
    };
    let changed =
        patch(&etag, json!({ "name": "Acme AG", "settings": { "SEATS": "9" } })).expect(200);
    assert_eq!(
        (&changed["name"], &changed["settings"]),
        (&json!("Acme AG"), &json!({ "GREETING": "hello", "SEATS": "9" }))
    );
    patch(&etag, json!({ "name": "x" })).refused(412, "changed_meanwhile");
    assert_eq!(patch("*", json!({ "domain": "acme" })).pointers(), ["/domain"]);
    assert_eq!(patch("*", json!({ "release": 7 })).pointers(), ["/release"]);
    assert_eq!(
        patch("*", json!({ "settings": { "SEATS": "many" } })).pointers(),
        ["/settings/SEATS"]
    );
    assert_eq!(patch("*", json!({ "slug": "other" })).pointers(), ["/slug"]);
    let list = world.get("/api/v1/tenants?host=vps-1&blueprint=shop&status=pending").expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("/api/v1/tenants?status=active").expect(200)["items"], json!([]));
    world.as_owner("DELETE", "/api/v1/tenants/acme").send().expect(204);
    world.get("/api/v1/tenants/acme").refused(404, "not_found");
    world.post("/api/v1/tenants", acme()).expect(201);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let world = World::with_host_and_blueprint();
    let long = "a".repeat(64);
    for slug in ["", "a\nb", "a;b", "..", "a/b", "Acme", "-acme", "api", "acme}", "$(id)", &long] {
        let refused = world.post("/api/v1/tenants", with(|body| body["slug"] = json!(slug)));
        assert_eq!(refused.pointers(), ["/slug"], "{slug}");
    }
    for domain in [
        "",
        "acme",
        "acme.example.com\n",
        "a.com;b",
        "*.example.com",
        "a..com",
        "10.0.0.1",
        "ACME.com",
        "a.com:80",
    ] {
        let refused = world.post("/api/v1/tenants", with(|body| body["domain"] = json!(domain)));
        assert_eq!(refused.pointers(), ["/domain"], "{domain}");
    }
    let many = world.post(
        "/api/v1/tenants",
        with(|body| {
            body["slug"] = json!("A");
            body["name"] = json!("line\nbreak");
            body["domain"] = json!("x");
            body["adminEmail"] = json!("nobody");
            body["certificate"] = json!({ "source": "magic" });
        }),
    );
    assert_eq!(
        many.pointers(),
        ["/slug", "/name", "/domain", "/adminEmail", "/certificate/source"]
    );
    let pointers = |change: fn(&mut Value)| world.post("/api/v1/tenants", with(change)).pointers();
    assert_eq!(pointers(|body| body["host"] = json!("vps-9")), ["/host"]);
    assert_eq!(pointers(|body| body["blueprint"] = json!("none-such")), ["/blueprint"]);
    assert_eq!(pointers(|body| body["release"] = json!(2)), ["/release"]);
    assert_eq!(
        pointers(|body| body["settings"] = json!({ "SEATS": "x", "OTHER": "y" })),
        ["/settings/OTHER", "/settings/SEATS"]
    );
    assert_eq!(
        pointers(|body| {
            body["settings"] = json!({});
            body["deploy"] = json!(true);
        }),
        ["/settings/GREETING"]
    );
    assert_eq!(world.get("/api/v1/tenants").expect(200)["items"], json!([]));
}

#[test]
fn names_domains_and_limits_are_kept_apart() {
    let world = World::with_tenant();
    world
        .post("/api/v1/tenants", with(|body| body["domain"] = json!("b.example.com")))
        .refused(409, "name_taken");
    world
        .post("/api/v1/tenants", with(|body| body["slug"] = json!("beta")))
        .refused(409, "domain_taken");
    world
        .as_owner("PATCH", "/api/v1/hosts/vps-1")
        .header("if-match", "*")
        .json(&json!({ "tenantLimit": 1 }))
        .send()
        .expect(200);
    let beta = with(|body| {
        body["slug"] = json!("beta");
        body["domain"] = json!("b.example.com");
    });
    world.post("/api/v1/tenants", beta).refused(409, "host_full");
}

#[test]
fn removal_asks_for_the_slug_and_credentials_are_shown_once() {
    let world = World::with_tenant();
    let remove = |body: Value| world.post("/api/v1/tenants/acme/remove", body);
    assert_eq!(remove(json!({})).pointers(), ["/data"]);
    assert_eq!(remove(json!({ "data": "maybe" })).pointers(), ["/data"]);
    assert_eq!(remove(json!({ "data": "delete" })).pointers(), ["/confirm"]);
    assert_eq!(remove(json!({ "data": "delete", "confirm": "acm" })).pointers(), ["/confirm"]);
    remove(json!({ "data": "keep" })).refused(409, "not_deployed");
    world.as_owner("POST", "/api/v1/tenants/acme/check").send().refused(409, "not_deployed");

    let reveal = || world.as_owner("POST", "/api/v1/tenants/acme/credentials").send();
    reveal().refused(404, "no_credentials");
    let tenant = world.get("/api/v1/tenants/acme").expect(200);
    let id: freehold_protocol::ids::TenantId = tenant["id"].as_str().unwrap().parse().unwrap();
    world.keep_credentials(id, "s3cret-pw");
    assert_eq!(world.get("/api/v1/tenants/acme").expect(200)["credentials"], "waiting");
    let shown = reveal().expect(200);
    assert_eq!(
        (&shown["password"], &shown["email"]),
        (&json!("s3cret-pw"), &json!("anna@example.com"))
    );
    reveal().refused(410, "credentials_shown");
    let log = world.get("/api/v1/audit").text;
    assert!(log.contains("tenant.credentials_shown") && !log.contains("s3cret-pw"));
}

#[test]
fn a_tenant_counts_once_until_it_is_removed_or_forgotten() {
    let world = World::with_host_and_blueprint();
    let limit = |limit: u32| {
        world
            .as_owner("PATCH", "/api/v1/hosts/vps-1")
            .header("if-match", "*")
            .json(&json!({ "tenantLimit": limit }))
            .send()
            .expect(200);
    };
    let add = |slug: &str, deploy: bool| {
        let mut body = acme();
        body["slug"] = json!(slug);
        body["domain"] = json!(format!("{slug}.example.com"));
        body["deploy"] = json!(deploy);
        world.post("/api/v1/tenants", body)
    };
    let tenants = || world.get("/api/v1/hosts/vps-1").expect(200)["tenants"].clone();
    limit(2);
    // A queued deploy does not count beside its tenant.
    add("one", true).expect(201);
    assert_eq!(tenants(), 1);
    add("two", false).expect(201);
    assert_eq!(tenants(), 2);
    add("three", false).refused(409, "host_full");
    // One that failed or is on its way out keeps its place; one that is removed does not.
    let set = |status: &'static str, kept: &'static str| {
        let sql = format!(
            "UPDATE tenants SET status = '{status}', kept_volumes = '{kept}' WHERE slug = 'two'"
        );
        let folder = world.portal.db.path().to_owned();
        rusqlite::Connection::open(folder).unwrap().execute_batch(&sql).unwrap();
    };
    for status in ["failed", "cancelled", "removing"] {
        set(status, "[]");
        add("three", false).refused(409, "host_full");
    }
    set("removed", r#"["data"]"#);
    add("three", false).expect(201);
    // Bringing it back takes a place again.
    let back = || world.as_owner("POST", "/api/v1/tenants/two/deploy").send();
    let refused = back().refused(409, "host_full");
    assert!(refused["advice"].as_str().unwrap().contains("--tenant-limit"), "{refused}");
    limit(3);
    back().expect(202);
    assert_eq!(tenants(), 3);
}

#[test]
fn a_tenant_whose_host_was_given_up_can_be_forgotten_and_moved() {
    let world = World::with_tenant();
    let sql = "UPDATE tenants SET status = 'active', release_deployed = 1";
    let database = rusqlite::Connection::open(world.portal.db.path()).unwrap();
    database.execute_batch(sql).unwrap();
    let forget = || world.as_owner("DELETE", "/api/v1/tenants/acme").send();
    forget().refused(409, "tenant_deployed");
    database
        .execute_batch("UPDATE tenants SET unknown_since = 7, kept_volumes = '[\"v\"]'")
        .unwrap();
    assert_eq!(world.get("/api/v1/tenants/acme").expect(200)["unknownSince"], 7);
    forget().expect(204);
    world.post("/api/v1/tenants", acme()).expect(201);
}
