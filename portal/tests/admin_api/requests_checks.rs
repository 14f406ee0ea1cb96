//! What is checked when a provision request is made and again when it is approved; what a host has left.

use freehold_portal::api::requests::MAX_PENDING;
use serde_json::{Value, json};

use crate::{
    harness::{SHOP, acme},
    licensing::license,
    requests_world::{MEMORY, REQUESTS, Shop},
};

#[test]
fn every_wrong_field_is_named_at_once() {
    let shop = Shop::new();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = shop.body();
        change(&mut body);
        shop.ask(&shop.operator, "POST", REQUESTS, &body)
    };
    let all = with(&|body| {
        body["customer"] = json!("x");
        body["deploymentModel"] = json!("shared");
        body["justification"] = json!("");
        body["slug"] = json!("A");
        body["license"] = json!("x");
        body["domain"] = json!("x");
    });
    assert_eq!(
        all.pointers(),
        ["/customer", "/deploymentModel", "/justification", "/slug", "/domain", "/license"]
    );
    assert!(all.text.contains("dedicated"));
    let nobody = "0190a000-0000-7000-8000-000000000001";
    for (field, value) in [
        ("customer", json!(nobody)),
        ("license", json!(nobody)),
        ("host", json!("vps-9")),
        ("blueprint", json!("none-such")),
        ("release", json!(7)),
    ] {
        let refused = with(&|body| body[field] = value.clone());
        assert_eq!(refused.pointers(), [format!("/{field}")]);
    }
    assert_eq!(with(&|body| body["settings"] = json!({})).pointers(), ["/settings/GREETING"]);
    assert_eq!(with(&|body| body["deploy"] = json!(true)).pointers(), ["/deploy"]);
    // A license of somebody else, and one that is worth nothing.
    let made = shop.world.post("/api/v1/customers", json!({ "name": "Other" })).expect(201);
    let (foreign, _) = license(&shop.world, made["id"].as_str().unwrap(), json!({}));
    let refused = with(&|body| body["license"] = json!(foreign));
    assert_eq!(refused.pointers(), ["/license"]);
    let suspend = format!("/api/v1/licenses/{}/suspend", shop.license);
    shop.world.post(&suspend, json!({ "reason": "unpaid" })).expect(200);
    with(&|_| {}).refused(409, "license_not_valid");
    assert_eq!(shop.world.get(REQUESTS).expect(200)["items"], json!([]));
}

#[test]
fn names_and_addresses_are_held_while_nobody_has_decided() {
    let shop = Shop::new();
    let id = shop.requested();
    let other = |slug: &str, domain: &str| {
        let mut body = shop.body();
        (body["slug"], body["domain"]) = (json!(slug), json!(domain));
        body
    };
    let ask = |body: &Value| shop.ask(&shop.operator, "POST", REQUESTS, body);
    let refused = ask(&other("acme", "b.example.com")).refused(409, "name_taken");
    assert!(refused["detail"].as_str().unwrap().contains(&id), "{refused}");
    ask(&other("beta", "acme.example.com")).refused(409, "domain_taken");
    // Whoever adds a tenant without a request does not get them either.
    let mut tenant = acme();
    shop.world.post("/api/v1/tenants", tenant.clone()).refused(409, "name_taken");
    tenant["slug"] = json!("beta");
    shop.world.post("/api/v1/tenants", tenant.clone()).refused(409, "domain_taken");
    tenant["domain"] = json!("beta.example.com");
    shop.world.post("/api/v1/tenants", tenant).expect(201);
    let moved = shop.ask(
        &shop.operator,
        "PATCH",
        "/api/v1/tenants/beta",
        &json!({ "domain": "acme.example.com" }),
    );
    moved.refused(409, "domain_taken");
    shop.approve(&id).expect(202);
    // Now the tenant has them.
    let refused = ask(&other("acme", "b.example.com")).refused(409, "name_taken");
    assert!(refused["detail"].as_str().unwrap().contains("already a tenant"), "{refused}");
}

#[test]
fn an_approval_looks_at_everything_again() {
    let shop = Shop::new();
    let license = |what: &str, body: Value| {
        shop.world.post(&format!("/api/v1/licenses/{}/{what}", shop.license), body).expect(200);
    };
    let id = shop.requested();
    license("suspend", json!({ "reason": "unpaid" }));
    let refused = shop.approve(&id).refused(409, "license_not_valid");
    assert!(!refused["advice"].as_str().unwrap().contains("tenant update"), "{refused}");
    license("reinstate", json!({}));
    // A plan that gives less by now.
    let quota = |memory: u64| {
        let body = json!({ "memoryMb": memory });
        shop.ask(&shop.world.owner, "PATCH", "/api/v1/plans/pro", &body).expect(200);
    };
    quota(MEMORY - 1);
    let refused = shop.approve(&id).refused(409, "request_outdated");
    assert!(refused["detail"].as_str().unwrap().contains("4096 MiB of memory"), "{refused}");
    quota(MEMORY);
    // A host that is full or was given up by now.
    let limit = |body: Value| {
        shop.ask(&shop.world.owner, "PATCH", "/api/v1/hosts/vps-1", &body).expect(200);
    };
    let mut beta = acme();
    (beta["slug"], beta["domain"]) = (json!("beta"), json!("beta.example.com"));
    shop.world.post("/api/v1/tenants", beta).expect(201);
    limit(json!({ "tenantLimit": 1 }));
    shop.approve(&id).refused(409, "host_full");
    limit(json!({ "tenantLimit": 0 }));
    shop.sql("UPDATE hosts SET revoked_at = 1");
    shop.approve(&id).refused(409, "host_revoked");
    shop.sql("UPDATE hosts SET revoked_at = NULL");
    // Somebody has got the name or the address past the portal.
    shop.sql("UPDATE tenants SET slug = 'acme'");
    shop.approve(&id).refused(409, "name_taken");
    shop.sql("UPDATE tenants SET slug = 'beta', domain = 'acme.example.com'");
    shop.approve(&id).refused(409, "domain_taken");
    shop.sql("UPDATE tenants SET domain = 'beta.example.com'");
    // The stored work is not what was asked for, or the release is not.
    shop.sql("UPDATE requests SET work = replace(work, 'Acme GmbH', 'Evil GmbH')");
    shop.approve(&id).refused(409, "work_changed");
    shop.sql("UPDATE requests SET work = replace(work, 'Evil GmbH', 'Acme GmbH')");
    shop.sql("UPDATE releases SET model = replace(model, 'shop/web:1.2.3', 'shop/web:6.6.6')");
    shop.approve(&id).refused(409, "work_changed");
    shop.sql("UPDATE releases SET model = replace(model, 'shop/web:6.6.6', 'shop/web:1.2.3')");
    assert_eq!((shop.status(&id).as_str(), shop.tenants()), ("pending", 1));
    license("revoke", json!({ "reason": "gone" }));
    shop.approve(&id).refused(409, "request_outdated");
    assert!(shop.world.audited("request.approve").is_empty());
}

#[test]
fn the_approver_sees_what_the_host_has_and_what_would_be_left() {
    let shop = Shop::new();
    let id = shop.requested();
    let capacity = shop.show(&id)["capacity"].clone();
    assert_eq!(
        capacity["memoryMb"],
        json!({ "total": 16_384, "free": 16_384, "promised": 0, "takes": 4096, "left": 12_288 })
    );
    assert_eq!(
        capacity["cpuMillis"],
        json!({ "total": 8000, "promised": 0, "takes": 1000, "left": 7000 })
    );
    assert_eq!((&capacity["tenants"], &capacity["lacks"]), (&json!(0), &json!([])));
    assert!(capacity["reportedAt"].is_number());
    shop.approve(&id).expect(202);
    assert_eq!(shop.show(&id).get("capacity"), None);

    // What was approved and does not run yet is promised.
    let mut body = shop.body();
    (body["slug"], body["domain"]) = (json!("beta"), json!("beta.example.com"));
    let second = shop.requested_with(&body);
    let memory = shop.show(&second)["capacity"]["memoryMb"].clone();
    assert_eq!((&memory["promised"], &memory["left"]), (&json!(4096), &json!(8192)));

    // On a smaller host the second falls short.
    shop.report_capacity(6000, 8, 200);
    let capacity = shop.show(&second)["capacity"].clone();
    assert_eq!(capacity["lacks"], json!(["2192 MiB of memory"]));
    assert_eq!(capacity["memoryMb"]["left"], -2192);
    let refused = shop.approve(&second).refused(409, "capacity_short");
    assert!(refused["detail"].as_str().unwrap().contains("2192 MiB of memory"), "{refused}");
    assert!(refused["advice"].as_str().unwrap().contains("--despite-capacity"), "{refused}");
    // A job that is cancelled takes nothing any more.
    let first = shop.show(&id);
    let cancel = format!("/api/v1/jobs/{}/cancel", first["job"].as_str().unwrap());
    shop.world.post(&cancel, json!({})).expect(202);
    assert_eq!(shop.show(&second)["capacity"]["lacks"], json!([]));
    shop.report_capacity(2000, 8, 200);
    let despite = json!({ "despiteCapacity": true });
    let approved = shop.decide(&shop.approver, &second, "approve", &despite).expect(202);
    assert_eq!(approved["despiteCapacity"], true);
    assert_eq!(shop.world.audited("request.approve")[1]["detail"]["despiteCapacity"], true);
}

#[test]
fn of_a_host_that_has_never_reported_nothing_is_known() {
    let shop = Shop::new();
    shop.sql("DELETE FROM inventories");
    let id = shop.requested();
    let capacity = shop.show(&id)["capacity"].clone();
    assert_eq!((capacity.get("memoryMb"), capacity.get("reportedAt")), (None, None));
    shop.approve(&id).refused(409, "capacity_short");
    shop.decide(&shop.approver, &id, "approve", &json!({ "despiteCapacity": true })).expect(202);
}

#[test]
fn where_approval_is_required_a_first_deployment_needs_a_request() {
    let shop = Shop::with(|config| config.approval_required = true);
    let deploy = || shop.world.as_owner("POST", "/api/v1/tenants/acme/deploy").send();
    let mut body = acme();
    body["deploy"] = json!(true);
    let refused = shop.world.post("/api/v1/tenants", body).refused(409, "approval_required");
    assert!(refused["advice"].as_str().unwrap().contains("freehold request create"), "{refused}");
    assert_eq!(shop.tenants(), 0);
    let id = shop.requested();
    let job = shop.approve(&id).expect(202)["job"].as_str().unwrap().to_owned();
    shop.world.post(&format!("/api/v1/jobs/{job}/cancel"), json!({})).expect(202);
    let refused = deploy().refused(409, "approval_required");
    let next = format!("freehold request retry {id}");
    assert!(refused["advice"].as_str().unwrap().contains(&next), "{refused}");
    // The approved job itself may be tried again.
    shop.world.as_owner("POST", &format!("/api/v1/jobs/{job}/retry")).send().expect(202);
    shop.world.post(&format!("/api/v1/jobs/{job}/cancel"), json!({})).expect(202);
    // A tenant that has run once is deployed as ever.
    shop.sql("UPDATE tenants SET status = 'active', release_deployed = 1, deployed_at = 7");
    deploy().expect(202);
}

#[test]
fn a_job_from_before_approval_was_required_needs_one_now() {
    let shop = Shop::with(|config| config.approval_required = true);
    shop.world.post("/api/v1/tenants", acme()).expect(201);
    let id = |path: &str| shop.world.get(path).expect(200)["id"].as_str().unwrap().to_owned();
    let (tenant, host) = (id("/api/v1/tenants/acme"), id("/api/v1/hosts/vps-1"));
    let job = "0190a000-0000-7000-8000-00000000000a";
    let work = include_str!("../../../protocol/tests/wire/job-deploy-tenant.json");
    let work: Value = serde_json::from_str(work).unwrap();
    shop.sql(&format!(
        "INSERT INTO jobs (id, host_id, tenant_id, kind, work, state, attempt, max_attempts, not_before, expires_at,
             expiry_secs, timeout_secs, actor, created_at, updated_at)
         VALUES ('{job}', '{host}', '{tenant}', 'deploy_tenant', '{}', 'cancelled', 1, 3, 1, 1, 60, 60, 'x', 1, 1)",
        work["work"].to_string().replace('\'', "''")
    ));
    let retry = shop.world.as_owner("POST", &format!("/api/v1/jobs/{job}/retry")).send();
    retry.refused(409, "approval_required");
}

#[test]
fn what_a_request_names_is_not_taken_from_under_it() {
    let shop = Shop::new();
    let id = shop.requested();
    shop.world.as_owner("DELETE", "/api/v1/hosts/vps-1").send().refused(409, "host_in_use");
    let revoke = format!("/api/v1/licenses/{}/revoke", shop.license);
    shop.world.post(&revoke, json!({ "reason": "over" })).expect(200);
    let customer = format!("/api/v1/customers/{}", shop.customer);
    let remove = || shop.world.as_owner("DELETE", &customer).send();
    let refused = remove().refused(409, "customer_in_use");
    assert!(refused["detail"].as_str().unwrap().contains(&id), "{refused}");
    shop.decide(&shop.operator, &id, "withdraw", &Value::Null).expect(200);
    // A closed request goes with its customer; the audit log keeps what was asked for.
    remove().expect(204);
    shop.world.get(&format!("{REQUESTS}/{id}")).refused(404, "not_found");
    assert_eq!(shop.world.audited("request.create")[0]["objectId"], json!(id));
    shop.world.as_owner("DELETE", "/api/v1/hosts/vps-1").send().expect(204);
}

#[test]
fn what_could_never_be_signed_is_refused_before_anybody_looks_at_it() {
    let shop = Shop::new();
    let declared: String = (0..64).map(|n| format!("    S{n}: {{}}\n")).collect();
    let used: String = (0..64).map(|n| format!("      S{n}: ${{S{n}}}\n")).collect();
    let source = SHOP
        .replace("product: shop", "product: large")
        .replace(
            "    SEATS: { kind: int, default: \"5\" }\n",
            &format!("    SEATS: {{ kind: int }}\n{declared}"),
        )
        .replace("      SEATS: ${SEATS}\n", &format!("      SEATS: ${{SEATS}}\n{used}"));
    shop.world.post("/api/v1/blueprints", json!({ "source": source })).expect(201);
    let ask = |bytes: usize| {
        let mut body = shop.body();
        body["blueprint"] = json!("large");
        for n in 0..64 {
            body["settings"][format!("S{n}")] = json!("x".repeat(bytes));
        }
        shop.ask(&shop.operator, "POST", REQUESTS, &body)
    };
    assert_eq!(ask(4096).pointers(), ["/settings"]);
    ask(2048).expect(201);
}

#[test]
fn so_many_requests_wait_and_no_more() {
    let shop = Shop::new();
    let id = shop.requested();
    let mut copies = "CREATE TEMP TABLE copy AS SELECT * FROM requests;".to_owned();
    for n in 1..MAX_PENDING {
        copies.push_str(&format!(
            "UPDATE copy SET id = '{n:036}', tenant_id = '{n}', slug = 's{n}', domain = 'd{n}';
             INSERT INTO requests SELECT * FROM copy;"
        ));
    }
    shop.sql(&format!("BEGIN; {copies} COMMIT;"));
    let mut body = shop.body();
    (body["slug"], body["domain"]) = (json!("beta"), json!("beta.example.com"));
    let ask = || shop.ask(&shop.operator, "POST", REQUESTS, &body);
    ask().refused(409, "requests_full");
    shop.decide(&shop.operator, &id, "withdraw", &Value::Null).expect(200);
    ask().expect(201);
}
