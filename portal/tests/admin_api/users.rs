//! Users: made, changed, disabled, removed; and what they may not do to themselves.

use serde_json::{Value, json};

use crate::harness::{Answer, World};

pub const PASSWORD: &str = "correct horse battery";

impl World {
    /// A user whose password is [`PASSWORD`]; returns its identifier.
    pub fn user(&self, login: &str, role: &str) -> String {
        let made = self.post(
            "/api/v1/users",
            json!({ "login": login, "role": role, "password": PASSWORD, "keepPassword": true }),
        );
        made.expect(201)["user"]["id"].as_str().unwrap().to_owned()
    }

    pub fn login(&self, login: &str, password: &str) -> Answer {
        let body = json!({ "login": login, "password": password });
        self.call("POST", "/api/v1/auth/login").json(&body).send()
    }

    /// The tokens of a new session.
    pub fn session(&self, login: &str) -> Value {
        self.login(login, PASSWORD).expect(200)
    }

    pub fn as_user(&self, session: &Value, method: &str, path: &str) -> crate::harness::Call<'_> {
        self.call(method, path).bearer(session["accessToken"].as_str().unwrap())
    }

    /// What stands in the audit log, as `action actor`.
    pub fn audited(&self, action: &str) -> Vec<Value> {
        let log = self.get("/api/v1/audit?limit=200").expect(200);
        let rows = log["items"].as_array().unwrap();
        rows.iter().filter(|row| row["action"] == action).cloned().collect()
    }
}

fn patch(world: &World, id: &str, body: &Value) -> Answer {
    world
        .as_owner("PATCH", &format!("/api/v1/users/{id}"))
        .header("if-match", "*")
        .json(body)
        .send()
}

#[test]
fn a_user_is_made_changed_disabled_and_removed() {
    let world = World::new();
    let made =
        world.post("/api/v1/users", json!({ "login": "Anna@Example.com", "role": "operator" }));
    let body = made.expect(201);
    let (user, drawn) = (&body["user"], body["password"].as_str().unwrap());
    let id = user["id"].as_str().unwrap();
    assert_eq!(made.header("location"), Some(format!("/api/v1/users/{id}").as_str()));
    assert_eq!(
        (&user["login"], &user["name"], &user["passwordDue"], &user["generation"]),
        (&json!("anna@example.com"), &json!("anna@example.com"), &json!(true), &json!(1))
    );
    world
        .post("/api/v1/users", json!({ "login": "ANNA@example.com", "role": "viewer" }))
        .refused(409, "login_taken");
    world.login("aNNa@example.com", drawn).expect(200);
    let list = world.get("/api/v1/users?login=Anna@example.com").expect(200);
    assert_eq!(list["items"][0]["id"], json!(id));
    assert!(list["items"][0]["lastLoginAt"].is_number());
    assert!(!list.to_string().contains("argon2") && !list.to_string().contains(drawn));

    let path = format!("/api/v1/users/{id}");
    world
        .as_owner("PATCH", &path)
        .json(&json!({ "name": "A" }))
        .send()
        .refused(428, "if_match_required");
    let changed = world
        .as_owner("PATCH", &path)
        .header("if-match", "\"1\"")
        .json(&json!({ "name": "Anna", "role": "approver", "login": "anna@example.org" }))
        .send();
    assert_eq!(changed.expect(200)["role"], "approver");
    assert_eq!(changed.header("etag"), Some("\"2\""));
    world
        .as_owner("PATCH", &path)
        .header("if-match", "\"1\"")
        .json(&json!({ "name": "B" }))
        .send()
        .refused(412, "changed_meanwhile");

    let disabled = world.as_owner("POST", &format!("{path}/disable")).send().expect(200);
    assert!(disabled["disabledAt"].is_number());
    world.as_owner("POST", &format!("{path}/disable")).send().expect(200);
    world.login("anna@example.org", drawn).refused(401, "login_failed");
    let enabled = world.as_owner("POST", &format!("{path}/enable")).send().expect(200);
    assert!(enabled["disabledAt"].is_null());
    world.login("anna@example.org", drawn).expect(200);
    world.as_owner("DELETE", &path).send().expect(204);
    world.get(&path).refused(404, "not_found");
    world.login("anna@example.org", drawn).refused(401, "login_failed");
    for (action, count) in [
        ("user.create", 1),
        ("user.update", 1),
        ("user.disable", 1),
        ("user.enable", 1),
        ("user.delete", 1),
    ] {
        let rows = world.audited(action);
        assert_eq!(rows.len(), count, "{action}");
        assert_eq!(rows[0]["actor"], "token:first-owner");
        assert_eq!(rows[0]["objectId"], json!(id));
    }
    assert!(!world.get("/api/v1/audit").text.contains(drawn));
}

#[test]
fn wrong_fields_are_named() {
    let world = World::with_tenant();
    let refused = |body: Value| world.post("/api/v1/users", body).pointers();
    let long = "x".repeat(1000);
    assert_eq!(
        refused(
            json!({ "login": "anna", "name": long, "role": "king", "tenant": "A!", "keepPassword": true })
        ),
        ["/login", "/name", "/role", "/tenant", "/keepPassword"]
    );
    for (body, pointer) in [
        (json!({ "login": "a@b.example", "role": "viewer", "password": "short" }), "/password"),
        (
            json!({ "login": "a@b.example", "role": "viewer", "password": "é".repeat(129) }),
            "/password",
        ),
        (
            json!({ "login": "a.long.login@b.example", "role": "viewer", "password": "A.Long.Login@B.example" }),
            "/password",
        ),
        (json!({ "login": "a@b.example", "role": "viewer", "tenant": "nobody" }), "/tenant"),
        (json!({ "login": "a@b.example", "role": "owner", "tenant": "acme" }), "/tenant"),
        (json!({ "login": "a@b.example", "role": "viewer", "admin": true }), "/admin"),
        (json!({ "role": "viewer" }), "/login"),
    ] {
        assert_eq!(refused(body.clone()), [pointer], "{body}");
    }
    let token = |body: Value| world.post("/api/v1/tokens", body).pointers();
    assert_eq!(token(json!({ "name": "x", "role": "owner", "tenant": "acme" })), ["/tenant"]);
    assert_eq!(token(json!({ "name": "x", "role": "viewer", "tenant": "nobody" })), ["/tenant"]);
    // Nothing that looks like SQL is anything but text.
    let name = "Robert'); DROP TABLE users;--";
    let made = world
        .post("/api/v1/users", json!({ "login": "bob@b.example", "name": name, "role": "viewer" }));
    assert_eq!(made.expect(201)["user"]["name"], json!(name));
    let found = world.get("/api/v1/users?login=%27%20OR%201=1--");
    assert_eq!(found.status, 422);
    assert_eq!(world.get("/api/v1/users").expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_limited_user_becomes_an_owner_only_without_its_limit() {
    let world = World::with_tenant();
    let made = world.post(
        "/api/v1/users",
        json!({ "login": "t@b.example", "role": "operator", "tenant": "acme" }),
    );
    let id = made.expect(201)["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(patch(&world, &id, &json!({ "role": "owner" })).pointers(), ["/role"]);
    let freed = patch(&world, &id, &json!({ "role": "owner", "tenant": null })).expect(200);
    assert_eq!((freed["role"].as_str(), freed.get("tenant")), (Some("owner"), None));
    assert_eq!(patch(&world, &id, &json!({ "tenant": "acme" })).pointers(), ["/tenant"]);
    let limited = patch(&world, &id, &json!({ "role": "viewer", "tenant": "acme" })).expect(200);
    assert_eq!(limited["tenant"], "acme");
}

#[test]
fn the_last_owner_stays_be_it_a_user_or_a_token() {
    let world = World::new();
    let (boss, deputy) =
        (world.user("boss@b.example", "owner"), world.user("deputy@b.example", "owner"));
    let token = world.get("/api/v1/me").expect(200)["token"]["id"].as_str().unwrap().to_owned();
    let boss_session = world.session("boss@b.example");
    world.as_user(&boss_session, "DELETE", &format!("/api/v1/tokens/{token}")).send().expect(204);
    let as_boss = |method: &str, path: String, body: Value| {
        world.as_user(&boss_session, method, &path).header("if-match", "*").json(&body).send()
    };
    as_boss("DELETE", format!("/api/v1/users/{deputy}"), json!({})).expect(204);
    as_boss("POST", format!("/api/v1/users/{boss}/disable"), json!({})).refused(409, "last_owner");
    as_boss("DELETE", format!("/api/v1/users/{boss}"), json!({})).refused(409, "last_owner");
    as_boss("PATCH", format!("/api/v1/users/{boss}"), json!({ "role": "viewer" }))
        .refused(403, "own_role");
    let made =
        as_boss("POST", "/api/v1/tokens".into(), json!({ "name": "spare", "role": "owner" }))
            .expect(201);
    // By another hand it is the last owner no more.
    let spare = made["secret"].as_str().unwrap();
    world
        .call("PATCH", &format!("/api/v1/users/{boss}"))
        .bearer(spare)
        .header("if-match", "*")
        .json(&json!({ "role": "viewer" }))
        .send()
        .expect(200);
    // The new role holds at once, in the session that was open.
    as_boss("GET", "/api/v1/users".into(), json!({})).refused(403, "forbidden");
    let spare_id = made["token"]["id"].as_str().unwrap();
    world
        .call("DELETE", &format!("/api/v1/tokens/{spare_id}"))
        .bearer(spare)
        .send()
        .refused(409, "last_owner");
}

#[test]
fn nobody_raises_their_own_role_and_only_owners_manage_users() {
    let world = World::new();
    for role in ["viewer", "operator", "approver"] {
        let login = format!("{role}@b.example");
        let id = world.user(&login, role);
        let session = world.session(&login);
        let path = format!("/api/v1/users/{id}");
        let raise = json!({ "role": "owner" });
        world
            .as_user(&session, "PATCH", &path)
            .header("if-match", "*")
            .json(&raise)
            .send()
            .refused(403, "forbidden");
        world
            .as_user(&session, "PATCH", "/api/v1/me")
            .header("if-match", "*")
            .json(&raise)
            .send()
            .refused(422, "invalid");
        world
            .as_user(&session, "POST", "/api/v1/users")
            .json(&json!({}))
            .send()
            .refused(403, "forbidden");
        world
            .as_user(&session, "POST", &format!("{path}/reset-password"))
            .send()
            .refused(403, "forbidden");
        assert_eq!(world.get(&path).expect(200)["role"], role);
    }
}

#[test]
fn a_user_looks_after_itself() {
    let world = World::new();
    world.user("anna@b.example", "viewer");
    let session = world.session("anna@b.example");
    let me = world.as_user(&session, "GET", "/api/v1/me").send();
    let body = me.expect(200);
    assert_eq!((&body["actor"], &body["role"]), (&json!("user:anna@b.example"), &json!("viewer")));
    assert_eq!(body["session"]["id"], session["session"]["id"]);
    let tag = me.header("etag").unwrap().to_owned();
    let patch = |path: &str, tag: &str, body: Value| {
        world.as_user(&session, "PATCH", path).header("if-match", tag).json(&body).send()
    };
    assert_eq!(
        patch("/api/v1/me", &tag, json!({ "name": "Anna" })).expect(200)["user"]["name"],
        "Anna"
    );
    patch("/api/v1/me", &tag, json!({ "name": "B" })).refused(412, "changed_meanwhile");
    assert_eq!(patch("/api/v1/me", "*", json!({ "name": "a\nb" })).pointers(), ["/name"]);

    let settings = "/api/v1/me/settings";
    assert_eq!(world.as_user(&session, "GET", settings).send().expect(200), json!({}));
    patch(settings, "*", json!({ "theme": "dark", "table": { "rows": 50 } })).expect(200);
    let merged =
        patch(settings, "*", json!({ "theme": null, "table": { "wide": true } })).expect(200);
    assert_eq!(merged, json!({ "table": { "rows": 50, "wide": true } }));
    patch(settings, "*", json!({ "big": "x".repeat(8 * 1024) })).refused(422, "invalid");
    let mut deep = json!(1);
    for _ in 0..20 {
        deep = json!({ "a": deep });
    }
    patch(settings, "*", deep).refused(422, "invalid");
    patch(settings, "*", json!([1])).refused(422, "invalid");
    assert_eq!(world.as_user(&session, "GET", settings).send().expect(200), merged);
    // A token has neither.
    for path in [settings, "/api/v1/me"] {
        let answer = world.as_owner("PATCH", path).header("if-match", "*").json(&json!({})).send();
        answer.refused(403, "users_only");
    }
    world.post("/api/v1/me/password", json!({ "old": "x", "new": "y" })).refused(403, "users_only");
}
