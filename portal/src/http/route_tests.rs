//! Text in, route out; and who may ask for it.

use super::*;
use freehold_protocol::ids::JobId;

use crate::{
    api::paths,
    app::role::{Permission, Role},
};

const JOB: &str = "0190a000-0000-7000-8000-000000000001";

fn admin_of(method: Method, path: &str) -> AdminRoute {
    match parse(method, path) {
        Ok(Route::Admin(route)) => route,
        other => panic!("{method} {path}: {other:?}"),
    }
}

/// Every route of the admin API with its address as the command line builds it.
pub(in crate::http) fn table() -> Vec<(Method, String, Permission)> {
    use Method::{Delete, Get, Patch, Post};
    use Permission::{Approve, Oneself, Operate, Own, Public, Read};
    let text = str::to_owned;
    vec![
        (Get, text(paths::VERSION), Public),
        (Post, text(paths::LOGIN), Public),
        (Post, text(paths::REFRESH), Public),
        (Post, text(paths::LOGOUT), Public),
        (Get, text(paths::ME), Oneself),
        (Patch, text(paths::ME), Oneself),
        (Post, text(paths::ME_PASSWORD), Oneself),
        (Get, text(paths::ME_SETTINGS), Oneself),
        (Patch, text(paths::ME_SETTINGS), Oneself),
        (Get, text(paths::ME_SESSIONS), Oneself),
        (Delete, paths::own_session(JOB), Oneself),
        (Get, text(paths::USERS), Own),
        (Post, text(paths::USERS), Own),
        (Get, paths::user(JOB), Own),
        (Patch, paths::user(JOB), Own),
        (Delete, paths::user(JOB), Own),
        (Post, paths::user_do(JOB, "disable"), Own),
        (Post, paths::user_do(JOB, "enable"), Own),
        (Post, paths::user_do(JOB, "reset-password"), Own),
        (Get, paths::user_sessions(JOB), Own),
        (Delete, paths::user_session(JOB, JOB), Own),
        (Get, text(paths::HOSTS), Read),
        (Post, text(paths::HOSTS), Own),
        (Get, paths::host("vps-1"), Read),
        (Patch, paths::host("vps-1"), Own),
        (Delete, paths::host("vps-1"), Own),
        (Post, paths::host_enrollment_tokens("vps-1"), Own),
        (Post, paths::host_resume("vps-1"), Own),
        (Post, paths::host_revoke("vps-1"), Own),
        (Post, paths::host_drain("vps-1"), Operate),
        (Post, paths::host_undrain("vps-1"), Operate),
        (Post, paths::host_probe("vps-1"), Operate),
        (Get, paths::host_ports("vps-1"), Read),
        (Get, text(paths::BLUEPRINTS), Read),
        (Post, text(paths::BLUEPRINTS), Operate),
        (Get, paths::blueprint("shop"), Read),
        (Get, paths::release("shop", 3), Read),
        (Get, text(paths::TENANTS), Read),
        (Post, text(paths::TENANTS), Operate),
        (Get, paths::tenant("acme"), Read),
        (Patch, paths::tenant("acme"), Operate),
        (Delete, paths::tenant("acme"), Operate),
        (Post, paths::tenant_deploy("acme"), Operate),
        (Post, paths::tenant_remove("acme"), Operate),
        (Post, paths::tenant_check("acme"), Operate),
        (Post, paths::tenant_credentials("acme"), Operate),
        (Get, text(paths::JOBS), Read),
        (Get, paths::job(JOB), Read),
        (Delete, paths::job(JOB), Operate),
        (Get, paths::job_events(JOB), Read),
        (Post, paths::job_cancel(JOB), Operate),
        (Post, paths::job_retry(JOB), Operate),
        (Post, paths::job_resume(JOB), Operate),
        (Get, text(paths::TOKENS), Own),
        (Post, text(paths::TOKENS), Own),
        (Delete, paths::token(JOB), Own),
        (Get, text(paths::KEYS), Read),
        (Post, text(paths::KEYS_ROTATE), Own),
        (Post, text(paths::KEYS_ROTATE_LEASE), Own),
        (Get, text(paths::AUDIT), Own),
        (Get, text(paths::AUDIT_CHECKPOINTS), Own),
        (Get, text(paths::PLANS), Read),
        (Post, text(paths::PLANS), Own),
        (Get, paths::plan("pro"), Read),
        (Patch, paths::plan("pro"), Own),
        (Delete, paths::plan("pro"), Own),
        (Post, paths::plan_do("pro", "archive"), Own),
        (Post, paths::plan_do("pro", "unarchive"), Own),
        (Get, text(paths::CUSTOMERS), Read),
        (Post, text(paths::CUSTOMERS), Operate),
        (Get, paths::customer(JOB), Read),
        (Patch, paths::customer(JOB), Operate),
        (Delete, paths::customer(JOB), Operate),
        (Get, text(paths::LICENSES), Read),
        (Post, text(paths::LICENSES), Operate),
        (Get, paths::license(JOB), Read),
        (Patch, paths::license(JOB), Operate),
        (Post, paths::license_do(JOB, "suspend"), Operate),
        (Post, paths::license_do(JOB, "reinstate"), Operate),
        (Post, paths::license_do(JOB, "renew"), Operate),
        (Post, paths::license_do(JOB, "revoke"), Own),
        (Post, paths::license_do(JOB, "reveal"), Own),
        (Get, text(paths::REQUESTS), Read),
        (Post, text(paths::REQUESTS), Operate),
        (Get, paths::request(JOB), Read),
        (Post, paths::request_do(JOB, "approve"), Approve),
        (Post, paths::request_do(JOB, "reject"), Approve),
        (Post, paths::request_do(JOB, "withdraw"), Operate),
        (Post, paths::request_do(JOB, "retry"), Operate),
        (Get, paths::tenant_logs("acme"), Read),
        (Get, paths::tenant_usage("acme"), Read),
        (Get, paths::tenant_keys("acme"), Read),
        (Post, paths::tenant_keys("acme"), Operate),
        (Delete, paths::tenant_key("acme", JOB), Operate),
        (Post, paths::tenant_key_rotate("acme", JOB), Operate),
    ]
}

#[test]
fn every_address_has_its_own_route_and_permission() {
    let mut seen = Vec::new();
    for (method, path, permission) in table() {
        let route = admin_of(method, &path);
        assert_eq!(route.permission(), permission, "{method} {path}");
        assert!(!seen.contains(&route), "{method} {path} is answered by another route");
        seen.push(route);
    }
}

#[test]
fn the_table_of_addresses_has_every_operation() {
    let shown: Vec<_> = table()
        .iter()
        .map(|(method, path, _)| (*method, admin_of(*method, path).template()))
        .collect();
    let mut operations = Vec::new();
    AdminRoute::operations(&mut operations);
    for operation in &operations {
        let line = (operation.method, operation.path);
        assert!(shown.contains(&line), "{line:?} has no line in the table");
    }
    assert_eq!(operations.len(), shown.len());
}

#[test]
fn every_role_may_do_exactly_what_the_table_says() {
    for (method, path, _) in table() {
        let permission = admin_of(method, &path).permission();
        for role in Role::ALL {
            let expected = match permission {
                Permission::Public | Permission::Oneself | Permission::Read => true,
                Permission::Operate => role == Role::Operator || role == Role::Owner,
                Permission::Approve => role == Role::Approver || role == Role::Owner,
                Permission::Own => role == Role::Owner,
            };
            assert_eq!(role.may(permission), expected, "{role} {method} {path}");
        }
    }
}

#[test]
fn routes_of_agents_and_apps() {
    let id: JobId = JOB.parse().unwrap();
    let cases = [
        (Method::Get, "/api/v1/trust".to_owned(), AgentRoute::Trust),
        (Method::Post, "/api/v1/agent/enroll".to_owned(), AgentRoute::Enroll),
        (Method::Post, "/api/v1/agent/poll".to_owned(), AgentRoute::Poll),
        (Method::Post, "/api/v1/agent/inventory".to_owned(), AgentRoute::Inventory),
        (Method::Post, format!("/api/v1/agent/jobs/{JOB}/events"), AgentRoute::Events(id)),
        (Method::Post, format!("/api/v1/agent/jobs/{JOB}/report"), AgentRoute::Report(id)),
    ];
    for (method, path, route) in cases {
        assert_eq!(parse(method, &path), Ok(Route::Agent(route)), "{path}");
    }
    for path in ["/api/licenses/validate", "/api/v1/licenses/validate"] {
        assert_eq!(parse(Method::Post, path), Ok(Route::Tenant(TenantRoute::Validate)), "{path}");
    }
    for (path, route) in [
        ("/api/tenant-logs", TenantRoute::Logs),
        ("/api/v1/tenant-logs", TenantRoute::Logs),
        ("/api/v1/usage", TenantRoute::Usage),
        ("/api/v1/tenant-health", TenantRoute::Health),
    ] {
        assert_eq!(parse(Method::Post, path), Ok(Route::Tenant(route)), "{path}");
    }
    let keys = parse(Method::Get, "/.well-known/jwks.json");
    assert_eq!(keys, Ok(Route::Tenant(TenantRoute::KeySet)));
    assert_eq!(parse(Method::Get, "/healthz"), Ok(Route::Portal(PortalRoute::Healthz)));
    assert_eq!(parse(Method::Head, "/readyz"), Ok(Route::Portal(PortalRoute::Readyz)));
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let allowed = |path| match parse(Method::Put, path) {
        Err(RouteError::Method { allowed }) => allowed,
        other => panic!("{other:?}"),
    };
    assert_eq!(allowed("/api/v1/hosts"), [Method::Get, Method::Post, Method::Head]);
    assert_eq!(
        allowed("/api/v1/tenants/acme"),
        [Method::Get, Method::Patch, Method::Delete, Method::Head]
    );
    assert_eq!(allowed("/api/v1/agent/poll"), [Method::Post]);
}

#[test]
fn what_is_not_an_address_is_refused() {
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/hosts",
        "/api/v1/hosts/",
        "/api/v1/hosts/vps-1/",
        "/api/v1//hosts",
        "/api/v1/hosts/vps-1/nothing",
        "/healthz/",
        "*",
        "",
        "/api/v1/agent",
        "/API/v1/hosts",
    ] {
        assert_eq!(parse(Method::Get, path), Err(RouteError::Unknown), "{path}");
    }
    for path in [
        "/api/v1/hosts/..",
        "/api/v1/hosts/VPS",
        "/api/v1/hosts/a%2fb",
        "/api/v1/hosts/a%0ab",
        "/api/v1/tenants/a;b",
        "/api/v1/tenants/-a",
        "/api/v1/jobs/1",
        "/api/v1/jobs/..",
        "/api/v1/blueprints/shop/releases/0",
        "/api/v1/blueprints/shop/releases/01",
        "/api/v1/blueprints/shop/releases/-1",
        "/api/v1/blueprints/shop/releases/99999999999",
    ] {
        assert!(matches!(parse(Method::Get, path), Err(RouteError::BadPart(_))), "{path}");
    }
    let long = format!("/api/v1/tenants/{}", "a".repeat(64));
    assert!(matches!(parse(Method::Get, &long), Err(RouteError::BadPart(_))));
}
