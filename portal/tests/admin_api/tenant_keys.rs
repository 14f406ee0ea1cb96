//! API keys of tenants, as admins make them.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, World},
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
