//! Bad input at every door: refused, with the field and the remedy, and nothing of it kept.

use freehold_tests::curl;
use freehold_tests::world::{Setup, World, blueprint};
use serde_json::{Value, json};

/// A tenant as an admin would create it, with one field replaced.
fn tenant_with(field: &str, value: &Value) -> Value {
    let mut body = json!({
        "slug": "acme", "name": "Acme", "domain": "acme.freehold.test", "host": "vps-1",
        "blueprint": "recruitiq", "adminEmail": "anna@acme.example.com", "adminName": "Anna",
    });
    body[field] = value.clone();
    body
}

#[test]
fn fields_of_a_tenant_are_refused_by_name() {
    let world = World::start_with("bad-tenant", Setup { no_host: true, ..Setup::default() });
    world.api().call("POST", "/hosts", Some(&json!({ "name": "vps-1" }))).expect(201);
    world.push(&blueprint(&[]));
    let long = "a".repeat(64);
    let table: Vec<(&str, Value)> = vec![
        ("slug", json!("..")),
        ("slug", json!("-acme")),
        ("slug", json!("acme-")),
        ("slug", json!("")),
        ("slug", json!(long)),
        ("slug", json!("ac\nme")),
        ("slug", json!("acme;rm -rf /")),
        ("slug", json!("Acme")),
        ("slug", json!("api")),
        ("domain", json!("acme.test\nserver_name evil.test")),
        ("domain", json!("acme.test; return 200")),
        ("domain", json!("acme.test{")),
        ("domain", json!("*.acme.test")),
        ("domain", json!("acme")),
        ("domain", json!("127.0.0.1")),
        ("domain", json!("acme.test:8443")),
        ("domain", json!("ücme.test")),
        ("name", json!("")),
        ("name", json!("two\nlines")),
        ("name", json!("x".repeat(500))),
        ("host", json!("no such host")),
        ("host", json!("vps-9")),
        ("blueprint", json!("../etc")),
        ("blueprint", json!("unknown")),
        ("release", json!(99)),
        ("settings", json!({ "NO_SUCH": "x" })),
        ("settings", json!({ "TENANT_COLOR": "a\nb" })),
        ("adminEmail", json!("anna")),
        ("adminEmail", json!("anna@acme.test\r\nBcc: all@acme.test")),
        ("certificate", json!({ "source": "stolen" })),
        ("certificate", json!({ "source": "installed", "name": "../../etc" })),
        ("surprise", json!(true)),
        ("release", json!("one")),
    ];
    for (field, value) in table {
        let body = tenant_with(field, &value);
        let problem = world.api().call("POST", "/tenants", Some(&body)).problem(422);
        let [error] = problem.errors.as_slice() else { panic!("{field} {value}: {problem:#?}") };
        assert!(
            error.pointer.starts_with(&format!("/{field}")) || error.detail.contains("one"),
            "{field} {value}: {error:?}"
        );
        assert!(error.detail.len() > 10, "{field} {value}: {error:?}");
        assert!(!problem.request_id.is_empty(), "{problem:#?}");
    }
    // Several at once are all named.
    let body = json!({ "slug": "..", "name": "", "domain": "x", "host": "", "blueprint": "!" });
    let problem = world.api().call("POST", "/tenants", Some(&body)).problem(422);
    assert_eq!(problem.errors.len(), 5, "{problem:#?}");
    assert_eq!(world.api().get("/tenants")["items"], json!([]));
}

#[test]
fn dangerous_blueprints_are_refused_with_their_line() {
    let world = World::start_with("bad-blueprint", Setup { no_host: true, ..Setup::default() });
    let at = "    command: [\"backend\"]";
    // What is put in, and the key that the refusal must name.
    for (bad, key) in [
        ("privileged: true", "privileged"),
        ("volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]", "volumes[0]"),
        ("volumes: [\"/etc:/host-etc\"]", "volumes[0]"),
        ("volumes: [\"./data:/data\"]", "volumes[0]"),
        ("network_mode: host", "network_mode"),
        ("pid: host", "pid"),
        ("cap_add: [SYS_ADMIN]", "cap_add"),
        ("devices: [/dev/sda]", "devices"),
        ("ports: [\"0.0.0.0:22:22\"]", "ports"),
        ("security_opt: [seccomp=unconfined]", "security_opt"),
        ("frobnicate: yes", "frobnicate"),
    ] {
        let source = blueprint(&[(at, &format!("{at}\n    {bad}"))]);
        let reply = world.api().call("POST", "/blueprints", Some(&json!({ "source": source })));
        let problem = reply.problem(422);
        let [error] = problem.errors.as_slice() else { panic!("{bad}: {problem:#?}") };
        // The field, and after the reason the remedy, a sentence of its own.
        assert!(error.detail.contains(&format!("services.backend.{key}")), "{bad}: {error:?}");
        let remedy = error.detail.split_once(". ").map_or("", |(_, remedy)| remedy);
        assert!(remedy.len() > 6 && remedy.ends_with('.'), "{bad}: {error:?}");
        let line = error.pointer.split(':').next().and_then(|line| line.parse::<usize>().ok());
        let line = line.unwrap_or_else(|| panic!("{bad}: {error:?}"));
        let wanted = source.lines().position(|line| line.contains(bad)).unwrap() + 1;
        assert_eq!(line, wanted, "{bad}: {problem:#?}");

        // The command line refuses the same before anything is sent, with the same place.
        let file = world.scratch().path().join("bad.yaml");
        std::fs::write(&file, &source).unwrap();
        let outcome = world.cli(["blueprint", "push", file.to_str().unwrap()]);
        assert!(!outcome.success(), "{bad}: {outcome}");
        let said = outcome.stdout.clone() + &outcome.stderr;
        assert!(said.contains(&format!("{line}:")) && said.contains(key), "{bad}: {outcome}");
    }
    assert_eq!(world.api().get("/blueprints")["items"], json!([]));
}

#[test]
fn requests_that_are_no_requests_are_answered() {
    let world = World::start_with("bad-request", Setup { no_host: true, ..Setup::default() });
    let url = format!("{}/api/v1/tenants", world.api().url());
    let bearer = format!("Authorization: Bearer {}", world.api().token());
    let json_type = "Content-Type: application/json";
    let big = world.scratch().path().join("big.json");
    std::fs::write(&big, format!("{{\"slug\":\"{}\"}}", "a".repeat(3 << 20))).unwrap();
    let big = format!("@{}", big.display());
    for (status, code, args) in [
        (401, "", vec!["--data", "{}", "--header", json_type]),
        (401, "", vec!["--header", "Authorization: Bearer fhk_wrong"]),
        (
            400,
            "malformed_json",
            vec!["--header", &bearer, "--header", json_type, "--data", "{\"slug\":"],
        ),
        (415, "unsupported_media_type", vec!["--header", &bearer, "--data", "{}"]),
        (413, "", vec!["--header", &bearer, "--header", json_type, "--data-binary", &big]),
        (405, "method_not_allowed", vec!["--header", &bearer, "--request", "PUT"]),
        (422, "invalid", vec!["--header", &bearer, "--header", json_type, "--data", "[]"]),
    ] {
        let answer = curl::send(&url, None, &args).unwrap();
        assert_eq!(answer.status, status, "{args:.120?}: {}", answer.body);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{}",
            answer.head
        );
        let problem = answer.json();
        assert!(code.is_empty() || problem["code"] == code, "{problem}");
        let told = problem["detail"].as_str().unwrap_or_default().len()
            + problem["advice"].as_str().unwrap_or_default().len();
        assert!(told > 20, "{problem}");
    }
    // The portal is none the worse.
    world.api().get("/me");
}

#[test]
fn a_portal_that_cannot_start_says_why() {
    let mut world = World::start_with("bad-start", Setup { no_host: true, ..Setup::default() });
    // Two at once.
    let refused = world.portal_ref().begin_refused();
    assert!(!refused.success() && refused.stderr.contains("in use"), "{refused}");
    world.portal().stop();

    // Without the master key, which opens the secrets in the database.
    let key = world.portal_ref().keys().join("master.key");
    let aside = world.scratch().path().join("master.key");
    std::fs::rename(&key, &aside).unwrap();
    let refused = world.portal_ref().begin_refused();
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(
        refused.stderr.contains("master.key") && refused.stderr.contains("backup"),
        "{refused}"
    );
    assert!(!key.exists(), "a new master key was made in place of the lost one");
    std::fs::rename(&aside, &key).unwrap();

    // Others may read the keys.
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = world.portal_ref().begin_refused();
    assert!(!refused.success() && refused.stderr.contains("chmod 600"), "{refused}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();

    // A database from the future.
    let database = world.portal_ref().database();
    let version = |version: u32| {
        let connection = rusqlite::Connection::open(&database).unwrap();
        let old: u32 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        old
    };
    let own = version(9999);
    let refused = world.portal_ref().begin_refused();
    assert!(!refused.success() && refused.stderr.contains("9999"), "{refused}");
    assert!(refused.stderr.contains("newer"), "{refused}");
    version(own);

    // A misspelt setting.
    let config = world.portal_ref().config();
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, good.clone() + "pol_wait_secs = 3\n").unwrap();
    let refused = world.portal_ref().begin_refused();
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("pol_wait_secs"), "{refused}");
    std::fs::write(&config, good).unwrap();

    world.portal().begin();
    world.api().get("/me");
}
