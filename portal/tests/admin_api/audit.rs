//! What stands in the audit log: every change, the request that asked for it, and what it changed.

use freehold_portal::app::license_status;
use serde_json::{Value, json};

use crate::{
    harness::World,
    licensing::{DAY, NOW, license, with_customer},
};

impl World {
    /// The entries after number `n`.
    fn log_after(&self, n: usize) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/audit?limit=200&after={n}")).expect(200);
        assert_eq!(page["next"], Value::Null);
        page["items"].as_array().unwrap().clone()
    }

    fn log(&self) -> Vec<Value> {
        self.log_after(0)
    }
}

#[test]
fn the_log_is_listed_by_page_and_its_hashes_are_right() {
    let world = World::with_tenant();
    let log = world.log();
    let actions: Vec<&str> = log.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["token.create", "host.create", "blueprint.publish", "tenant.create"]);
    assert_eq!(log[1]["actor"], "token:first-owner");
    let page = world.get("/api/v1/audit?after=1&limit=2").expect(200);
    assert_eq!((&page["items"][0]["n"], &page["next"]), (&json!(2), &json!("3")));
    let wrong = world.portal.db.read(freehold_portal::db::audit::verify).unwrap();
    assert_eq!(wrong, None);
}

#[test]
fn an_entry_names_the_request_that_asked_for_it_and_what_the_portal_does_by_itself_has_none() {
    let world = World::with_tenant();
    world.user("anna@example.com", "owner");
    let customer = with_customer(&world);
    let (id, _) = license(&world, &customer, json!({ "expiresAt": NOW + DAY }));
    let asked = |path: &str, body: Value| world.as_owner("POST", path).json(&body).send();
    let answers = [
        // By a transaction of its own, by one with an Idempotency-Key, by more than one, by nobody known yet.
        ("host.drain", asked("/api/v1/hosts/vps-1/drain", json!({}))),
        (
            "token.create",
            world
                .as_owner("POST", "/api/v1/tokens")
                .header("idempotency-key", "one")
                .json(&json!({ "name": "one", "role": "viewer" }))
                .send(),
        ),
        ("key.rotate", asked("/api/v1/keys/rotate", json!({ "compromised": false }))),
        ("key.rotate_lease", asked("/api/v1/keys/rotate-lease", json!({ "compromised": false }))),
        ("login.succeed", world.login("anna@example.com", crate::users::PASSWORD)),
        ("login.fail", world.login("anna@example.com", "a wrong password")),
    ];
    let log = world.log();
    for (action, answer) in &answers {
        let row = log.iter().rfind(|row| row["action"] == *action);
        let row = row.unwrap_or_else(|| panic!("{action}: {answer:?}"));
        assert_eq!(row["detail"]["requestId"], answer.header("x-request-id").unwrap(), "{action}");
    }
    // What two requests did has two ids.
    let mut ids: Vec<&str> =
        log.iter().filter_map(|row| row["detail"]["requestId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);

    world.clock.advance_secs(2 * DAY / 1000);
    world.portal.db.write(|tx| license_status::note_expired(tx, 10)).unwrap();
    let expired = world.log().pop().unwrap();
    assert_eq!(
        (&expired["action"], &expired["actor"]),
        (&json!("license.expire"), &json!("system"))
    );
    assert_eq!((&expired["objectId"], &expired["detail"]["requestId"]), (&json!(id), &Value::Null));
    assert_eq!(world.log()[0]["detail"]["requestId"], Value::Null, "the first token");
    assert_eq!(world.portal.db.read(freehold_portal::db::audit::verify).unwrap(), None);
}
