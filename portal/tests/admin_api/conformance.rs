//! The OpenAPI document, judged by two programs that know nothing of the portal: whether it is one, and
//! whether the portal, asked in every way that the document allows and in many that it forbids, answers as it
//! says.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use freehold_protocol::{
    enroll::{EnrollmentToken, proof},
    keys::SigningKey,
    seal::SealKey,
};
use serde_json::{Value, json};

use crate::{
    harness::{SHOP, World},
    users::PASSWORD,
};

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

/// The body with which the host's agent enrolls, and a token that is good for it alone.
fn enrollment(world: &World, host: &str, seed: u8) -> Value {
    let path = format!("/api/v1/hosts/{host}/enrollment-tokens");
    let made = world.post(&path, json!({})).expect(201);
    let token: EnrollmentToken = made["token"].as_str().unwrap().parse().unwrap();
    let identity = SigningKey::from_seed(&[seed; 32]).public();
    let report = SigningKey::from_seed(&[seed + 1; 32]).public();
    let seal = SealKey::from_bytes(&[seed + 2; 32]).unwrap().public();
    json!({
        "tokenId": token.id, "identityKey": identity, "reportKey": report, "sealKey": seal,
        "proof": proof(&token.secret, token.id, &identity, &report, &seal), "agentVersion": "0.1.0",
        "facts": {
            "at": 1, "os": "Debian 13", "kernel": "6.12", "arch": "x86_64", "memoryTotalMib": 16384,
            "memoryAvailableMib": 16384, "cpus": 8, "loadPercent": 1, "diskTotalMib": 204_800,
            "diskAvailableMib": 204_800, "tools": {},
        },
    })
}

/// Operations that nobody but an agent can bring to succeed, each with what it would need.
const ONLY_AN_AGENT: &[(&str, &str)] = &[
    (
        "POST /api/v1/agent/poll",
        "each call is signed with the agent's key, over a nonce and the time",
    ),
    ("POST /api/v1/agent/inventory", "signed, too"),
    ("POST /api/v1/agent/jobs/{id}/events", "signed, too"),
    ("POST /api/v1/agent/jobs/{id}/report", "signed, too, and once more inside"),
    (
        "POST /api/v1/hosts/{name}/resume",
        "an agent whose journal is ahead, with the portal's signature as proof",
    ),
    ("POST /api/v1/tenants/{slug}/credentials", "a password that an agent has reported, sealed"),
];

/// The operations of the document.
fn operations(world: &World) -> BTreeSet<String> {
    let document = world.call("GET", "/api/v1/openapi.json").send().expect(200);
    let mut all = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let verbs = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
        all.extend(verbs.map(|verb| format!("{} {path}", verb.to_uppercase())));
    }
    all
}

#[test]
fn the_portal_answers_as_the_document_says() {
    let world = World::with(|config| {
        config.failures_per_minute = 100_000;
        config.requests_per_minute_per_token = 0;
    });
    // A user, and not the token that makes the fixtures: it is somebody else who approves, and has sessions.
    world.user("tess@example.com", "owner");
    let session = world.session("tess@example.com");
    let owner = session["accessToken"].as_str().unwrap();
    let enroll = |body: &Value| world.call("POST", "/api/v1/agent/enroll").json(body).send();
    for (name, seed) in [("demo", 1), ("lost", 4)] {
        world.post("/api/v1/hosts", json!({ "name": name })).expect(201);
        enroll(&enrollment(&world, name, seed)).expect(200);
    }
    world.post("/api/v1/hosts", json!({ "name": "second" })).expect(201);
    world.post("/api/v1/blueprints", json!({ "source": SHOP })).expect(201);
    let demo = SHOP.replace("product: shop", "product: demo");
    world.post("/api/v1/blueprints", json!({ "source": demo })).expect(201);
    let plan =
        json!({ "name": "demo", "products": ["shop", "demo"], "expiryStrategy": "restrict" });
    world.post("/api/v1/plans", plan).expect(201);
    let tenant = json!({
        "slug": "acme", "name": "Acme GmbH", "domain": "acme.example.com", "host": "demo",
        "blueprint": "shop", "settings": { "GREETING": "hello" },
    });
    world.post("/api/v1/tenants", tenant).expect(201);
    let key = world.as_owner("POST", "/api/v1/tenants/acme/keys").send().expect(201);
    let key = key["secret"].as_str().unwrap();

    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("schemathesis"));
    command
        .current_dir(folder.path())
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .args(["run", "--no-color", &format!("{}/api/v1/openapi.json", world.base)])
        .env("PYTHONPATH", &here)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "schemathesis_fixtures")
        .env("FREEHOLD_URL", &world.base)
        .env("FREEHOLD_SETUP", &world.owner)
        .env("FREEHOLD_DATABASE", world.portal.db.path())
        .env("FREEHOLD_ENROLLMENT", enrollment(&world, "second", 7).to_string())
        .env("FREEHOLD_PASSWORD", PASSWORD)
        .env("FREEHOLD_SHOP", SHOP)
        .env("FREEHOLD_OWNER", owner)
        .env("FREEHOLD_TENANT_KEY", key);
    passed("schemathesis", &command.output().unwrap());
    // It has asked with a session and a key that are good still, or else it has seen little.
    world.as_user(&session, "GET", "/api/v1/me").send().expect(200);
    let question = json!({ "licenseKey": "x", "organizationId": "x" });
    world.call("POST", "/api/v1/licenses/validate").bearer(key).json(&question).send().expect(200);
    let succeeded = std::fs::read(folder.path().join("succeeded.json")).unwrap();
    let succeeded: BTreeSet<String> = serde_json::from_slice(&succeeded).unwrap();
    let never: BTreeSet<String> = &operations(&world) - &succeeded;
    assert_eq!(never, ONLY_AN_AGENT.iter().map(|(one, _)| (*one).to_owned()).collect());
}
