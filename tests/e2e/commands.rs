//! The commands of the host's operator, against a real executor.

use std::{process::Command, time::Duration};

use freehold_tests::world::{DEPLOY_STEPS, World, agent_program, run};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

fn probe(world: &World) -> String {
    let reply = world.api().call("POST", "/hosts/vps-1/probe", None);
    let job: Value = serde_json::from_str(&reply.text).unwrap();
    job["id"].as_str().unwrap().to_owned()
}

/// The verdicts of `doctor`, and how it ended.
fn doctor(world: &World) -> (Value, Option<i32>) {
    let outcome = world.agent_ref().cli(&["doctor", "--json"]);
    let checks: Vec<Value> =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"));
    for check in &checks {
        let is_fine = check["verdict"] == json!("ok");
        assert_eq!(is_fine, check.get("remedy").is_none(), "no remedy: {check}");
    }
    let named = checks
        .iter()
        .map(|check| (check["check"].as_str().unwrap().to_owned(), check["verdict"].clone()));
    (Value::Object(named.collect()), outcome.code)
}

#[test]
fn an_operator_looks_drains_and_leaves() {
    let mut world = World::start("commands");
    let tenant = world.deployed("acme");
    let id = probe(&world);
    world.succeeds(&id);

    let (verdicts, _) = doctor(&world);
    for check in ["configuration", "keys", "journal", "trust", "portal", "executor", "contact"] {
        assert_eq!(verdicts[check], json!("ok"), "{check}: {verdicts}");
    }

    let list = world.agent_ref().cli(&["journal", "--json"]).ok();
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    assert_eq!((&list[0]["jobId"], &list[0]["outcome"]), (&json!(id), &json!("succeeded")));
    let deploy = list.iter().find(|job| job["kind"] == json!("deploy_tenant")).unwrap();
    let deploy = deploy["jobId"].as_str().unwrap().to_owned();
    let shown = world.agent_ref().cli(&["journal", &deploy]).ok();
    for step in DEPLOY_STEPS {
        assert!(shown.contains(step), "{step}: {shown}");
    }
    let unknown = world.agent_ref().cli(&["journal", "0190b1c2-0000-7000-8000-0000000000ff"]);
    assert_eq!(unknown.code, Some(7), "{unknown}");

    // As the host is now: the tenant is there, so that a deploy would not onboard it again.
    let before = world.snapshot();
    let plan = world.agent_ref().cli(&["plan", &deploy, "--json"]).ok();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let steps: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert!(steps.contains(&"start") && steps.contains(&"verify"), "{steps:?}");
    assert!(!steps.contains(&"onboard"), "{steps:?}");
    world.snapshot().assert_same(&before);
    let forged = world.scratch().path().join("job.json");
    let envelope = json!({ "payloadType": "application/vnd.freehold.job.v1+json", "payload": "e30=",
        "signatures": [{ "sig": "A".repeat(86) + "==" }] });
    std::fs::write(&forged, envelope.to_string()).unwrap();
    let refused = world.agent_ref().cli(&["plan", forged.to_str().unwrap()]);
    assert_eq!(refused.code, Some(6), "{refused}");

    drained(&mut world);
    left_only_when_stopped(&mut world, &tenant.slug);
}

fn drained(world: &mut World) {
    world.agent_ref().cli(&["drain"]).ok();
    world.eventually("the portal knows of it", SOON, |world| {
        world.api().get("/hosts/vps-1")["agent"]["draining"] == json!(true)
    });
    let waits = probe(world);
    // Across a restart too; and a stopped executor can be told as well.
    world.agent().stop();
    let status = world.agent_ref().cli(&["status"]);
    assert_eq!(status.code, Some(4), "{status}");
    let (verdicts, code) = doctor(world);
    assert_eq!((&verdicts["executor"], code), (&json!("fail"), Some(1)), "{verdicts}");
    world.agent().start();
    world.eventually("the agent is back", SOON, |world| {
        world.agent_ref().cli(&["status"]).stdout.contains("drained")
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(world.job(&waits).state.to_string(), "queued");
    world.agent().stop();
    world.agent_ref().cli(&["undrain"]).ok();
    world.agent().start();
    world.succeeds(&waits);
}

fn left_only_when_stopped(world: &mut World, slug: &str) {
    // A living executor goes on with what it knows: nobody changes the enrollment under it.
    let token = world.enrollment_token(None);
    for outcome in [
        world.agent_ref().enroll(&token, &["--force"]),
        world.agent_ref().cli(&["unenroll", "--keep-tenants"]),
    ] {
        assert_eq!(outcome.code, Some(6), "{outcome}");
        let text = &outcome.stderr;
        assert!(text.contains("in use by") && text.contains("systemctl stop"), "{text}");
    }
    // Nor is there a second one.
    let mut second = Command::new(agent_program());
    let config = world.agent_ref().folder().join("agent.toml");
    second.args(["execute", "--config"]).arg(&config);
    second
        .args(["--set", &format!("socket={}", world.scratch().path().join("two.sock").display())]);
    let outcome = run(second, None);
    assert_eq!(outcome.code, Some(6), "{outcome}");
    assert!(outcome.stderr.contains("process"), "{outcome}");
    world.succeeds(&probe(world));

    world.agent().stop();
    let refused = world.agent_ref().cli(&["unenroll"]);
    assert_eq!(refused.code, Some(6), "{refused}");
    assert!(refused.stderr.contains(slug), "{refused}");
    let left = world.agent_ref().cli(&["unenroll", "--keep-tenants"]).ok();
    assert!(left.contains("has left") && left.contains(slug), "{left}");
    let keys = world.agent_ref().state().join("keys");
    let remaining: Vec<_> = std::fs::read_dir(&keys).unwrap().collect();
    assert!(remaining.is_empty(), "{remaining:?}");
    assert_eq!(world.agent_ref().cli(&["unenroll"]).code, Some(3));

    // The host comes back with keys of its own, and finds its tenant.
    let old = world.api().get("/hosts/vps-1")["agent"]["id"].clone();
    world.agent_ref().enroll(&token, &[]).ok();
    world.agent().start();
    world.succeeds(&probe(world));
    assert_ne!(world.api().get("/hosts/vps-1")["agent"]["id"], old);
    assert!(world.agent_ref().cli(&["tenants"]).ok().contains(slug));
}
