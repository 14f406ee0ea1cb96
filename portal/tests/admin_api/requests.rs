//! Provision requests: asked for by one, decided by another, tried again.

use std::thread;

use serde_json::{Value, json};

use crate::requests_world::{REQUESTS, Shop};

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
