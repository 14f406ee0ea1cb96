//! What a tenant writes is counted by its host and weighed against its plan: a tenant that has outgrown
//! the plan gets no other release, keeps the one that it has, and goes on once the plan gives more.

use freehold_portal::api::tenants::TenantDisk;
use freehold_tests::world::{Tenant, World, blueprint, docker};
use serde_json::{Value, json};

const GIB: u64 = 1 << 30;

/// A tenant under a plan of one GiB.
fn licensed(world: &World, release: u64) -> Tenant {
    let post = |path: &str, body: Value| world.api().call("POST", path, Some(&body)).expect(201);
    let plan = json!({ "name": "small", "title": "Small", "products": ["recruitiq"],
        "quotas": { "diskGb": 1 }, "expiryStrategy": "restrict" });
    post("/plans", plan);
    let customer = post("/customers", json!({ "name": "Acme" }))["id"].clone();
    let license = post("/licenses", json!({ "customer": customer, "plan": "small" }));
    let tenant = world.tenant("disk");
    world.create(&tenant, release);
    let change = json!({ "license": license["license"]["id"] });
    world.api().patch(&format!("/tenants/{}", tenant.slug), &change).expect(200);
    tenant
}

/// What the portal knows once the host has counted.
fn counted(world: &World, tenant: &Tenant) -> TenantDisk {
    let path = format!("/tenants/{}/check", tenant.slug);
    let job = world.api().call("POST", &path, None).expect(202);
    world.succeeds(job["id"].as_str().unwrap());
    world.view(tenant).disk.expect("what the tenant has on the disk")
}

fn in_database(tenant: &Tenant, command: &[&str]) {
    let place = format!("{}_recruitiq-db-1", tenant.slug);
    docker(["container", "exec", &place].iter().chain(command)).ok();
}

#[test]
fn a_tenant_that_has_outgrown_its_plan_gets_no_other_release_until_the_plan_gives_more() {
    let world = World::start("disk");
    let first = world.push(&blueprint(&[]));
    let second = world.push(&blueprint(&[
        ("freehold-sample/backend:1", "freehold-sample/backend:2"),
        ("freehold-sample/frontend:1", "freehold-sample/frontend:2"),
    ]));
    let tenant = licensed(&world, first);
    world.deploy(&tenant, first);
    let begun = counted(&world, &tenant);
    assert!((10_000_000..GIB / 2).contains(&begun.used_bytes.get()), "a database: {begun:?}");
    assert_eq!((begun.limit_bytes.map(u64::from), begun.over), (Some(GIB), false));

    const FILE: &str = "/var/lib/postgresql/data/large";
    in_database(&tenant, &["fallocate", "--length", "1100M", FILE]);
    let full = counted(&world, &tenant);
    let grown = full.used_bytes.get() - begun.used_bytes.get();
    assert!((1_140_000_000..1_200_000_000).contains(&grown), "{grown}");
    assert!(full.over && full.measured_at > begun.measured_at, "{full:?}");
    let shown = world.cli(["tenant", "show", &tenant.slug]).ok();
    assert!(shown.contains(" of 1 GiB that its plan gives"), "{shown}");

    let deploy = |release: u64| {
        let path = format!("/tenants/{}/deploy", tenant.slug);
        world.api().call("POST", &path, Some(&json!({ "release": release })))
    };
    let refused = deploy(second).problem(422);
    assert_eq!(refused.errors.len(), 1, "{refused:?}");
    let said = &refused.errors[0].detail;
    assert!(said.contains("on the disk, and the plan small gives 1 GiB"), "{said}");
    // The quota is no outage: what runs can be mended.
    let mended = deploy(first).expect(202);
    world.succeeds(mended["id"].as_str().unwrap());
    world.assert_live(&tenant, "1");

    world.cli(["plan", "update", "small", "--disk-gb", "2"]).ok();
    assert!(!world.view(&tenant).disk.unwrap().over);
    world.deploy(&tenant, second);
    world.assert_live(&tenant, "2");
    // So is it when data is deleted.
    world.cli(["plan", "update", "small", "--disk-gb", "1"]).ok();
    deploy(first).problem(422);
    in_database(&tenant, &["rm", FILE]);
    assert!(!counted(&world, &tenant).over);
    let log = world.api().get("/audit?limit=200");
    let rows = log["items"].as_array().unwrap().iter();
    assert_eq!(rows.filter(|row| row["action"] == "tenant.disk_over").count(), 1);
    world.remove_with_data(&tenant);
    assert_eq!(world.view(&tenant).disk, None);
}
