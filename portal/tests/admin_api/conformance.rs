//! The OpenAPI document, judged by two programs that know nothing of the portal: whether it is one, and
//! whether the portal, asked in every way that the document allows and in many that it forbids, answers as it
//! says.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::json;

use crate::harness::{SHOP, World};

/// A program of the folder that `script/bootstrap --test` makes.
fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/python/bin").join(name);
    assert!(program.exists(), "{name} is not there: `script/bootstrap --test` installs it");
    program
}

fn passed(what: &str, output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}:\n{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn the_document_is_openapi() {
    let world = World::new();
    let answer = world.call("GET", "/api/v1/openapi.json").send();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, answer.text).unwrap();
    let mut command = Command::new(program("openapi-spec-validator"));
    passed(
        "openapi-spec-validator",
        &command.args(["--schema", "3.1"]).arg(&file).output().unwrap(),
    );
}

#[test]
fn the_portal_answers_as_the_document_says() {
    let world = World::with(|config| {
        config.failures_per_minute = 100_000;
        config.requests_per_minute_per_token = 0;
    });
    world.post("/api/v1/hosts", json!({ "name": "demo" })).expect(201);
    world.post("/api/v1/blueprints", json!({ "source": SHOP })).expect(201);
    let demo = SHOP.replace("product: shop", "product: demo");
    world.post("/api/v1/blueprints", json!({ "source": demo })).expect(201);
    let plan = json!({ "name": "demo", "products": ["shop"], "expiryStrategy": "restrict" });
    world.post("/api/v1/plans", plan).expect(201);
    let tenant = json!({
        "slug": "acme", "name": "Acme GmbH", "domain": "acme.example.com", "host": "demo",
        "blueprint": "shop", "settings": { "GREETING": "hello" },
    });
    world.post("/api/v1/tenants", tenant).expect(201);
    let key = world.as_owner("POST", "/api/v1/tenants/acme/keys").send().expect(201);
    let spare = world.as_owner("POST", "/api/v1/tenants/acme/keys").send().expect(201);
    let customer = world.post("/api/v1/customers", json!({ "name": "Acme" })).expect(201);
    let license = json!({ "customer": customer["id"], "plan": "demo" });
    let license = world.post("/api/v1/licenses", license).expect(201);
    let request = json!({
        "customer": customer["id"], "license": license["license"]["id"], "justification": "signed", "slug": "beta",
        "name": "Beta", "domain": "beta.example.com", "host": "demo", "blueprint": "shop",
        "settings": { "GREETING": "hello" },
    });
    let request = world.post("/api/v1/requests", request).expect(201);

    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("schemathesis"));
    command
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis.toml"))
        .args(["run", "--no-color", &format!("{}/api/v1/openapi.json", world.base)])
        .env("FREEHOLD_OWNER", &world.owner)
        .env("FREEHOLD_TENANT_KEY", key["secret"].as_str().unwrap())
        .env("FREEHOLD_REQUEST", request["id"].as_str().unwrap())
        .env("FREEHOLD_SPARE_KEY", spare["key"]["id"].as_str().unwrap());
    passed("schemathesis", &command.output().unwrap());
    // It has asked with a token and a key that are good still, or else it has seen little.
    world.get("/api/v1/me").expect(200);
    let question = json!({ "licenseKey": "x", "organizationId": "x" });
    let asked =
        world.call("POST", "/api/v1/licenses/validate").bearer(key["secret"].as_str().unwrap());
    asked.json(&question).send().expect(200);
}
