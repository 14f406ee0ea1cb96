//! The sample app as one that speaks with the portal.

use freehold_tests::world::{Tenant, World};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// What the app must be told to trust the portal of a test: its authority, on one line.
pub fn authority(world: &World) -> String {
    let pem = world.portal_ref().tls().unwrap().authority.pem();
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// The app's own word about its license: the status and the document.
pub fn license_of(world: &World, tenant: &Tenant, query: &str) -> (u16, Value) {
    let answer = world.https(tenant, &format!("/api/license{query}"), &[]).unwrap();
    (answer.status, answer.json())
}

/// The portal says that the app's license is valid.
pub fn assert_valid(world: &World, tenant: &Tenant) {
    let (status, said) = license_of(world, tenant, "");
    let found = (status, said["by"].as_str(), said["code"].as_str());
    assert_eq!(found, (200, Some("portal"), Some("VALID")), "{said}");
}

/// The portal is away: the lease holds for a day, what is to be sent waits, and arrives once.
pub fn outlives_an_outage(world: &mut World, tenant: &Tenant) {
    let send = |world: &World, what: &str, body: Value| {
        let body = body.to_string();
        let path = format!("/api/portal/{what}");
        let answer = world.https(tenant, &path, &["--data", &body]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let line = |n: u32| json!({ "logs": [{ "level": "info", "message": format!("line {n}") }] });
    let calls = json!({ "metrics": [{ "name": "api.calls", "value": 5 }] });
    let waiting =
        |world: &World| world.https(tenant, "/api/portal", &[]).unwrap().json()["waiting"].clone();
    send(world, "logs", line(1));
    send(world, "usage", calls.clone());
    world.eventually("the portal has what was sent", SOON, |world| waiting(world) == 0);

    world.portal().stop();
    for (query, status, by) in
        [("", 200, "lease"), ("?ahead=600", 200, "lease"), ("?ahead=90000", 403, "lease")]
    {
        let (found, said) = license_of(world, tenant, query);
        assert_eq!((found, said["by"].as_str()), (status, Some(by)), "{query}: {said}");
    }
    for n in 2..=4 {
        send(world, "logs", line(n));
    }
    send(world, "usage", calls);
    assert_eq!(waiting(world), 4);
    world.portal().begin();
    world.eventually("the portal has what waited", SOON, |world| waiting(world) == 0);

    let logs = world.api().get(&format!("/tenants/{}/logs?limit=50", tenant.slug));
    let mut lines: Vec<_> = logs["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect();
    lines.sort();
    assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4"]);
    let usage = world.api().get(&format!("/tenants/{}/usage", tenant.slug));
    let sums: f64 =
        usage["items"].as_array().unwrap().iter().map(|day| day["sum"].as_f64().unwrap()).sum();
    assert!((sums - 10.0).abs() < 1e-9, "{usage}");
}

/// A license that an admin suspends is refused from the very next question on, whatever lease the app holds.
pub fn is_refused_when_suspended(world: &World, tenant: &Tenant, license: &str) {
    let change = |what: &str, body: Value| {
        world.api().call("POST", &format!("/licenses/{license}/{what}"), Some(&body)).expect(200);
    };
    assert_valid(world, tenant);
    change("suspend", json!({ "reason": "unpaid" }));
    let (status, said) = license_of(world, tenant, "");
    assert_eq!((status, said["code"].as_str()), (403, Some("SUSPENDED")), "{said}");
    change("reinstate", json!({}));
    assert_valid(world, tenant);
}
