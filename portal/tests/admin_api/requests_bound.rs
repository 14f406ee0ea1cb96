//! What was approved is not changed before it runs.

use serde_json::{Value, json};

use crate::{licensing::license, requests_world::Shop};

#[test]
fn a_tenant_is_changed_only_once_what_was_approved_runs() {
    let shop = Shop::new();
    let id = shop.requested();
    let job = shop.approve(&id).expect(202)["job"].as_str().unwrap().to_owned();
    let (other, _) = license(&shop.world, &shop.customer, json!({}));
    let patch = |body: &Value| shop.ask(&shop.operator, "PATCH", "/api/v1/tenants/acme", body);
    let bodies = [
        json!({ "license": other }),
        json!({ "license": null }),
        json!({ "domain": "other.example.com" }),
        json!({ "certificate": { "source": "installed", "name": "wildcard" } }),
        json!({ "settings": { "GREETING": "bye" } }),
        json!({ "name": "Another" }),
    ];
    let refused = || {
        for body in &bodies {
            let refused = patch(body).refused(409, "approved_as_is");
            assert!(refused["advice"].as_str().unwrap().contains("freehold request create"));
        }
    };
    refused();
    // What changes nothing is no change.
    patch(&json!({ "license": shop.license })).expect(200);
    shop.world.post(&format!("/api/v1/jobs/{job}/cancel"), json!({})).expect(202);
    assert_eq!(shop.status(&id), "failed");
    refused();
    shop.decide(&shop.operator, &id, "retry", &Value::Null).expect(202);
    let tenant = shop.world.get("/api/v1/tenants/acme").expect(200);
    assert_eq!(tenant["license"], json!(shop.license));
    // Once it has run it is changed as ever.
    shop.sql("UPDATE tenants SET status = 'active', release_deployed = 1, deployed_at = 7");
    for body in &bodies {
        patch(body).expect(200);
    }
}
