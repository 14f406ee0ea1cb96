//! Each rule, broken once, from a good blueprint in the form in which jobs carry it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::blueprint::Blueprint;
use crate::blueprint::delivered::{Delivered, Need};

/// A good blueprint with a database.
pub(crate) fn good() -> Value {
    json!({
        "product": "shop",
        "services": {
            "web": {
                "image": "shop/web:1",
                "environment": { "PGPASSWORD": "${PGPASSWORD}", "URL": "${FREEHOLD_PUBLIC_URL}" },
                "dependsOn": { "db": "healthy" },
            },
            "db": {
                "image": "postgres:15",
                "environment": { "POSTGRES_PASSWORD": "${PGPASSWORD}" },
                "mounts": [{ "volume": "data", "target": "/var/lib/postgresql/data" }],
            },
        },
        "volumes": { "data": {} },
        "freehold": {
            "ports": { "backend": { "service": "web", "containerPort": 8080 } },
            "routes": [{ "path": "/", "port": "backend" }],
            "secrets": { "PGPASSWORD": {} },
            "settings": { "SEATS": { "kind": "int", "default": "5" } },
            "hooks": { "migrate": { "service": "web", "command": ["/app", "migrate"] } },
            "database": { "service": "db", "kind": "postgres", "user": "app", "database": "app" },
            "health": { "port": "backend", "path": "/health" },
        },
    })
}

#[test]
fn the_good_one_is_good() {
    let blueprint: Blueprint = serde_json::from_value(good()).unwrap();
    assert_eq!(blueprint.check(), Ok(()));
}

#[test]
fn what_the_portal_delivers_may_stand_in_an_environment() {
    let mut value = good();
    value["services"]["web"]["command"] = json!(["/app", "--tenant=${FREEHOLD_TENANT_ID}"]);
    let environment = &mut value["services"]["web"]["environment"];
    environment["KEY"] = "${FREEHOLD_TENANT_KEY:-}".into();
    environment["KEY_AGAIN"] = "${FREEHOLD_TENANT_KEY}".into();
    environment["LICENSE"] = "x${FREEHOLD_LICENSE_KEY:-none}".into();
    let blueprint: Blueprint = serde_json::from_value(value).unwrap();
    assert_eq!(blueprint.check(), Ok(()));
    // One place without a default is enough to need it.
    let used = [(Delivered::TenantKey, Need::Required), (Delivered::LicenseKey, Need::Optional)];
    assert_eq!(blueprint.delivered(), BTreeMap::from(used));
}

#[test]
fn every_broken_rule_is_found_at_its_place() {
    for (pointer, value, path) in [
        ("/services", json!({}), "services"),
        ("/services/web/dependsOn", json!({ "gone": "started" }), "services.web.depends_on.gone"),
        ("/services/db/dependsOn", json!({ "web": "started" }), "services.db.depends_on"),
        ("/services/web/command", json!([]), "services.web.command"),
        ("/services/web/command", json!(["x", "${PGPASSWORD}"]), "services.web.command[1]"),
        ("/services/web/environment", json!({ "A": "${NOPE}" }), "services.web.environment.A"),
        (
            "/services/web/environment",
            json!({ "A": "${FREEHOLD_NOPE}" }),
            "services.web.environment.A",
        ),
        (
            "/services/web/command",
            json!(["x", "--key=${FREEHOLD_TENANT_KEY:-}"]),
            "services.web.command[1]",
        ),
        (
            "/services/web/healthcheck",
            json!({ "test": { "shell": "curl ${FREEHOLD_PORTAL_URL}" } }),
            "services.web.healthcheck.test",
        ),
        ("/services/web/networks", json!(["internal"]), "services.web.networks"),
        ("/services/web/networks", json!([]), "services.web.networks"),
        ("/services/db/networks", json!(["front"]), "services.db.networks"),
        ("/services/db/mounts", json!([]), "services.db.volumes"),
        ("/services/web/limits", json!({ "memoryMb": 4 }), "services.web.mem_limit"),
        ("/services/web/limits", json!({ "pids": 0 }), "services.web.pids_limit"),
        (
            "/services/web/limits",
            json!({ "nofile": { "soft": 99, "hard": 64 } }),
            "services.web.ulimits.nofile",
        ),
        (
            "/services/web/tmpfs",
            json!([{ "target": "/a" }, { "target": "/a" }]),
            "services.web.volumes",
        ),
        ("/services/web/expose", json!([0]), "services.web.expose"),
        ("/freehold/ports/backend/service", json!("db"), "x-freehold.ports.backend"),
        (
            "/freehold/ports/backend/containerPort",
            json!(0),
            "x-freehold.ports.backend.containerPort",
        ),
        ("/freehold/routes", json!([]), "x-freehold.routes"),
        (
            "/freehold/routes/0/path",
            json!("/.well-known/acme-challenge/x"),
            "x-freehold.routes[0].path",
        ),
        ("/freehold/routes/0/port", json!("other"), "x-freehold.routes[0].port"),
        (
            "/freehold/secrets/PGPASSWORD",
            json!({ "length": 8 }),
            "x-freehold.secrets.PGPASSWORD.length",
        ),
        ("/freehold/settings", json!({ "PGPASSWORD": {} }), "x-freehold.secrets.PGPASSWORD"),
        ("/freehold/settings", json!({ "COMPOSE_FILE": {} }), "x-freehold.settings.COMPOSE_FILE"),
        ("/freehold/settings/SEATS/default", json!("many"), "x-freehold.settings.SEATS.default"),
        ("/freehold/hooks/migrate/command", json!([""]), "x-freehold.hooks.migrate.command"),
        ("/freehold/hooks/migrate/service", json!("gone"), "x-freehold.hooks.migrate.service"),
        ("/freehold/health/port", json!("gone"), "x-freehold.health.port"),
        ("/freehold/resources", json!({ "memoryMb": 600 }), "x-freehold.resources.memoryMb"),
    ] {
        let mut value_tree = good();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = value_tree.pointer_mut(parent).unwrap();
        if let Some(list) = parent.as_array_mut() {
            list[key.parse::<usize>().unwrap()] = value;
        } else {
            parent[key] = value;
        }
        let blueprint: Blueprint = serde_json::from_value(value_tree).unwrap();
        let problems = blueprint.check().unwrap_err();
        assert!(problems.iter().any(|problem| problem.path == path), "{pointer}: {problems:#?}");
    }
}

#[test]
fn unknown_and_dangerous_fields_do_not_parse() {
    for (pointer, key) in [
        ("", "extra"),
        ("/services/web", "privileged"),
        ("/services/web", "networkMode"),
        ("/services/db/mounts/0", "bind"),
        ("/volumes/data", "driverOpts"),
        ("/freehold", "extra"),
        ("/freehold/hooks/migrate", "user"),
    ] {
        let mut value = good();
        value.pointer_mut(pointer).unwrap()[key] = json!(true);
        assert!(serde_json::from_value::<Blueprint>(value).is_err(), "{pointer}/{key}");
    }
}
