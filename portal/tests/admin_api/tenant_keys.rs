//! API keys of tenants, as admins make them.

use freehold_portal::{
    db::{delivered_keys, deployments},
    domain::ids::TenantKeyId,
    keys::Place,
};
use freehold_protocol::{
    ids::{JobId, TenantId},
    report::Deployed,
    secret::Secret,
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, SHOP, World},
    licensing::{license, with_customer},
};

const KEYS: &str = "/api/v1/tenants/acme/keys";

fn make(world: &World) -> Answer {
    world.as_owner("POST", KEYS).send()
}

fn rotate(world: &World, id: &str, body: Value) -> Answer {
    world.post(&format!("{KEYS}/{id}/rotate"), body)
}

fn id(made: &Value) -> String {
    made["key"]["id"].as_str().unwrap().to_owned()
}

fn states(world: &World) -> Vec<String> {
    let list = world.get(KEYS).expect(200);
    let items = list["items"].as_array().unwrap();
    items.iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_is_shown_once_replaced_and_revoked() {
    let world = World::with_tenant();
    world.as_owner("GET", "/api/v1/tenants/none-such/keys").send().refused(404, "not_found");
    let first = make(&world).expect(201);
    let secret = first["secret"].as_str().unwrap();
    assert!(secret.starts_with("fhl_live_") && secret.len() == 45, "{secret}");
    assert!(!world.get(KEYS).text.contains(secret));
    assert!(!world.get("/api/v1/audit").text.contains(secret));

    let second = rotate(&world, &id(&first), json!({})).expect(201);
    assert_eq!(second["key"]["replaces"], first["key"]["id"]);
    assert_eq!(states(&world), ["replaced", "valid"]);
    rotate(&world, &id(&first), json!({})).refused(409, "key_not_valid");
    world.clock.advance_secs(23 * 3600);
    assert_eq!(states(&world), ["replaced", "valid"]);
    // The one before the last ends at once: at most two are good in one's place.
    let third = rotate(&world, &id(&second), json!({ "graceHours": 1 })).expect(201);
    assert_eq!(states(&world), ["ended", "replaced", "valid"]);
    world.clock.advance_secs(3600);
    assert_eq!(states(&world), ["ended", "ended", "valid"]);
    rotate(&world, &id(&third), json!({ "graceHours": 0 })).expect(201);
    assert_eq!(states(&world), ["ended", "ended", "ended", "valid"]);
    assert_eq!(
        rotate(&world, &id(&third), json!({ "graceHours": 169 })).pointers(),
        ["/graceHours"]
    );

    let path = format!("{KEYS}/{}", id(&third));
    world.as_owner("DELETE", &path).send().expect(204);
    world.as_owner("DELETE", &path).send().expect(204);
    rotate(&world, &id(&third), json!({})).refused(409, "key_not_valid");
    let actions = world.get("/api/v1/audit?limit=200").text;
    for action in ["tenant_key.create", "tenant_key.rotate", "tenant_key.revoke"] {
        assert!(actions.contains(action), "{action}");
    }
}

#[test]
fn one_tenants_keys_are_not_another_ones() {
    let world = World::with_tenant();
    let made = make(&world).expect(201);
    let beta = json!({
        "slug": "beta", "name": "Beta", "domain": "beta.example.com", "host": "vps-1", "blueprint": "shop",
    });
    world.post("/api/v1/tenants", beta).expect(201);
    let path = format!("/api/v1/tenants/beta/keys/{}", id(&made));
    world.as_owner("DELETE", &path).send().refused(404, "not_found");
    world.as_owner("POST", &format!("{path}/rotate")).send().refused(404, "not_found");
    assert_eq!(world.get("/api/v1/tenants/beta/keys").expect(200)["items"], json!([]));
    assert_eq!(states(&world), ["valid"]);
}

#[test]
fn a_tenant_has_as_many_keys_as_its_plan_says_and_not_many_are_made_in_an_hour() {
    let world = World::with_tenant();
    for _ in 0..5 {
        make(&world).expect(201);
    }
    make(&world).refused(409, "too_many_keys");
    let customer = with_customer(&world);
    let (license, _) =
        license(&world, &customer, json!({ "overrides": { "limits": { "maxApiKeys": 20 } } }));
    world
        .as_owner("PATCH", "/api/v1/tenants/acme")
        .header("if-match", "*")
        .json(&json!({ "license": license }))
        .send()
        .expect(200);
    world.clock.advance_secs(60);
    for _ in 0..5 {
        make(&world).expect(201);
    }
    let refused = make(&world);
    refused.refused(429, "too_many_keys_made");
    assert_eq!(refused.header("retry-after"), Some("3541"));
    let one = world.get(KEYS).expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    rotate(&world, &one, json!({})).refused(429, "too_many_keys_made");
    // Revoking makes room for another key, not for haste.
    world.as_owner("DELETE", &format!("{KEYS}/{one}")).send().expect(204);
    make(&world).refused(429, "too_many_keys_made");
    world.clock.advance_secs(3541);
    make(&world).expect(201);
}

/// A release of `shop` whose app is given these variables.
fn release(world: &World, environment: &str) {
    let source =
        SHOP.replace("      SEATS: ${SEATS}\n", &format!("      SEATS: ${{SEATS}}\n{environment}"));
    world.post("/api/v1/blueprints", json!({ "source": source })).expect(201);
}

fn deploy(world: &World, release: u32) -> Answer {
    world.post("/api/v1/tenants/acme/deploy", json!({ "release": release }))
}

#[test]
fn a_deploy_that_needs_a_key_or_a_license_is_refused_without() {
    let world = World::with_tenant();
    release(&world, "      LICENSE: ${FREEHOLD_LICENSE_KEY}\n");
    release(&world, "      KEY: ${FREEHOLD_TENANT_KEY}\n");
    let refused = deploy(&world, 2);
    assert_eq!(refused.pointers(), ["/license"]);
    assert!(refused.text.contains("FREEHOLD_LICENSE_KEY"), "{}", refused.text);
    for _ in 0..5 {
        make(&world).expect(201);
    }
    deploy(&world, 3).refused(409, "too_many_keys");
    let one = world.get(KEYS).expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    world.as_owner("DELETE", &format!("{KEYS}/{one}")).send().expect(204);
    deploy(&world, 3).expect(202);
}

#[test]
fn a_key_that_the_app_has_is_replaced_by_a_job_and_never_shown() {
    let world = World::with_tenant();
    release(&world, "      KEY: ${FREEHOLD_TENANT_KEY}\n");
    for _ in 0..4 {
        make(&world).expect(201);
    }
    let key: TenantKeyId = id(&make(&world).expect(201)).parse().unwrap();
    let tenant = world.get("/api/v1/tenants/acme").expect(200);
    let tenant: TenantId = tenant["id"].as_str().unwrap().parse().unwrap();
    let keys = world.portal.keys.current();
    world
        .portal
        .db
        .write(move |tx| {
            let (row, owner) = (key.to_string(), tenant.to_string());
            let place = Place {
                table: "tenant_keys",
                column: "sealed",
                row: &row,
                tenant: &owner,
                version: 1,
            };
            let sealed = keys.master().seal(&place, &Secret::new("fhl_live_x".into()))?;
            delivered_keys::mark(tx, key, &sealed, 3600)
        })
        .unwrap();
    let rotate = || rotate(&world, &key.to_string(), json!({ "graceHours": 1 }));
    // It waits for its first deploy, and then there is nothing yet to deploy anew.
    rotate().refused(409, "key_not_delivered");
    let job = JobId::from_uuid(uuid::Uuid::now_v7());
    world
        .portal
        .db
        .write(move |tx| {
            delivered_keys::note_sent(tx, key, job)?;
            delivered_keys::note_arrived(tx, key)
        })
        .unwrap();
    rotate().refused(409, "not_deployed");
    world
        .portal
        .db
        .write(move |tx| deployments::note_deployed(tx, tenant, &running(tenant), true))
        .unwrap();

    // Five are the most: the one that replaces another needs no room of its own.
    let made = rotate().expect(201);
    assert_eq!((made.get("secret"), &made["key"]["delivery"]), (None, &json!("pending")));
    let job = world.get(&format!("/api/v1/jobs/{}", made["job"].as_str().unwrap())).expect(200);
    assert_eq!((&job["kind"], &job["tenant"]), (&json!("deploy_tenant"), &json!("acme")));
    assert_eq!(states(&world), ["valid"; 6]);
    rotate().refused(409, "key_not_delivered");
    make(&world).refused(409, "too_many_keys");
}

/// What a host reports of release 2, in short.
fn running(tenant: TenantId) -> Deployed {
    serde_json::from_value(json!({
        "project": "acme_shop", "domain": "acme.example.com", "endpoints": {}, "ports": {},
        "release": { "blueprint": "shop", "number": 2, "digest": "0".repeat(64) },
        "health": { "tenant": tenant, "at": 1, "status": "healthy", "containers": [], "problems": [] },
    }))
    .unwrap()
}

#[test]
fn what_is_forgotten_of_old_keys_is_counted_in_the_audit_log() {
    let world = World::with_tenant();
    let made = make(&world).expect(201);
    make(&world).expect(201);
    world.as_owner("DELETE", &format!("{KEYS}/{}", id(&made))).send().expect(204);
    let customer = with_customer(&world);
    license(&world, &customer, json!({ "expiresAt": world.portal.db.now().as_millis() + 1000 }));
    let upkeep = || freehold_portal::licensing::Desk::upkeep(&world.portal).unwrap();
    world.clock.advance_secs(91 * 86_400);
    upkeep();
    assert_eq!(states(&world), ["valid"]);
    let swept = world.audited("retention.sweep");
    assert_eq!(swept.len(), 1);
    assert_eq!(
        (&swept[0]["actor"], &swept[0]["detail"]),
        (&json!("system"), &json!({ "tenantKeys": 1 }))
    );
}
