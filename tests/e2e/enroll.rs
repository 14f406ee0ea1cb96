//! Enrolling a host, with tokens good and bad, as the wrong agent, and with a wrong clock.

use freehold_protocol::{enroll::EnrollmentToken, secret::Secret};
use freehold_tests::world::{HOST, Half, Setup, World};
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn tokens_work_once_and_bad_ones_say_what_to_do() {
    let mut world = World::start_with("enroll", Setup { no_host: true, ..Setup::default() });
    let body = json!({ "name": HOST });
    world.api().call("POST", "/hosts", Some(&body)).expect(201);
    let expired = world.enrollment_token(None);

    for (token, code, text) in
        [("", 2, "token"), ("hello", 2, "token"), (&expired[..expired.len() - 8], 2, "token")]
    {
        let outcome = world.agent_ref().enroll(token, &[]);
        assert_eq!(outcome.code, Some(code), "{token:?}: {outcome}");
        assert!(outcome.stderr.contains(text) && outcome.stderr.contains("hint"), "{outcome}");
    }

    // Of the right form, but with a secret, then an id, that the portal has never given out.
    let good: EnrollmentToken = expired.parse().unwrap();
    let (mut guessed, mut unknown) = (good.clone(), good);
    guessed.secret = Secret::new("fhe_guess".to_owned());
    unknown.id = "01936f2a-0000-7000-8000-000000000001".parse().unwrap();
    for wrong in [guessed, unknown] {
        let outcome = world.agent_ref().enroll(wrong.to_text().expose(), &[]);
        assert_eq!(outcome.code, Some(5), "{outcome}");
        assert!(outcome.stderr.contains("no such enrollment token"), "{outcome}");
        assert!(outcome.stderr.contains("freehold host token"), "{outcome}");
        assert!(
            !outcome.stderr.contains("fhe_") && !outcome.stderr.contains("revoked"),
            "{outcome}"
        );
    }

    expire(&world);
    let outcome = world.agent_ref().enroll(&expired, &[]);
    assert_eq!(outcome.code, Some(5), "{outcome}");
    assert!(outcome.stderr.contains("expired"), "{outcome}");
    assert!(outcome.stderr.contains("freehold host token"), "{outcome}");

    // A new token takes back the one before.
    let replaced = world.enrollment_token(None);
    let good = world.enrollment_token(None);
    let outcome = world.agent_ref().enroll(&replaced, &[]);
    assert_eq!(outcome.code, Some(5), "{outcome}");
    assert!(
        outcome.stderr.contains("taken back") && outcome.stderr.contains("freehold host token"),
        "{outcome}"
    );

    world.agent_ref().enroll(&good, &[]).ok();
    let outcome = world.agent_ref().enroll(&good, &[]);
    assert_eq!(outcome.code, Some(6), "{outcome}");
    assert!(
        outcome.stderr.contains("already enrolled") && outcome.stderr.contains("--force"),
        "{outcome}"
    );
    // Used by this agent's keys; another agent may not use it again.
    let outcome = world.agent_ref().enroll(&good, &["--force"]);
    assert_eq!(outcome.code, Some(5), "{outcome}");
    assert!(outcome.stderr.contains("used"), "{outcome}");

    // The refusal has touched nothing: the enrollment works.
    world.agent().start();
    world.eventually("the host is online", SOON, |world| {
        world.api().get("/hosts/vps-1")["presence"] == json!("online")
    });
}

/// Moves the end of the only token into the past: a token lives for a minute at least.
fn expire(world: &World) {
    let database = rusqlite::Connection::open(world.portal_ref().database()).unwrap();
    let changed =
        database.execute("UPDATE enrollments SET expires_at = created_at - 1", []).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn an_agent_cannot_be_another_one() {
    let mut world = World::start("impostor");
    let read = |file: &std::path::Path| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    let file = world.agent_ref().folder().join("poller/portal.json");
    let mut portal = read(&file);
    // A second host of the same portal, enrolled with keys of its own.
    let body = json!({ "name": "vps-2" });
    world.api().call("POST", "/hosts", Some(&body)).expect(201);
    let path = "/hosts/vps-2/enrollment-tokens";
    let answer = world.api().call("POST", path, Some(&json!({}))).expect(201);
    let second = world.scratch().folder("second");
    let sets = ["state_dir", "poller_dir"].map(|key| format!("{key}={}/{key}", second.display()));
    let args = ["--set", sets[0].as_str(), "--set", sets[1].as_str()];
    world.agent_ref().enroll(answer["token"].as_str().unwrap(), &args).ok();
    let others = read(&second.join("poller_dir/portal.json"));
    assert_eq!(others["portal"], portal["portal"]);
    let own = portal["agentId"].clone();
    portal["agentId"] = others["agentId"].clone();
    assert!(own.is_string() && portal["agentId"].is_string(), "{portal}");
    world.agent().stop();
    std::fs::write(&file, portal.to_string()).unwrap();
    world.agent().start();
    let before = world.api().get("/hosts/vps-1")["agent"]["lastSeenAt"].clone();
    // Which of both it is not is for a person to say, who is told both remedies.
    let told = |text: &str| {
        let refused =
            |line: &&str| line.contains("401") && line.contains("signature does not hold");
        let line = text.lines().find(refused)?;
        Some(line.contains("public_url") && line.contains("enroll --force"))
    };
    world.eventually("the refusal is told", SOON, |world| {
        told(&world.agent_ref().log()) == Some(true)
    });
    assert_eq!(
        world.api().get("/hosts/vps-1")["agent"]["lastSeenAt"],
        before,
        "an impostor was heard"
    );
    assert_eq!(world.api().get("/hosts/vps-2")["presence"], json!("never"), "nor as the other");

    portal["agentId"] = own;
    world.agent().stop();
    std::fs::write(&file, portal.to_string()).unwrap();
    world.agent().start();
    world.eventually("the host is heard again", SOON, |world| {
        world.api().get("/hosts/vps-1")["agent"]["lastSeenAt"] != before
    });
}

/// A world whose agent's clock is off.
fn with_clock(offset: &str) -> World {
    World::start_with("clock", Setup { agent_clock: Some(offset.to_owned()), ..Setup::default() })
}

#[test]
fn a_clock_that_is_off_by_a_day_is_told_and_jobs_run() {
    for (offset, word) in [("-1d", "behind"), ("+1d", "ahead")] {
        let world = with_clock(offset);
        // A job lives for an hour: by the host's clock it is over, or not yet signed.
        let reply = world.api().call("POST", "/hosts/vps-1/probe", None);
        assert!((200..300).contains(&reply.status), "{}: {}", reply.status, reply.text);
        let job: serde_json::Value = serde_json::from_str(&reply.text).unwrap();
        world.succeeds(job["id"].as_str().unwrap());
        let skew = world.api().get("/hosts/vps-1")["agent"]["clockSkewMs"].as_i64().unwrap();
        assert!((86_000_000..87_000_000).contains(&skew.abs()), "{offset}: {skew}");
        assert!(world.portal_ref().log().contains("clock is wrong"), "{offset}");
        let status = world.agent_ref().cli(&["status"]).ok();
        assert!(status.contains("timedatectl") && status.contains(word), "{offset}: {status}");
    }
}

#[test]
fn a_clock_that_is_off_by_a_day_does_not_stop_a_deploy() {
    // Behind: by the host's clock the new certificate is not valid yet.
    for offset in ["-1d", "+1d"] {
        let world = with_clock(offset);
        let tenant = world.deployed("acme");
        world.assert_live(&tenant, "1");
        world.remove_with_data(&tenant);
    }
}

#[test]
fn a_portal_that_refuses_or_is_away_is_told_by_the_status() {
    let mut world = World::start("contact");
    let polls = |world: &World| {
        let status = world.agent_ref().cli(&["status"]).ok();
        status
            .lines()
            .find_map(|line| line.strip_prefix("polls "))
            .map(|line| line.trim().to_owned())
    };
    let fault = |world: &World| {
        let shown = world.agent_ref().cli(&["status", "--json"]).json();
        let failed = &shown["status"]["failed_poll"];
        (failed["fault"].clone(), failed["over"].clone())
    };
    world.eventually("the host is online", SOON, |world| {
        world.api().get("/hosts/vps-1")["presence"] == json!("online")
    });
    assert_eq!(polls(&world), None);

    world.portal().stop();
    world.eventually("it is told that the portal is away", SOON, |world| {
        polls(world).is_some_and(|line| line.starts_with("unreachable since 2"))
    });
    assert!(polls(&world).unwrap().contains("check the network"), "{:?}", polls(&world));
    world.portal().begin();
    world.eventually("nothing is told any more", SOON, |world| polls(world).is_none());
    assert_eq!(fault(&world), (json!("unreachable"), json!(true)));

    world.cli(["host", "revoke", HOST, "--yes", HOST]).ok();
    world.eventually("the refusal is told", SOON, |world| {
        polls(world).is_some_and(|line| line.starts_with("refused since 2"))
    });
    let line = polls(&world).unwrap();
    assert!(line.contains("answered 40") && line.contains("enroll --force"), "{line}");
    assert_eq!(fault(&world), (json!("refused"), json!(false)));
    let doctor = world.agent_ref().cli(&["doctor"]);
    let told = |line: &str| line.starts_with("FAIL  polls") && line.contains("refused for");
    assert!(doctor.code == Some(1) && doctor.stdout.lines().any(told), "{doctor}");
    // An executor that starts anew hears of the next one.
    world.agent_ref().kill_half(Half::Executor);
    world.eventually("the refusal is told anew", SOON, |world| {
        world.agent_ref().cli(&["status"]).stdout.contains("refused since 2")
    });

    // The remedy helps.
    let token = world.enrollment_token(None);
    world.agent().stop();
    world.agent_ref().enroll(&token, &["--force"]).ok();
    world.agent().start();
    world.eventually("the host is online again", SOON, |world| {
        world.api().get("/hosts/vps-1")["presence"] == json!("online")
    });
    assert_eq!(polls(&world), None);
}
