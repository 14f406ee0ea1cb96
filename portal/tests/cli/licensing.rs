//! Plans, customers, licenses and tenant keys by command: what is sent and printed.

use serde_json::{Value, json};

use super::fake::{Fake, World};

const ID: &str = "01890000-0000-7000-8000-00000000abcd";
const KEY: &str = "FHL-7QK2M-00000-00000-00000-0000Z";

fn ok(body: Value) -> (u16, String) {
    (200, body.to_string())
}

fn page(item: Value) -> (u16, String) {
    ok(json!({ "items": [item] }))
}

fn customer() -> Value {
    json!({ "id": ID, "name": "Acme GmbH", "organizationId": "acme", "licenses": 1, "generation": 3,
            "createdBy": "token:anna", "createdAt": 0, "updatedAt": 0 })
}

fn license(status: &str) -> Value {
    json!({
        "id": ID, "keyHint": "FHL-7QK2M-…", "customer": ID, "customerName": "Acme GmbH", "plan": "pro",
        "status": status, "statusAt": 0, "statusReason": "un\u{1b}paid", "products": ["ats"], "features": ["export"],
        "limits": { "maxUsers": 25 }, "overrides": { "featuresAdded": ["export"] }, "tenants": ["acme"],
        "generation": 4, "createdBy": "token:anna", "createdAt": 0, "updatedAt": 0,
    })
}

fn plan() -> Value {
    json!({ "name": "pro", "title": "Pro", "products": ["ats"], "features": [], "limits": { "jobs": 5 },
            "maxApiKeys": 5, "quotas": { "memoryMb": 4096 }, "expiryStrategy": "grace", "graceDays": 7,
            "licenses": 2, "generation": 6, "createdBy": "token:anna", "createdAt": 0, "updatedAt": 0 })
}

fn body(fake: &Fake, request: usize) -> Value {
    serde_json::from_str(&fake.asked()[request].body).unwrap()
}

#[test]
fn a_license_is_made_for_a_customer_by_its_organization_and_only_its_key_is_output() {
    let made = json!({ "license": license("pending_deployment"), "key": KEY });
    let fake = Fake::start(vec![page(customer()), (201, made.to_string())]);
    let ran = World::new().run(
        Some(&fake),
        &[
            "license",
            "add",
            "--customer",
            "acme",
            "--plan",
            "pro",
            "--expires",
            "2027-12-31",
            "--add-feature",
            "api",
            "--limit",
            "maxUsers=40",
        ],
        "",
    );
    assert_eq!((ran.code, ran.out), (0, format!("{KEY}\n")), "{}", ran.err);
    assert!(ran.err.contains(ID) && !ran.err.contains(KEY), "{}", ran.err);
    let asked = fake.asked();
    assert!(
        asked[0].line.starts_with("GET /api/v1/customers?organizationId=acme&"),
        "{}",
        asked[0].line
    );
    assert_eq!(
        body(&fake, 1),
        json!({
            "customer": ID, "plan": "pro", "expiresAt": 1_830_297_600_000_i64,
            "overrides": { "productsAdded": [], "productsRemoved": [], "featuresAdded": ["api"],
                           "featuresRemoved": [], "limits": { "maxUsers": 40 } },
        })
    );
    let fake = Fake::start(vec![ok(json!({ "items": [] }))]);
    let ran = World::new().run(
        Some(&fake),
        &["license", "add", "--customer", "beta", "--plan", "pro"],
        "",
    );
    assert!(ran.code != 0 && ran.err.contains("freehold customer list"), "{ran:?}");
}

#[test]
fn a_license_is_shown_changed_and_suspended_and_hostile_text_does_not_steer_the_terminal() {
    let fake = Fake::start(vec![ok(license("suspended"))]);
    let reason = ["license", "suspend", ID, "--reason", "unpaid"];
    let ran = World::new().run(Some(&fake), &reason, "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("suspended since") && ran.out.contains("+export"), "{}", ran.out);
    assert!(ran.out.contains("un\u{fffd}paid") && !ran.out.contains('\u{1b}'), "{}", ran.out);
    assert_eq!(fake.asked()[0].line, format!("POST /api/v1/licenses/{ID}/suspend HTTP/1.1"));
    assert_eq!(body(&fake, 0), json!({ "reason": "unpaid" }));

    let fake = Fake::start(vec![ok(license("active")), ok(license("active"))]);
    let ran = World::new().run(Some(&fake), &["license", "update", ID, "--as-plan"], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(fake.asked()[1].headers.contains(&"if-match: \"4\"".into()));
    assert_eq!(body(&fake, 1)["overrides"]["featuresAdded"], json!([]));
    for wrong in [
        vec!["license", "update", ID],
        vec!["license", "update", ID, "--as-plan", "--add-feature", "x"],
        vec!["license", "renew", ID],
        vec!["license", "renew", ID, "--forever", "--expires", "2027-01-01"],
        vec!["license", "suspend", ID],
        vec!["plan", "update", "pro"],
        vec!["plan", "update", "pro", "--limit", "a=1", "--unlimit", "a"],
        vec!["plan", "add", "pro"],
        vec!["customer", "update", "acme"],
    ] {
        let fake = Fake::start(Vec::new());
        let ran = World::new().run(Some(&fake), &wrong, "");
        assert_eq!((ran.code, fake.asked().len()), (2, 0), "{wrong:?} {}", ran.err);
    }
}

#[test]
fn plans_customers_and_keys_are_listed_and_changed() {
    let fake = Fake::start(vec![page(plan())]);
    let ran = World::new().run(Some(&fake), &["plan", "list"], "");
    assert!(ran.out.contains("grace for 7 days") && ran.out.contains("open"), "{}", ran.out);
    let fake = Fake::start(vec![ok(plan()), ok(plan())]);
    let change =
        ["plan", "update", "pro", "--unlimit", "jobs", "--memory-mb", "0", "--no-features"];
    assert_eq!(World::new().run(Some(&fake), &change, "").code, 0);
    assert_eq!(
        body(&fake, 1),
        json!({ "limits": { "jobs": null }, "memoryMb": 0, "features": [] })
    );
    let fake = Fake::start(vec![ok(customer()), (204, String::new())]);
    let ran = World::new().run(Some(&fake), &["customer", "remove", ID], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(fake.asked()[1].headers.contains(&"if-match: \"3\"".into()));

    let key = json!({ "id": ID, "hint": "fhl_live_Ab…yz", "state": "valid", "createdBy": "x", "createdAt": 0 });
    let made = json!({ "key": key, "secret": "fhl_live_secret" });
    let fake = Fake::start(vec![(201, made.to_string())]);
    let ran = World::new().run(
        Some(&fake),
        &["tenant", "key", "rotate", "acme", ID, "--grace-hours", "1"],
        "",
    );
    assert_eq!((ran.code, ran.out), (0, "fhl_live_secret\n".into()), "{}", ran.err);
    assert_eq!(
        fake.asked()[0].line,
        format!("POST /api/v1/tenants/acme/keys/{ID}/rotate HTTP/1.1")
    );
    assert_eq!(body(&fake, 0), json!({ "graceHours": 1 }));
}

#[test]
fn a_key_that_the_app_has_is_replaced_by_a_job_and_revoked_only_when_that_is_meant() {
    let of = |delivery: Option<&str>| {
        json!({ "id": ID, "hint": "fhl_live_Ab…yz", "state": "valid", "createdBy": "system", "createdAt": 0,
                "delivery": delivery })
    };
    let fake =
        Fake::start(vec![(201, json!({ "key": of(Some("pending")), "job": ID }).to_string())]);
    let ran = World::new().run(Some(&fake), &["tenant", "key", "rotate", "acme", ID], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains(&format!("freehold job watch {ID}")), "{}", ran.out);
    let fake = Fake::start(vec![page(of(Some("pending")))]);
    let ran = World::new().run(Some(&fake), &["tenant", "key", "list", "acme"], "");
    assert!(ran.out.contains("app, not yet"), "{}", ran.out);

    let revoke = ["tenant", "key", "revoke", "acme", ID];
    let fake = Fake::start(vec![page(of(Some("done")))]);
    let ran = World::new().run(Some(&fake), &revoke, "");
    assert_eq!(fake.asked().len(), 1, "nothing was revoked");
    assert!(ran.code != 0 && ran.err.contains("--confirm acme"), "{}", ran.err);
    let fake = Fake::start(vec![page(of(Some("done"))), (204, String::new())]);
    let sure = [&revoke[..], &["--confirm", "acme"]].concat();
    let ran = World::new().run(Some(&fake), &sure, "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("freehold tenant deploy acme"), "{}", ran.out);
    assert!(fake.asked()[1].line.starts_with("DELETE "), "{}", fake.asked()[1].line);
    // Nobody's app has this one.
    let fake = Fake::start(vec![page(of(None)), (204, String::new())]);
    let ran = World::new().run(Some(&fake), &revoke, "");
    assert_eq!((ran.code, fake.asked().len()), (0, 2), "{}", ran.err);
}

#[test]
fn a_customers_other_organization_id_says_which_tenants_to_deploy_again() {
    let renamed = |organization: &str| {
        let mut after = customer();
        after["organizationId"] = json!(organization);
        ok(after)
    };
    let fake = Fake::start(vec![ok(customer()), page(license("active")), renamed("acme-group")]);
    let change = ["customer", "update", ID, "--organization", "acme-group"];
    let ran = World::new().run(Some(&fake), &change, "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("freehold tenant deploy acme\n"), "{}", ran.err);
    let asked = fake.asked();
    assert!(
        asked[1].line.starts_with(&format!("GET /api/v1/licenses?customer={ID}&")),
        "{}",
        asked[1].line
    );
    assert_eq!(body(&fake, 2), json!({ "organizationId": "acme-group" }));

    // The same again changes nothing for anybody.
    let fake = Fake::start(vec![ok(customer()), renamed("acme")]);
    let ran =
        World::new().run(Some(&fake), &["customer", "update", ID, "--organization", "acme"], "");
    assert_eq!((ran.code, &*ran.err, fake.asked().len()), (0, "", 2));
}
