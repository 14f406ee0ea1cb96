//! Provision requests: asked for by one, decided by another.

use std::{collections::BTreeMap, thread};

use freehold_portal::{config::Config, db};
use freehold_protocol::{
    ids::{AgentId, HostName},
    report::HostFacts,
    time::Timestamp,
    wire::Inventory,
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, World, acme},
    licensing::{license, with_customer},
};

const REQUESTS: &str = "/api/v1/requests";
/// What the blueprint of these tests takes of a host.
const MEMORY: u64 = 4096;

/// A world with a host of known size, a customer with a license, and people.
struct Shop {
    world: World,
    customer: String,
    license: String,
    operator: String,
    approver: String,
}

impl Shop {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let world = World::with(change);
        world.add_host_and_blueprint();
        let customer = with_customer(&world);
        let (license, _) = license(&world, &customer, json!({}));
        for (login, role) in [("olga@example.com", "operator"), ("paul@example.com", "approver")] {
            world.user(login, role);
        }
        let access = |login: &str| world.session(login)["accessToken"].as_str().unwrap().to_owned();
        let (operator, approver) = (access("olga@example.com"), access("paul@example.com"));
        let shop = Self { world, customer, license, operator, approver };
        shop.report_capacity(16_384, 8, 200);
        shop
    }

    /// What the host's agent says of its machine.
    fn report_capacity(&self, memory: u64, cpus: u32, disk_gb: u64) {
        let facts = HostFacts {
            at: Timestamp::from_millis(1),
            os: "Debian".into(),
            kernel: "6".into(),
            arch: "x86_64".into(),
            memory_total_mib: memory,
            memory_available_mib: memory,
            cpus,
            load_percent: 0,
            disk_total_mib: disk_gb * 1024,
            disk_available_mib: disk_gb * 1024,
            tools: BTreeMap::new(),
            problems: Vec::new(),
        };
        let inventory = Inventory { facts, tenants: Vec::new(), ports: Vec::new() };
        let put = move |tx: &db::Tx<'_>| {
            let name: HostName = "vps-1".parse().unwrap();
            let host = db::hosts::by_name(tx, &name)?.unwrap();
            let agent = AgentId::from_uuid(host.id.as_uuid());
            db::inventory::put(tx, host.id, agent, &inventory)
        };
        self.world.portal.db.write(put).unwrap();
    }

    fn body(&self) -> Value {
        let mut body = acme();
        body["customer"] = json!(self.customer);
        body["license"] = json!(self.license);
        body["justification"] = json!("Acme has signed.\nOrder 4711.");
        body
    }

    fn ask(&self, who: &str, method: &str, path: &str, body: &Value) -> Answer {
        let call = self.world.call(method, path).bearer(who).header("if-match", "*");
        if body.is_null() { call.send() } else { call.json(body).send() }
    }

    /// What the operator has asked for.
    fn requested(&self) -> String {
        self.requested_with(&self.body())
    }

    fn requested_with(&self, body: &Value) -> String {
        let made = self.ask(&self.operator, "POST", REQUESTS, body).expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    fn decide(&self, who: &str, id: &str, what: &str, body: &Value) -> Answer {
        self.ask(who, "POST", &format!("{REQUESTS}/{id}/{what}"), body)
    }

    fn approve(&self, id: &str) -> Answer {
        self.decide(&self.approver, id, "approve", &json!({ "comment": "fine" }))
    }

    fn show(&self, id: &str) -> Value {
        self.world.get(&format!("{REQUESTS}/{id}")).expect(200)
    }

    fn status(&self, id: &str) -> String {
        self.show(id)["status"].as_str().unwrap().to_owned()
    }

    fn sql(&self, text: &str) {
        rusqlite::Connection::open(self.world.portal.db.path())
            .unwrap()
            .execute_batch(text)
            .unwrap();
    }

    fn tenants(&self) -> usize {
        self.world.get("/api/v1/tenants").expect(200)["items"].as_array().unwrap().len()
    }
}

#[test]
fn what_one_asks_for_another_approves_and_the_job_carries_it() {
    let shop = Shop::new();
    let made = shop.ask(&shop.operator, "POST", REQUESTS, &shop.body());
    let request = made.expect(201);
    let id = request["id"].as_str().unwrap();
    assert_eq!(made.header("location"), Some(format!("{REQUESTS}/{id}").as_str()));
    assert_eq!(made.header("etag"), Some("\"1\""));
    assert_eq!(
        (&request["status"], &request["requestedBy"], &request["deploymentModel"]),
        (&json!("pending"), &json!("user:olga@example.com"), &json!("dedicated"))
    );
    assert_eq!(request["detail"]["settings"], json!({ "GREETING": "hello" }));
    assert_eq!(request["detail"]["adminName"], "Anna");
    assert_eq!((shop.tenants(), request.get("job")), (0, None));

    let approved = shop.approve(id);
    assert_eq!(approved.header("etag"), Some("\"2\""));
    let approved = approved.expect(202);
    assert_eq!(
        (&approved["status"], &approved["decidedBy"], &approved["comment"]),
        (&json!("approved"), &json!("user:paul@example.com"), &json!("fine"))
    );
    assert_eq!(approved["digest"], request["digest"]);
    let tenant = shop.world.get("/api/v1/tenants/acme").expect(200);
    assert_eq!(
        (&tenant["id"], &tenant["license"], &tenant["openJob"], &tenant["adminName"]),
        (&request["tenant"], &json!(shop.license), &approved["job"], &json!("Anna"))
    );
    assert_eq!(tenant["createdBy"], "user:olga@example.com");
    let job = shop.world.get(&format!("/api/v1/jobs/{}", approved["job"].as_str().unwrap()));
    let job = job.expect(200);
    assert_eq!((&job["state"], &job["kind"]), (&json!("queued"), &json!("deploy_tenant")));
    let rows = shop.world.audited("request.approve");
    assert_eq!(
        (&rows[0]["actor"], &rows[0]["objectId"], &rows[0]["detail"]["digest"]),
        (&json!("user:paul@example.com"), &json!(id), &request["digest"])
    );
    assert_eq!(rows[0]["detail"]["requestedBy"], "user:olga@example.com");
    for action in ["request.create", "tenant.create", "job.queue"] {
        assert_eq!(shop.world.audited(action).len(), 1, "{action}");
    }
}

#[test]
fn nobody_approves_what_they_have_asked_for_whichever_of_their_keys_they_use() {
    let shop = Shop::new();
    let world = &shop.world;
    for login in ["otto@example.com", "ida@example.com"] {
        world.user(login, "owner");
    }
    let session = |login: &str| world.session(login)["accessToken"].as_str().unwrap().to_owned();
    let (otto, ida) = (session("otto@example.com"), session("ida@example.com"));
    let mint = |by: &str, name: &str, role: &str| {
        let body = json!({ "name": name, "role": role });
        let made = shop.ask(by, "POST", "/api/v1/tokens", &body).expect(201);
        made["secret"].as_str().unwrap().to_owned()
    };
    let his = mint(&otto, "otto-approves", "approver");
    let his_owner = mint(&otto, "otto-script", "owner");
    let his_by_his = mint(&his_owner, "otto-by-script", "approver");
    let made = shop.ask(&otto, "POST", REQUESTS, &shop.body()).expect(201);
    let id = made["id"].as_str().unwrap();
    for own in [&otto, &his, &his_owner, &his_by_his, &session("otto@example.com")] {
        let refused = shop.decide(own, id, "approve", &Value::Null).refused(403, "four_eyes");
        assert!(refused["detail"].as_str().unwrap().contains("user:otto@example.com"));
    }
    assert_eq!((shop.status(id).as_str(), shop.tenants()), ("pending", 0));
    shop.decide(&ida, id, "approve", &Value::Null).expect(202);

    // The other way round: asked for with a token, approved by whoever made it.
    let mut body = shop.body();
    (body["slug"], body["domain"]) = (json!("beta"), json!("beta.example.com"));
    let made = shop.ask(&his_owner, "POST", REQUESTS, &body).expect(201);
    let id = made["id"].as_str().unwrap();
    for own in [&otto, &his, &his_by_his] {
        shop.decide(own, id, "approve", &Value::Null).refused(403, "four_eyes");
    }
    // Two tokens that the first owner's has made are two persons; that one itself made both.
    (body["slug"], body["domain"]) = (json!("gamma"), json!("gamma.example.com"));
    let (one, two) = (world.token("one", "operator"), world.token("two", "approver"));
    let made = shop.ask(&one, "POST", REQUESTS, &body).expect(201);
    let id = made["id"].as_str().unwrap();
    shop.decide(&world.owner, id, "approve", &Value::Null).refused(403, "four_eyes");
    shop.decide(&two, id, "approve", &json!({ "despiteCapacity": true })).expect(202);
}

#[test]
fn one_person_alone_may_switch_it_off() {
    let shop = Shop::with(|config| config.four_eyes = false);
    let owner = &shop.world.owner;
    let made = shop.ask(owner, "POST", REQUESTS, &shop.body()).expect(201);
    shop.decide(owner, made["id"].as_str().unwrap(), "approve", &Value::Null).expect(202);
    assert_eq!(shop.world.audited("request.approve")[0]["detail"]["fourEyes"], false);
}

#[test]
fn every_role_does_its_part_and_no_other() {
    let shop = Shop::new();
    let id = shop.requested();
    let viewer = shop.world.token("viewer", "viewer");
    for who in [&viewer, &shop.approver] {
        shop.ask(who, "POST", REQUESTS, &shop.body()).refused(403, "forbidden");
        shop.decide(who, &id, "withdraw", &Value::Null).refused(403, "forbidden");
        shop.decide(who, &id, "retry", &Value::Null).refused(403, "forbidden");
        shop.ask(who, "GET", &format!("{REQUESTS}/{id}"), &Value::Null).expect(200);
    }
    for who in [&viewer, &shop.operator] {
        shop.decide(who, &id, "approve", &Value::Null).refused(403, "forbidden");
        shop.decide(who, &id, "reject", &json!({ "comment": "no" })).refused(403, "forbidden");
    }
    // Another operator does not take it back; an owner may.
    let other = shop.world.token("other", "operator");
    shop.decide(&other, &id, "withdraw", &Value::Null).refused(403, "not_yours");
    let withdrawn = shop.decide(&shop.world.owner, &id, "withdraw", &Value::Null).expect(200);
    assert_eq!(withdrawn["status"], "withdrawn");
    let own = shop.requested();
    shop.decide(&shop.operator, &own, "withdraw", &Value::Null).expect(200);
    assert_eq!(shop.tenants(), 0);
}

#[test]
fn a_request_is_rejected_with_a_reason_and_decided_once() {
    let shop = Shop::new();
    let id = shop.requested();
    let reject = |body: Value| shop.decide(&shop.approver, &id, "reject", &body);
    assert_eq!(reject(json!({ "comment": " " })).pointers(), ["/comment"]);
    assert_eq!(reject(json!({ "comment": "a\u{1b}[2J" })).pointers(), ["/comment"]);
    assert_eq!(reject(json!({ "comment": "ä".repeat(2001) })).pointers(), ["/comment"]);
    let path = format!("{REQUESTS}/{id}/reject");
    let bare = shop.world.call("POST", &path).bearer(&shop.approver);
    bare.json(&json!({ "comment": "no" })).send().refused(428, "if_match_required");
    let rejected = reject(json!({ "comment": "too early" })).expect(200);
    assert_eq!(
        (&rejected["status"], &rejected["comment"]),
        (&json!("rejected"), &json!("too early"))
    );
    assert_eq!(rejected.get("capacity"), None);
    for (who, what, body) in [
        (&shop.approver, "approve", Value::Null),
        (&shop.approver, "reject", json!({ "comment": "again" })),
        (&shop.operator, "withdraw", Value::Null),
        (&shop.operator, "retry", Value::Null),
    ] {
        let refused = shop.decide(who, &id, what, &body).refused(409, "request_status");
        assert!(refused["detail"].as_str().unwrap().contains("rejected"), "{refused}");
    }
    // Its name and address are free again.
    shop.requested();
}

#[test]
fn who_approves_names_what_they_have_seen() {
    let shop = Shop::new();
    let id = shop.requested();
    let path = format!("{REQUESTS}/{id}/approve");
    let approve = |tag: Option<&str>| {
        let call = shop.world.call("POST", &path).bearer(&shop.approver);
        tag.map_or_else(
            || shop.world.call("POST", &path).bearer(&shop.approver),
            |tag| call.header("if-match", tag),
        )
        .send()
    };
    approve(None).refused(428, "if_match_required");
    approve(Some("\"7\"")).refused(412, "changed_meanwhile");
    approve(Some("\"1\"")).expect(202);
    approve(Some("\"1\"")).refused(412, "changed_meanwhile");
    approve(Some("\"2\"")).refused(409, "request_status");
}

#[test]
fn of_two_approvals_at_once_one_counts() {
    let shop = Shop::new();
    let id = shop.requested();
    let others: Vec<String> =
        (0..8).map(|n| shop.world.token(&format!("approver-{n}"), "approver")).collect();
    let answers: Vec<u16> = thread::scope(|scope| {
        let asked: Vec<_> = others
            .iter()
            .map(|who| scope.spawn(|| shop.decide(who, &id, "approve", &Value::Null).status))
            .collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 202).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 409).count(), 7, "{answers:?}");
    assert_eq!(shop.tenants(), 1);
    assert_eq!(shop.world.get("/api/v1/jobs").expect(200)["items"].as_array().unwrap().len(), 1);
}

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
fn a_request_that_failed_is_tried_again_without_a_second_approval() {
    let shop = Shop::new();
    let id = shop.requested();
    shop.decide(&shop.operator, &id, "retry", &Value::Null).refused(409, "request_status");
    let approved = shop.approve(&id).expect(202);
    let job = approved["job"].as_str().unwrap().to_owned();
    let cancel = || {
        let body = json!({ "reason": "wait" });
        shop.world.post(&format!("/api/v1/jobs/{job}/cancel"), body).expect(202);
    };
    cancel();
    let failed = shop.show(&id);
    assert_eq!(failed["status"], "failed");
    assert!(failed["failure"]["what"].as_str().unwrap().contains("cancelled"), "{failed}");
    // By the request.
    let again = shop.decide(&shop.operator, &id, "retry", &Value::Null).expect(202);
    assert_eq!((&again["status"], &again["job"]), (&json!("approved"), &json!(job)));
    assert_eq!((again.get("failure"), &again["digest"]), (None, &approved["digest"]));
    cancel();
    // By its job.
    shop.world.as_owner("POST", &format!("/api/v1/jobs/{job}/retry")).send().expect(202);
    assert_eq!(shop.status(&id), "approved");
    // Time brings it to rest, and ends sessions.
    shop.world.clock.advance_secs(3601);
    freehold_portal::app::reap::run(&shop.world.portal).unwrap();
    assert_eq!(shop.status(&id), "failed");
    // A license that is worth nothing now is not tried again.
    let license = |what: &str, body: Value| {
        shop.world.post(&format!("/api/v1/licenses/{}/{what}", shop.license), body).expect(200);
    };
    license("suspend", json!({ "reason": "unpaid" }));
    shop.decide(&shop.world.owner, &id, "retry", &Value::Null).refused(409, "license_not_valid");
    license("reinstate", json!({}));
    // The job was deleted: the same work in a new one.
    shop.world.as_owner("DELETE", &format!("/api/v1/jobs/{job}")).send().expect(204);
    let anew = shop.decide(&shop.world.owner, &id, "retry", &Value::Null).expect(202);
    assert_eq!(anew["status"], "approved");
    assert_ne!(anew["job"], json!(job));
    let made = shop.world.audited("request.approve");
    assert_eq!((made.len(), shop.world.audited("request.retry").len()), (1, 2));
}

#[test]
fn forgetting_the_tenant_closes_its_failed_request() {
    let shop = Shop::new();
    let id = shop.requested();
    let job = shop.approve(&id).expect(202)["job"].as_str().unwrap().to_owned();
    shop.world.as_owner("DELETE", "/api/v1/tenants/acme").send().refused(409, "tenant_busy");
    shop.world.post(&format!("/api/v1/jobs/{job}/cancel"), json!({})).expect(202);
    shop.world.as_owner("DELETE", "/api/v1/tenants/acme").send().expect(204);
    assert_eq!(shop.status(&id), "withdrawn");
    shop.decide(&shop.operator, &id, "retry", &Value::Null).refused(409, "request_status");
    shop.requested();
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
fn requests_are_listed_newest_first_by_pages_and_by_status() {
    let shop = Shop::new();
    let ids: Vec<String> = (0..5)
        .map(|n| {
            let mut body = shop.body();
            (body["slug"], body["domain"]) =
                (json!(format!("t{n}")), json!(format!("t{n}.example.com")));
            shop.requested_with(&body)
        })
        .collect();
    shop.decide(&shop.approver, &ids[1], "reject", &json!({ "comment": "no" })).expect(200);
    let page = |query: &str| {
        let page = shop.world.get(&format!("{REQUESTS}?{query}")).expect(200);
        let items = page["items"].as_array().unwrap().iter();
        let found: Vec<String> =
            items.map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        (found, page.get("next").and_then(Value::as_str).map(str::to_owned))
    };
    let (first, next) = page("limit=2");
    assert_eq!(first, [ids[4].clone(), ids[3].clone()]);
    let (second, _) = page(&format!("limit=2&cursor={}", next.unwrap()));
    assert_eq!(second, [ids[2].clone(), ids[1].clone()]);
    assert_eq!(page("status=rejected").0, [ids[1].clone()]);
    assert_eq!(page("status=pending&limit=50").0.len(), 4);
    assert_eq!(page(&format!("customer={}", shop.customer)).0.len(), 5);
    assert_eq!(page("host=vps-9").0.len(), 0);
    shop.world.get(&format!("{REQUESTS}?status=none")).refused(400, "bad_query");
    // What is shown of many is no whole blueprint, and no capacity.
    let list = shop.world.get(REQUESTS).expect(200);
    assert!(list["items"][0].get("detail").is_none() && list["items"][0].get("capacity").is_none());
}

#[test]
fn a_repeat_with_the_same_key_makes_nothing_twice() {
    let shop = Shop::new();
    let create = || {
        shop.world
            .call("POST", REQUESTS)
            .bearer(&shop.operator)
            .header("idempotency-key", "k1")
            .json(&shop.body())
            .send()
    };
    let (first, second) = (create(), create());
    assert_eq!(first.expect(201)["id"], second.expect(201)["id"]);
    assert_eq!(first.header("etag"), second.header("etag"));
    assert_eq!(shop.world.get(REQUESTS).expect(200)["items"].as_array().unwrap().len(), 1);
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
