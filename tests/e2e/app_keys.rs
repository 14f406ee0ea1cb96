//! What a deploy brings for the app: it asks the portal about its license with it, and neither its key nor
//! its license key is anywhere but in the tenant's folder.

use freehold_tests::{
    curl,
    world::{Half, Setup, Tenant, World, blueprint, docker},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

use crate::app::{assert_valid, authority, is_refused_when_suspended};

/// A tenant that runs under a license of its own; the license's id.
fn licensed(world: &World) -> (Tenant, String) {
    let post = |path: &str, body: Value| world.api().call("POST", path, Some(&body)).expect(201);
    post(
        "/plans",
        json!({ "name": "pro", "title": "Pro", "products": ["recruitiq"], "features": ["export"],
                "maxApiKeys": 2, "expiryStrategy": "restrict" }),
    );
    let customer =
        post("/customers", json!({ "name": "Acme", "organizationId": "acme-org" }))["id"].clone();
    let license =
        post("/licenses", json!({ "customer": customer, "plan": "pro" }))["license"]["id"].clone();
    let tenant = world.tenant("keys");
    let release = world.push(&blueprint(&[]));
    world.create(&tenant, release);
    let path = format!("/tenants/{}", tenant.slug);
    let change = json!({ "license": license, "settings": { "PORTAL_CA": authority(world) } });
    world.api().patch(&path, &change).expect(200);
    world.deploy(&tenant, release);
    (tenant, license.as_str().unwrap().to_owned())
}

/// A value of the tenant's environment, as it stands on the host.
fn env(world: &World, tenant: &Tenant, name: &str) -> String {
    let text = std::fs::read_to_string(world.folder(tenant).join(".env")).unwrap();
    let start = format!("{name}=\"");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {name}")).strip_suffix('"').unwrap().to_owned()
}

fn keys(world: &World, tenant: &Tenant) -> Vec<Value> {
    let list = world.api().get(&format!("/tenants/{}/keys", tenant.slug));
    list["items"].as_array().unwrap().clone()
}

/// What the portal answers to somebody who asks with a key.
fn asked_with(world: &World, tenant: &Tenant, key: &str) -> (u16, Value) {
    let body = json!({
        "licenseKey": env(world, tenant, "FREEHOLD_LICENSE_KEY"), "organizationId": "acme-org",
    });
    let url = format!("{}/api/licenses/validate", world.api().url());
    let ca = &world.portal_ref().tls().unwrap().ca;
    let key = format!("x-api-key: {key}");
    let args = ["--header", &key, "--header", "content-type: application/json", "--data"];
    let body = body.to_string();
    let answer = curl::send(&url, Some(ca), args.iter().copied().chain([body.as_str()])).unwrap();
    (answer.status, answer.json())
}

fn search(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, text, found);
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Everything but files that somebody could see a key in, by where it is.
fn places(world: &World, job: &str) -> BTreeMap<&'static str, String> {
    let mut processes = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // A process that has just ended has no line any more.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        processes += &String::from_utf8_lossy(&line);
        processes.push('\n');
    }
    let agent = world.agent_ref();
    BTreeMap::from([
        ("docker ps", docker(["ps", "--all", "--no-trunc", "--format", "{{json .}}"]).ok()),
        ("processes", processes),
        ("job", world.api().get(&format!("/jobs/{job}")).to_string()),
        ("events", format!("{:?}", world.events(job))),
        ("audit", world.api().get("/audit?limit=200").to_string()),
        ("portal's log", world.portal_ref().log()),
        ("agent's log", agent.log()),
        ("agent's journal", agent.cli(&["journal", job]).ok()),
        ("agent's plan", agent.cli(&["plan", job]).ok()),
    ])
}

fn assert_nowhere(world: &World, tenant: &Tenant, job: &str) {
    for name in ["FREEHOLD_TENANT_KEY", "FREEHOLD_LICENSE_KEY"] {
        let secret = env(world, tenant, name);
        assert!(secret.len() > 20, "{name}");
        let mut found = Vec::new();
        let agent = world.agent_ref();
        for folder in [world.portal_ref().data(), agent.state(), agent.folder().join("poller")] {
            search(&folder, &secret, &mut found);
        }
        found.sort();
        assert_eq!(found, [".env", "delivered.json"], "{name}");
        for (place, text) in places(world, job) {
            assert!(!text.contains(&secret), "{name} is in {place}");
        }
    }
    let plan = world.agent_ref().cli(&["plan", job]).ok();
    assert!(plan.contains("FREEHOLD_TENANT_KEY=***"), "{plan}");
}

/// A rotation whose executor is killed on the way: the new key is in use, and the old one good for its
/// grace period.
fn a_rotation_survives_a_crash(world: &World, tenant: &Tenant) {
    let old = env(world, tenant, "FREEHOLD_TENANT_KEY");
    let id = keys(world, tenant)[0]["id"].as_str().unwrap().to_owned();
    let rotated =
        world.cli(["tenant", "key", "rotate", &tenant.slug, &id, "--grace-hours", "1", "--json"]);
    let rotated: Value = serde_json::from_str(&rotated.ok()).unwrap();
    assert_eq!(rotated.get("secret"), None, "{rotated}");
    let job = rotated["job"].as_str().unwrap().to_owned();
    world.wait_step(&job, "write-stack");
    world.agent_ref().kill_half(Half::Executor);
    world.succeeds(&job);

    let new = env(world, tenant, "FREEHOLD_TENANT_KEY");
    assert_ne!(new, old);
    assert_valid(world, tenant);
    let listed = keys(world, tenant);
    let states: Vec<_> =
        listed.iter().map(|key| (key["state"].as_str(), key["delivery"].as_str())).collect();
    assert_eq!(states, [(Some("replaced"), Some("done")), (Some("valid"), Some("done"))]);
    for key in [&old, &new] {
        let (status, said) = asked_with(world, tenant, key);
        assert_eq!((status, &said["code"]), (200, &json!("VALID")), "{said}");
    }
    assert_nowhere(world, tenant, &job);
    world.assert_live(tenant, "1");

    // What it was worth is known: without the old key, only the new one is good.
    let path = format!("/tenants/{}/keys/{id}", tenant.slug);
    world.api().call("DELETE", &path, None).expect(204);
    assert_eq!(asked_with(world, tenant, &old).0, 401);
    assert_valid(world, tenant);
}

#[test]
fn a_deploy_brings_the_keys_with_which_the_app_is_licensed() {
    let world = World::start_with("app-keys", Setup { apps: true, ..Setup::default() });
    let (tenant, license) = licensed(&world);
    assert_valid(&world, &tenant);
    let job = world.api().get("/jobs?kind=deploy_tenant")["items"][0]["id"].clone();
    assert_nowhere(&world, &tenant, job.as_str().unwrap());

    a_rotation_survives_a_crash(&world, &tenant);

    is_refused_when_suspended(&world, &tenant, &license);
}
