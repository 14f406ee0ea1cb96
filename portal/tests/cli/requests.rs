//! Provision requests by command: what is sent and printed.

use serde_json::{Value, json};

use super::fake::{Fake, World};

const ID: &str = "01890000-0000-7000-8000-00000000abcd";
const JOB: &str = "01890000-0000-7000-8000-00000000ef01";

fn request(status: &str) -> Value {
    json!({
        "id": ID, "status": status, "customer": ID, "customerName": "Acme GmbH", "license": ID,
        "deploymentModel": "dedicated", "justification": "order\n47\u{1b}11", "host": "web-1", "hostId": ID,
        "tenant": ID, "slug": "acme", "name": "Acme", "domain": "acme.example.com", "blueprint": "shop",
        "release": 3, "digest": "ab".repeat(32), "requestedBy": "user:olga@example.com",
        "despiteCapacity": false, "generation": 7, "createdAt": 0, "updatedAt": 0,
    })
}

fn with(status: &str, more: Value) -> (u16, String) {
    let mut body = request(status);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    (200, body.to_string())
}

fn short() -> Value {
    json!({ "capacity": {
        "reportedAt": 0, "tenants": 3, "tenantLimit": 4, "lacks": ["512 MiB of memory"],
        "memoryMb": { "total": 8000, "free": 2000, "promised": 7000, "takes": 1512, "left": -512 },
        "cpuMillis": { "total": 8000, "promised": 3000, "takes": 1000, "left": 4000 },
        "diskGb": { "total": 100, "free": 90, "promised": 10, "takes": 5, "left": 85 },
    } })
}

#[test]
fn a_request_shows_what_would_be_left_and_what_falls_short() {
    let fake = Fake::start(vec![with("pending", short())]);
    let ran = World::new().run(Some(&fake), &["request", "show", ID], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for text in [
        "user:olga@example.com",
        "memory MiB  8000  2000  7000      1512   -512 (short)",
        "tenants     4     –     3         1      0",
        "web-1 LACKS 512 MiB of memory: approving it needs --despite-capacity",
    ] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
    let fake = Fake::start(vec![with(
        "failed",
        json!({ "job": JOB, "failure": { "class": "app", "what": "unhealthy", "advice": "fix it" } }),
    )]);
    let ran = World::new().run(Some(&fake), &["request", "show", ID], "");
    assert!(ran.out.contains("unhealthy (app)"), "{}", ran.out);
    assert!(
        ran.out.contains(&format!("fix it; then `freehold request retry {ID}`")),
        "{}",
        ran.out
    );
}

#[test]
fn an_approval_names_the_version_that_was_read() {
    let fake = Fake::start(vec![
        with("pending", short()),
        with(
            "approved",
            json!({ "job": JOB, "decidedBy": "user:paul@example.com", "decidedAt": 0 }),
        ),
    ]);
    let args = ["request", "approve", ID, "--despite-capacity", "--comment", "memory is ordered"];
    let ran = World::new().run(Some(&fake), &args, "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains(&format!("freehold job watch {JOB}")), "{}", ran.out);
    let asked = fake.asked();
    assert!(asked[0].line.starts_with(&format!("GET /api/v1/requests/{ID} ")), "{}", asked[0].line);
    let line = format!("POST /api/v1/requests/{ID}/approve ");
    assert!(asked[1].line.starts_with(&line), "{}", asked[1].line);
    assert!(asked[1].headers.contains(&r#"if-match: "7""#.to_owned()), "{:?}", asked[1].headers);
    let body: Value = serde_json::from_str(&asked[1].body).unwrap();
    assert_eq!(body, json!({ "comment": "memory is ordered", "despiteCapacity": true }));
}

#[test]
fn a_request_is_made_for_a_customer_by_its_organization() {
    let customer = json!({ "id": ID, "name": "Acme GmbH", "organizationId": "acme-org", "licenses": 1,
        "generation": 3, "createdBy": "x", "createdAt": 0, "updatedAt": 0 });
    let fake = Fake::start(vec![
        (200, json!({ "items": [customer] }).to_string()),
        (201, request("pending").to_string()),
    ]);
    let args = [
        "request",
        "create",
        "acme",
        "--name",
        "Acme",
        "--domain",
        "acme.example.com",
        "--host",
        "web-1",
        "--blueprint",
        "shop",
        "--customer",
        "acme-org",
        "--license",
        ID,
        "--justification",
        "order 4711",
        "--set",
        "THEME=dark",
        "--certificate",
        "installed:wild",
    ];
    let ran = World::new().run(Some(&fake), &args, "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains(&format!("freehold request approve {ID}")), "{}", ran.out);
    let body: Value = serde_json::from_str(&fake.asked()[1].body).unwrap();
    assert_eq!(
        body,
        json!({
            "customer": ID, "license": ID, "justification": "order 4711", "slug": "acme", "name": "Acme",
            "domain": "acme.example.com", "host": "web-1", "blueprint": "shop",
            "settings": { "THEME": "dark" }, "certificate": { "source": "installed", "name": "wild" },
        })
    );
}

#[test]
fn requests_are_listed_rejected_withdrawn_and_tried_again() {
    let page = json!({ "items": [request("pending")] }).to_string();
    let fake = Fake::start(vec![(200, page)]);
    let ran = World::new().run(Some(&fake), &["request", "list", "--status", "pending"], "");
    assert!(ran.out.contains("shop:3") && ran.out.contains("pending"), "{}", ran.out);
    assert!(fake.asked()[0].line.contains("status=pending"), "{}", fake.asked()[0].line);

    let fake =
        Fake::start(vec![with("pending", json!({})), with("rejected", json!({ "comment": "no" }))]);
    let ran = World::new().run(Some(&fake), &["request", "reject", ID, "--comment", "no"], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(fake.asked()[1].headers.contains(&r#"if-match: "7""#.to_owned()));
    assert_eq!(fake.asked()[1].body, r#"{"comment":"no"}"#);
    // Without a reason nothing is asked at all.
    let ran = World::new().run(None, &["request", "reject", ID], "");
    assert_eq!(ran.code, 2, "{}", ran.err);

    for (what, status) in [("withdraw", "withdrawn"), ("retry", "approved")] {
        let fake = Fake::start(vec![with(status, json!({ "job": JOB }))]);
        let ran = World::new().run(Some(&fake), &["request", what, ID, "--json"], "");
        assert_eq!(ran.code, 0, "{}", ran.err);
        let shown: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&shown["status"], &shown["job"]), (&json!(status), &json!(JOB)));
        let line = format!("POST /api/v1/requests/{ID}/{what} ");
        assert!(fake.asked()[0].line.starts_with(&line), "{}", fake.asked()[0].line);
    }
}
