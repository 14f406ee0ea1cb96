//! Every route, asked by every kind of caller: what the router itself answers over a real database.

use std::{path::Path, sync::Arc};

use freehold_protocol::time::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    app::role::{Permission, Role},
    clock::ManualClock,
    config::Config,
    context::Portal,
    http::{
        handler::PortalHandler,
        route::{self, Route, tests::table},
        server::{Handler as _, Head, Method, Request, ServerStats},
    },
};

/// A blueprint for two tenants.
const SHOP: &str = "services: { web: { image: 'registry.example.com/shop/web:1' } }\n\
    x-freehold: { product: shop, ports: { web: { service: web, containerPort: 80, range: 8000-8999 } }, \
    routes: [ { path: /, port: web } ], health: { port: web, path: / } }\n";

struct World {
    handler: PortalHandler,
    owner: String,
}

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl World {
    /// A portal with the tenants `acme` and `other`, each with a license, a key and a job.
    fn new(dir: &Path) -> Self {
        let config = Config { data_dir: dir.join("data"), ..Config::default() };
        let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
        let (portal, owner) = Portal::open(config, Arc::new(clock)).unwrap();
        let handler = PortalHandler::new(Arc::new(portal), Arc::new(ServerStats::default()));
        let world = Self { handler, owner: owner.unwrap().expose().to_owned() };
        world.done("POST", "hosts", json!({ "name": "vps-1" }));
        world.done("POST", "blueprints", json!({ "source": SHOP }));
        world.done(
            "POST",
            "plans",
            json!({ "name": "pro", "products": ["shop"], "expiryStrategy": "restrict" }),
        );
        for slug in ["acme", "other"] {
            let customer = world.done("POST", "customers", json!({ "name": slug }));
            let license = json!({ "customer": customer["id"], "plan": "pro" });
            let license = world.done("POST", "licenses", license);
            world.done(
                "POST",
                "tenants",
                json!({ "slug": slug, "name": slug, "domain": format!("{slug}.example.com"), "host": "vps-1",
                        "blueprint": "shop", "license": license["license"]["id"] }),
            );
            world.done("POST", &format!("tenants/{slug}/deploy"), json!({}));
            world.done("POST", &format!("tenants/{slug}/keys"), json!({}));
        }
        world
    }

    fn ask(&self, token: &str, method: Method, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("if-match", "*"),
        ];
        let headers = if token.is_empty() { &headers[1..] } else { &headers[..] };
        let head = Head::new(method, path, headers).unwrap();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let response = self.handler.handle(&Request::detached(head, body));
        let bytes = response.body_bytes().unwrap();
        let body =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(bytes).unwrap() };
        Answer { status: response.status(), body }
    }

    /// What an owner does; it works.
    fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let method = if method == "GET" { Method::Get } else { Method::Post };
        let answer = self.ask(&self.owner, method, &format!("/api/v1/{path}"), &body);
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.body);
        answer.body
    }

    fn token(&self, role: Role, tenant: Option<&str>) -> String {
        let name = format!("{role}-{}", tenant.unwrap_or("all"));
        let made = self.done(
            "POST",
            "tokens",
            json!({ "name": name, "role": role.as_str(), "tenant": tenant }),
        );
        made["secret"].as_str().unwrap().to_owned()
    }

    /// The access token of a user of a role.
    fn session(&self, role: Role, tenant: Option<&str>, keep_password: bool) -> String {
        let login = format!("{role}-{}-{keep_password}@example.com", tenant.unwrap_or("all"));
        self.done(
            "POST",
            "users",
            json!({ "login": login, "role": role.as_str(), "tenant": tenant, "password": "correct horse",
                    "keepPassword": keep_password }),
        );
        let body = json!({ "login": login, "password": "correct horse" });
        let opened = self.ask("", Method::Post, "/api/v1/auth/login", &body);
        assert_eq!(opened.status, 200, "{}", opened.body);
        opened.body["accessToken"].as_str().unwrap().to_owned()
    }

    fn first(&self, list: &str) -> String {
        let page = self.done("GET", list, Value::Null);
        page["items"][0]["id"].as_str().unwrap().to_owned()
    }
}

/// Identifiers of what belongs to one tenant.
struct Own {
    slug: &'static str,
    job: String,
    license: String,
    key: String,
}

impl Own {
    fn of(world: &World, slug: &'static str) -> Self {
        let tenant = world.done("GET", &format!("tenants/{slug}"), Value::Null);
        Self {
            slug,
            job: world.first(&format!("jobs?tenant={slug}")),
            license: tenant["license"].as_str().unwrap().to_owned(),
            key: world.first(&format!("tenants/{slug}/keys")),
        }
    }

    /// The address of the table, with what is this tenant's in it.
    fn address(&self, path: &str, reach: &Reach) -> String {
        const ID: &str = "0190a000-0000-7000-8000-000000000001";
        match reach {
            Reach::Tenant(_) => {
                path.replace("/acme", &format!("/{}", self.slug)).replace(ID, &self.key)
            }
            Reach::Job(_) => path.replace(ID, &self.job),
            Reach::License(_) => path.replace(ID, &self.license),
            Reach::Oneself | Reach::Portal | Reach::List => path.to_owned(),
        }
    }
}

fn reach_of(method: Method, path: &str) -> Reach {
    match route::parse(method, path) {
        Ok(Route::Admin(route)) => reach(&route),
        other => panic!("{method} {path}: {other:?}"),
    }
}

const ROLES: [Role; 4] = [Role::Viewer, Role::Operator, Role::Approver, Role::Owner];

#[test]
fn every_route_holds_every_caller_to_role_and_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let (acme, other) = (Own::of(&world, "acme"), Own::of(&world, "other"));
    let mut callers = Vec::new();
    for role in ROLES {
        for tenant in [Some("acme"), None] {
            if role != Role::Owner || tenant.is_none() {
                callers.push((role, tenant, world.token(role, tenant)));
                callers.push((role, tenant, world.session(role, tenant, true)));
            }
        }
    }
    let mut asked = 0;
    // What is one's own is asked last: some of it is gone then.
    for own in [&other, &acme] {
        for (method, path, permission) in table() {
            let reach = reach_of(method, &path);
            let path = own.address(&path, &reach);
            for (role, tenant, token) in &callers {
                // Owners would take apart what the others are still to ask for.
                if *role == Role::Owner && method != Method::Get {
                    continue;
                }
                let answer = world.ask(token, method, &path, &json!({ "unknown": 1 }));
                let what = format!("{role} of {tenant:?}: {method} {path}: {}", answer.body);
                let is_foreign = tenant.is_some() && own.slug == "other";
                let expected = match &reach {
                    _ if permission == Permission::Public => None,
                    _ if !role.may(permission) => Some((403, "forbidden")),
                    Reach::Portal if tenant.is_some() => Some((403, "beyond_tenant")),
                    Reach::Tenant(_) | Reach::Job(_) | Reach::License(_) if is_foreign => {
                        Some((404, "not_found"))
                    }
                    _ => None,
                };
                match expected {
                    Some(expected) => {
                        assert_eq!((answer.status, answer.code()), expected, "{what}")
                    }
                    None => {
                        let let_in = !["forbidden", "beyond_tenant"].contains(&answer.code());
                        assert!(let_in && answer.status < 500, "{what}");
                        let own_is_there = !matches!(reach, Reach::Portal) && answer.status == 404;
                        assert!(!own_is_there || tenant.is_none(), "{what}");
                    }
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 1000, "{asked}");
    for (method, path, _) in table() {
        for (_, _, token) in callers.iter().filter(|(role, ..)| *role == Role::Owner) {
            let answer = world.ask(token, method, &path, &json!({ "unknown": 1 }));
            let refused = [401, 403].contains(&answer.status)
                && !["users_only", "login_failed"].contains(&answer.code())
                && !answer.code().starts_with("refresh_");
            assert!(!refused && answer.status < 500, "{method} {path}: {}", answer.body);
        }
    }
}

#[test]
fn lists_hold_only_what_is_the_callers() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let (acme, other) = (Own::of(&world, "acme"), Own::of(&world, "other"));
    let callers = [
        world.token(Role::Viewer, Some("acme")),
        world.session(Role::Operator, Some("acme"), true),
    ];
    for token in &callers {
        for list in ["tenants", "jobs", "licenses"] {
            let page = world.ask(token, Method::Get, &format!("/api/v1/{list}"), &Value::Null);
            assert_eq!(page.status, 200, "{}", page.body);
            assert_eq!(page.body["items"].as_array().unwrap().len(), 1, "{list}: {}", page.body);
            let text = page.body.to_string();
            for foreign in ["other", &other.job, &other.license, &other.key] {
                assert!(!text.contains(foreign), "{list} shows {foreign}: {text}");
            }
        }
        // Asking for it by name does not help.
        for list in ["jobs?tenant=other", "licenses?plan=pro&status=pending_deployment"] {
            let page = world.ask(token, Method::Get, &format!("/api/v1/{list}"), &Value::Null);
            assert!(!page.body.to_string().contains("other"), "{list}: {}", page.body);
        }
        let key = world.ask(token, Method::Get, "/api/v1/tenants/acme/keys", &Value::Null);
        assert_eq!(key.body["items"][0]["id"], json!(acme.key));
    }
    // A key of another tenant is none of this one's, whatever tenant the address names.
    let stolen = format!("/api/v1/tenants/acme/keys/{}", other.key);
    let answer = world.ask(&callers[1], Method::Delete, &stolen, &Value::Null);
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
}

#[test]
fn what_two_tenants_share_shows_nothing_of_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let shared = Own::of(&world, "acme").license;
    let move_to = json!({ "license": shared });
    let moved = world.ask(&world.owner, Method::Patch, "/api/v1/tenants/other", &move_to);
    assert_eq!(moved.status, 200, "{}", moved.body);
    let token = world.token(Role::Viewer, Some("acme"));
    for path in [format!("/api/v1/licenses/{shared}"), "/api/v1/licenses".to_owned()] {
        let shown = world.ask(&token, Method::Get, &path, &Value::Null);
        assert_eq!(shown.status, 200);
        assert!(!shown.body.to_string().contains("other"), "{}", shown.body);
    }
    let all = world.done("GET", &format!("licenses/{shared}"), Value::Null);
    assert_eq!(all["tenants"], json!(["acme", "other"]));
}

#[test]
fn a_tenants_admin_changes_its_settings_but_not_its_address_or_license() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let other = Own::of(&world, "other");
    let token = world.session(Role::Operator, Some("acme"), true);
    let patch = |body: Value| world.ask(&token, Method::Patch, "/api/v1/tenants/acme", &body);
    let named = patch(json!({ "name": "Acme & Sons" }));
    assert_eq!((named.status, &named.body["name"]), (200, &json!("Acme & Sons")));
    for (body, pointer) in [
        (json!({ "name": "x", "license": other.license }), "/license"),
        (json!({ "license": null }), "/license"),
        (json!({ "domain": "shop.example.com" }), "/domain"),
        (json!({ "certificate": { "source": "installed", "name": "other" } }), "/certificate"),
    ] {
        let refused = patch(body);
        assert_eq!((refused.status, refused.code()), (403, "beyond_tenant"), "{}", refused.body);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    let after = world.done("GET", "tenants/acme", Value::Null);
    assert_eq!(after["name"], "Acme & Sons");
    let actor = world.done("GET", "audit?limit=200", Value::Null);
    let rows = actor["items"].as_array().unwrap();
    let row = rows.iter().find(|row| row["action"] == "tenant.update").unwrap();
    assert_eq!(row["actor"], "user:operator-acme-true@example.com");
}

#[test]
fn who_was_limited_to_a_tenant_that_is_forgotten_may_do_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let token = world.token(Role::Operator, Some("acme"));
    let session = world.session(Role::Operator, Some("acme"), true);
    let acme = Own::of(&world, "acme");
    world.done("POST", &format!("jobs/{}/cancel", acme.job), json!({}));
    let gone = world.ask(&world.owner, Method::Delete, "/api/v1/tenants/acme", &Value::Null);
    assert_eq!(gone.status, 204, "{}", gone.body);
    for (token, code) in [(token, "token_revoked"), (session, "session_ended")] {
        let answer = world.ask(&token, Method::Get, "/api/v1/tenants", &Value::Null);
        assert_eq!((answer.status, answer.code()), (401, code));
    }
    // They are still shown as limited, by what the tenant's identifier was.
    let users = world.done("GET", "users", Value::Null);
    assert_eq!(users["items"][0]["tenant"].as_str().unwrap().len(), 36);
    assert!(users["items"][0]["disabledAt"].is_number());
}

#[test]
fn a_password_that_somebody_else_chose_is_changed_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let token = world.session(Role::Operator, None, false);
    for (method, path, permission) in table() {
        let answer = world.ask(&token, method, &path, &json!({ "unknown": 1 }));
        let is_due = !matches!(permission, Permission::Public | Permission::Oneself);
        assert_eq!(answer.code() == "password_due", is_due, "{method} {path}: {}", answer.body);
        assert!(!is_due || answer.status == 403);
    }
    let change = json!({ "old": "correct horse", "new": "battery staple" });
    assert_eq!(world.ask(&token, Method::Post, "/api/v1/me/password", &change).status, 204);
    assert_eq!(world.ask(&token, Method::Get, "/api/v1/hosts", &Value::Null).status, 200);
}

#[test]
fn figures_of_the_whole_fleet_are_not_for_one_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    let token = world.token(Role::Viewer, Some("acme"));
    let authorization = format!("Bearer {token}");
    let head = Head::new(Method::Get, "/metrics", &[("authorization", &authorization)]).unwrap();
    let mut request = Request::detached(head, Vec::new());
    request.peer = [203, 0, 113, 9].into();
    assert_eq!(world.handler.handle(&request).status(), 403);
}
