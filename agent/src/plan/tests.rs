//! What the planner refuses, each with its own reason and remedy, and the steps that it chooses.

use serde_json::{Value, json};

use super::*;

fn id(kind: u8, n: u8) -> String {
    format!("0190b1c2-0000-7000-8{kind:03x}-0000000000{n:02x}")
}

/// A deployment that every host takes.
fn deployment() -> Value {
    json!({ "kind": "deploy_tenant", "params": {
        "tenant": id(1, 1), "slug": "acme", "name": "Acme", "domain": "acme.example.com",
        "release": { "blueprint": "shop", "number": 7, "digest": "0".repeat(64) },
        "blueprint": {
            "product": "shop",
            "services": { "web": { "image": "shop/web:1" } },
            "freehold": {
                "ports": { "backend": { "service": "web", "containerPort": 8080 } },
                "routes": [{ "path": "/", "port": "backend" }],
                "settings": {
                    "SEATS": { "kind": "int", "required": true },
                    "COLOR": { "kind": "text", "default": "blue", "required": true },
                },
                "health": { "port": "backend", "path": "/health" },
            },
        },
        "settings": { "SEATS": "5" },
        "admin": null,
        "certificate": { "source": "acme" },
    }})
}

fn order(work: Value) -> Order {
    Order {
        portal: id(2, 1).parse().unwrap(),
        agent: id(3, 1).parse().unwrap(),
        job: id(4, 1).parse().unwrap(),
        attempt: 1,
        actor: "ann".to_owned(),
        timeout_secs: 600,
        seal_to: None,
        work: serde_json::from_value(work).unwrap(),
        app_env: None,
    }
}

/// The tenant of [`deployment`] as the journal has it once it is deployed.
fn deployed() -> TenantRecord {
    plan(&order(deployment()), &[]).unwrap().coming_record().unwrap()
}

fn other(change: impl FnOnce(&mut TenantRecord)) -> TenantRecord {
    let mut record = deployed();
    record.tenant = id(1, 2).parse().unwrap();
    record.slug = "birch".parse().unwrap();
    record.domain = "birch.example.com".parse().unwrap();
    change(&mut record);
    record
}

#[test]
fn what_cannot_be_done_here_is_refused_before_anything_is_begun() {
    let kept = |record: TenantRecord| TenantRecord { state: TenantState::Kept, ..record };
    let removal = json!({ "kind": "remove_tenant", "params": {
        "tenant": id(1, 1), "slug": "acme", "data": "keep" } });
    let of = |pointer: &str, value: Value| {
        let mut work = deployment();
        *work.pointer_mut(pointer).unwrap() = value;
        work
    };
    let renamed = of("/params/slug", json!("acme2"));
    let stranger = TenantRecord { portal: id(2, 9).parse().unwrap(), ..deployed() };
    for (name, work, tenants, what, advice) in [
        (
            "another portal's",
            deployment(),
            vec![stranger.clone()],
            "belongs to another portal",
            "another tenant id",
        ),
        (
            "another portal's, removed",
            removal.clone(),
            vec![stranger],
            "belongs to another portal",
            "the portal that deployed it",
        ),
        ("renamed", renamed, vec![deployed()], "deployed here as acme", "short name acme"),
        (
            "renamed while kept",
            of("/params/slug", json!("acme2")),
            vec![kept(deployed())],
            "deployed here as acme",
            "short name acme",
        ),
        (
            "another product",
            of("/params/blueprint/product", json!("cafe")),
            vec![deployed()],
            "runs another product",
            "remove the tenant first",
        ),
        (
            "slug taken",
            deployment(),
            vec![other(|record| record.slug = "acme".parse().unwrap())],
            "has the short name acme",
            "another short name",
        ),
        (
            "slug of kept data",
            deployment(),
            vec![kept(other(|record| record.slug = "acme".parse().unwrap()))],
            "has the short name acme",
            "another short name",
        ),
        (
            "domain taken",
            deployment(),
            vec![other(|record| record.domain = "acme.example.com".parse().unwrap())],
            "birch of this host already has the domain acme.example.com",
            "another domain",
        ),
        (
            "setting missing",
            of("/params/settings", json!({})),
            vec![],
            "SEATS is required",
            "set it for the tenant",
        ),
        (
            "setting unknown",
            of("/params/settings", json!({ "SEATS": "5", "X": "1" })),
            vec![],
            "no setting X",
            "leave the setting out",
        ),
        (
            "setting of the wrong kind",
            of("/params/settings/SEATS", json!("many")),
            vec![],
            "the value of the setting SEATS",
            "correct the tenant's settings",
        ),
        (
            "nothing to remove",
            removal,
            vec![],
            "no tenant acme on this host",
            "freehold-agent tenants",
        ),
    ] {
        let failure = plan(&order(work), &tenants).expect_err(name);
        assert_eq!(failure.class, FailureClass::Request, "{name}");
        assert!(failure.what.contains(what), "{name}: {failure:?}");
        assert!(failure.advice.contains(advice), "{name}: {failure:?}");
    }
    // What is not in the way.
    for (name, tenants) in [
        ("nobody", vec![]),
        ("itself", vec![deployed()]),
        ("its own kept data", vec![kept(deployed())]),
        ("another tenant", vec![other(|_| ())]),
        (
            "a domain that a removed tenant had",
            vec![kept(other(|record| record.domain = "acme.example.com".parse().unwrap()))],
        ),
    ] {
        plan(&order(deployment()), &tenants)
            .unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
    }
}

/// The portal has checked it; whoever has the portal's keys need not have.
#[test]
fn the_blueprint_is_checked_again() {
    for (name, pointer, value, field) in [
        (
            "a route to nowhere",
            "/params/blueprint/freehold/routes/0/port",
            json!("admin"),
            "routes",
        ),
        (
            "a port of nobody",
            "/params/blueprint/freehold/ports/backend/service",
            json!("db"),
            "ports",
        ),
        (
            "a volume that is not declared",
            "/params/blueprint/services/web",
            json!({ "image": "a:1", "mounts": [{ "volume": "v", "target": "/v" }] }),
            "web",
        ),
        (
            "a variable that is not declared",
            "/params/blueprint/services/web",
            json!({ "image": "a:1", "environment": { "A": "${NOT_DECLARED}" } }),
            "NOT_DECLARED",
        ),
    ] {
        let mut work = deployment();
        *work.pointer_mut(pointer).unwrap() = value;
        let failure = plan(&order(work), &[]).expect_err(name);
        assert_eq!(failure.class, FailureClass::Request, "{name}");
        assert!(failure.what.contains("release 7 of shop is not sound"), "{name}: {failure:?}");
        assert!(failure.detail.contains(field), "{name}: {failure:?}");
        assert!(failure.advice.contains("new release"), "{name}: {failure:?}");
    }
    // What could not even be said never becomes a job.
    for (pointer, value) in [
        ("/params/blueprint/services/web", json!({ "image": "a:1", "privileged": true })),
        (
            "/params/blueprint/services/web",
            json!({ "image": "a:1", "mounts": [{ "volume": "v", "target": "/v", "source": "/etc" }] }),
        ),
        ("/params/slug", json!("../acme")),
        ("/params/domain", json!("acme.example.com; include /etc/passwd")),
    ] {
        let mut work = deployment();
        *work.pointer_mut(pointer).unwrap() = value;
        assert!(serde_json::from_value::<Work>(work.clone()).is_err(), "{work}");
    }
}

#[test]
fn a_former_certificate_is_deleted_last_and_only_then() {
    let steps = |change: fn(&mut Value), previous: Option<TenantRecord>| {
        let mut work = deployment();
        change(&mut work);
        plan(&order(work), &previous.into_iter().collect::<Vec<_>>()).unwrap()
    };
    let moved = |work: &mut Value| work["params"]["domain"] = "new.example.com".into();
    let installed = |work: &mut Value| {
        work["params"]["certificate"] = json!({ "source": "installed", "name": "wildcard" });
    };
    let with_installed = || {
        let mut work = deployment();
        installed(&mut work);
        plan(&order(work), &[]).unwrap().coming_record()
    };
    for (name, plan, deletes) in [
        ("first", steps(|_| (), None), false),
        ("again", steps(|_| (), Some(deployed())), false),
        ("moved", steps(moved, Some(deployed())), true),
        ("installed from now on", steps(installed, Some(deployed())), true),
        ("moved with an installed one", steps(moved, with_installed()), false),
    ] {
        let last = *plan.steps.last().unwrap();
        assert_eq!(last == Step::DeleteOldCertificate, deletes, "{name}: {:?}", plan.steps);
        // Everything before it is undone when it fails.
        let no_return = deletes.then(|| plan.steps.len() - 1);
        assert_eq!(plan.shape().no_return, no_return, "{name}");
    }
}
