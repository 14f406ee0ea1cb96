//! An app that prints its secrets: nobody but the host gets to see them.

use freehold_protocol::report::EventKind;
use freehold_tests::world::{Tenant, World, blueprint};
use std::path::Path;

/// The database's password, as it stands in the tenant's folder while a job runs.
fn password(world: &World, tenant: &Tenant) -> String {
    let text = std::fs::read_to_string(world.folder(tenant).join(".env")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("PGPASSWORD=")).unwrap();
    line.trim_matches('"').to_owned()
}

/// Files below a folder that hold a text.
fn holders(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            holders(&path, text, found);
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn secrets_that_an_app_prints_stay_on_the_host() {
    let world = World::start("secrets");
    // What frameworks do with a connection string when it does not work.
    let print = "echo connect failed: postgres://app:$$PGPASSWORD@db/app >&2; exit 7";
    let script = format!("[\"/bin/sh\", \"-c\", \"{print}\"]");
    let literal = script.replace("$$", "$");
    let migrate = format!("mode: exec\n      command: {literal}");
    let crash = format!("command: [\"backend\"]\n    entrypoint: {script}");
    let sick = "test: [\"CMD-SHELL\", \"echo postgres://app:$$PGPASSWORD@db/app; exit 1\"]";
    let probe =
        "test: [\"CMD\", \"freehold-sample-app\", \"probe\", \"http://127.0.0.1:3000/api/health\"]";
    let retries = "/api/health\"]\n      interval: 1s\n      timeout: 5s\n      retries: 30";
    let few = "/api/health\"]\n      interval: 1s\n      timeout: 5s\n      retries: 3";
    for (name, changes) in [
        ("migrate", vec![("command: [\"migrate\"]", migrate.as_str())]),
        ("log", vec![(retries, few), ("command: [\"backend\"]", crash.as_str())]),
        ("health", vec![(retries, few), (probe, sick)]),
    ] {
        let tenant = world.tenant(name);
        let release = world.push(&blueprint(&changes));
        world.create(&tenant, release);
        let before = world.snapshot();
        let id = world.queue_deploy(&tenant, release);
        world.wait_step(&id, "start");
        let secret = password(&world, &tenant);
        assert_eq!(secret.len(), 40);
        let job = world.rests_as(&id, "rolled_back");
        // It is told that the app said so, and what; only not the secret.
        let failure = format!("{:?}", job.failure.unwrap());
        assert!(failure.contains("postgres://app:***@db/app"), "{name}: {failure}");
        let events = world.events(&id);
        assert!(events.iter().any(|event| event.what == EventKind::StepFailed), "{name}");
        let told = format!("{failure}{events:?}{}", world.api().get(&format!("/jobs/{id}")));
        assert!(!told.contains(&secret), "{name}: the job shows the secret");
        let mut found = Vec::new();
        for folder in [
            world.portal_ref().data(),
            world.agent_ref().state(),
            world.agent_ref().folder().join("poller"),
        ] {
            holders(&folder, &secret, &mut found);
        }
        assert_eq!(found, [""; 0], "{name}: the secret is in files");
        assert!(!world.portal_ref().log().contains(&secret), "{name}: the portal's log");
        assert!(!world.agent_ref().log().contains(&secret), "{name}: the agent's log");
        world.snapshot().assert_same(&before);
    }
}
