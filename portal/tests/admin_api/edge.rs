//! What is the same for every address: how often, from where, and with which headers.

use freehold_portal::http::{
    route,
    server::Method,
    spec::IfMatch,
    table::{Access, Operation},
};
use serde_json::json;

use crate::{
    harness::{Answer, World},
    validation::App,
};

/// A request that a proxy on this machine passes on.
fn from(world: &World, peer: &str, method: &str, path: &str) -> Answer {
    world.call(method, path).header("x-forwarded-for", peer).send()
}

fn behind_proxy(requests_per_minute: u32) -> World {
    World::with(|config| {
        config.behind_proxy = true;
        config.requests_per_minute = requests_per_minute;
    })
}

#[test]
fn strangers_have_a_limit_per_address_and_whoever_is_known_does_not_count() {
    let world = behind_proxy(5);
    let (one, other) = ("203.0.113.9", "203.0.113.10");
    for left in (0..5).rev() {
        let answer = from(&world, one, "GET", "/api/v1/version");
        answer.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=5;w=60"));
        let shown = answer.header("ratelimit").unwrap();
        assert!(shown.starts_with(&format!("\"address\";r={left};t=")), "{shown}");
    }
    for path in ["/api/v1/version", "/api/v1/openapi.json", "/api/v1/trust", "/nothing", "/readyz"]
    {
        let answer = from(&world, one, "GET", path);
        answer.refused(429, "too_many_requests");
        assert_eq!(answer.header("retry-after"), Some("13"), "{path}");
        assert!(answer.header("ratelimit").unwrap().starts_with("\"address\";r=0;t="));
    }
    from(&world, one, "PUT", "/api/v1/hosts").refused(429, "too_many_requests");
    // Others, whoever has proved who it is, and what machines ask about the process.
    from(&world, other, "GET", "/api/v1/version").expect(200);
    let known = world.as_owner("GET", "/api/v1/hosts").header("x-forwarded-for", one).send();
    known.expect(200);
    assert_eq!(known.header("ratelimit-policy"), Some("\"token\";q=1200;w=60"));
    assert_eq!(from(&world, one, "GET", "/healthz").status, 200);
    from(&world, one, "GET", "/.well-known/jwks.json").expect(200);
    world.clock.advance_secs(13);
    from(&world, one, "GET", "/api/v1/version").expect(200);
}

#[test]
fn agents_that_have_not_proved_themselves_are_counted_apart_and_told_why_they_are_refused() {
    let world = behind_proxy(3);
    let unsigned = || {
        let call =
            world.call("POST", "/api/v1/agent/poll").header("x-forwarded-for", "203.0.113.9");
        call.json(&json!({})).send()
    };
    for left in [2, 1, 0, 0] {
        let answer = unsigned();
        // The reason stays: an admin of the host must learn it however often the agent asks.
        answer.refused(401, "signature_missing");
        let shown = answer.header("ratelimit").unwrap();
        assert!(shown.starts_with(&format!("\"agents\";r={left};t=")), "{shown}");
    }
    // Nobody else behind the same address has less for it.
    let answer = from(&world, "203.0.113.9", "GET", "/api/v1/version");
    answer.expect(200);
    assert!(answer.header("ratelimit").unwrap().starts_with("\"address\";r=2;t="));
}

#[test]
fn nobody_but_a_proxy_of_this_machine_says_where_a_request_is_from() {
    let world = World::with(|config| config.requests_per_minute = 1);
    // It is not told to be behind a proxy: all of this comes from this machine, which has no limit.
    for peer in ["203.0.113.9", "203.0.113.9", "203.0.113.9"] {
        let answer = from(&world, peer, "GET", "/api/v1/version");
        answer.expect(200);
        assert_eq!(answer.header("ratelimit"), None);
    }
}

#[test]
fn each_token_has_a_limit_of_its_own() {
    let world = World::with(|config| config.requests_per_minute_per_token = 3);
    let other = world.token("other", "viewer");
    world.get("/api/v1/hosts").expect(200);
    world.get("/api/v1/hosts").expect(200);
    let answer = world.get("/api/v1/hosts");
    answer.refused(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), Some("21"));
    world.call("GET", "/api/v1/hosts").bearer(&other).send().expect(200);
}

#[test]
fn each_api_key_has_a_limit_of_its_own_on_questions_about_licenses() {
    let app = App::with(|config| config.validations_per_minute_per_key = 2, json!({}));
    assert_eq!(app.ask()["code"], "VALID");
    assert_eq!(app.ask()["code"], "VALID");
    let answer = app.ask_with(&app.question());
    answer.refused(429, "too_many_requests");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"key\";q=2;w=60"));
    app.world.clock.advance_secs(31);
    assert_eq!(app.ask()["code"], "VALID");
}

#[test]
fn every_answer_has_the_headers_that_browsers_obey() {
    let world = World::new();
    let long = format!("/api/v1/{}", "a".repeat(20_000));
    let answers = [
        ("200", world.get("/api/v1/hosts")),
        ("200 public", world.call("GET", "/api/v1/openapi.json").send()),
        ("401", world.call("GET", "/api/v1/hosts").send()),
        ("404", world.get("/nothing")),
        ("405", world.as_owner("PUT", "/api/v1/hosts").send()),
        ("422", world.post("/api/v1/hosts", json!({ "name": "!" }))),
        ("the HTTP layer", world.get(&long)),
        ("text", world.call("GET", "/healthz").send()),
    ];
    for (what, answer) in &answers {
        let wanted = [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ];
        for (name, value) in wanted {
            assert_eq!(answer.header(name), Some(value), "{what}: {name}");
        }
        let cache = answer.header("cache-control").unwrap();
        let public = *what == "200 public";
        assert_eq!(cache, if public { "public, max-age=300" } else { "no-store" }, "{what}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
    }
    assert_eq!(answers[0].1.header("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(answers[4].1.header("allow"), Some("GET, POST, HEAD"));
    let plain = World::with(|config| config.public_url = String::new());
    assert_eq!(plain.get("/api/v1/hosts").header("strict-transport-security"), None);
}

#[test]
fn pages_of_listed_origins_may_ask_and_no_others() {
    let page = "https://admin.example.com";
    let world = World::with(|config| config.cors_origins = vec![page.to_owned()]);
    let preflight = |origin: &str, path: &str| {
        let call = world.call("OPTIONS", path).header("origin", origin);
        call.header("access-control-request-method", "POST").send()
    };
    let answer = preflight(page, "/api/v1/hosts");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some(page));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, HEAD"));
    let may_send = answer.header("access-control-allow-headers").unwrap();
    for header in ["authorization", "if-match", "content-encoding", "x-tenant-id"] {
        assert!(may_send.split(", ").any(|sent| sent == header), "{header}: {may_send}");
    }
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);

    for evil in [
        "https://admin.example.com.evil.test",
        "https://evil.test",
        "null",
        "http://admin.example.com",
    ] {
        let answer = preflight(evil, "/api/v1/hosts");
        answer.refused(405, "method_not_allowed");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{evil}");
        assert_eq!(answer.header("vary"), Some("Origin"));
        let answer = world.as_owner("GET", "/api/v1/hosts").header("origin", evil).send();
        assert_eq!(answer.header("access-control-allow-origin"), None, "{evil}");
    }
    let answer = world.as_owner("GET", "/api/v1/hosts").header("origin", page).send();
    answer.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(page));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("etag"));
    // A refusal can be read, too.
    let answer = world.call("GET", "/api/v1/hosts").header("origin", page).send();
    answer.refused(401, "token_missing");
    assert_eq!(answer.header("access-control-allow-origin"), Some(page));
    preflight(page, "/nothing").refused(404, "unknown_address");

    // Unless somebody lists an origin, there is nothing to say about any.
    let closed = World::new();
    let answer = closed.as_owner("GET", "/api/v1/hosts").header("origin", page).send();
    assert_eq!((answer.header("vary"), answer.header("access-control-allow-origin")), (None, None));
}

/// Requests of admins that queue or make nothing new, so that they take no `Idempotency-Key`, and why a repeat
/// is harmless.
const WITHOUT_KEY: &[(&str, &str)] = &[
    ("Login", "each login is a session of its own, and its answer is a secret, which is not kept"),
    ("Refresh", "a refresh token is good once"),
    ("Logout", "the session has ended: 401"),
    ("ChangePassword", "the old password is wrong then: 403"),
    ("DisableUser", "sets a state"),
    ("EnableUser", "sets a state"),
    ("ResetPassword", "sets a state; a drawn password is a secret, which is not kept: ask again"),
    ("ResumeHost", "there is no conflict any more: 409"),
    ("RevokeHost", "sets a state"),
    ("DrainHost", "sets a state"),
    ("UndrainHost", "sets a state"),
    ("RevealCredentials", "shown once: 410"),
    (
        "RotateKeys",
        "writes the key folder, which is no part of a transaction; one more rotation does no harm",
    ),
    ("RotateLeaseKeys", "as RotateKeys"),
    ("ArchivePlan", "sets a state"),
    ("UnarchivePlan", "sets a state"),
    ("SuspendLicense", "sets a state"),
    ("ReinstateLicense", "sets a state"),
    ("RenewLicense", "sets a state"),
    ("RevokeLicense", "sets a state"),
    ("RejectRequest", "names the version that it decides on: 412"),
    ("WithdrawRequest", "it is withdrawn: 409"),
    ("RevealLicenseKey", "changes nothing but the audit log"),
];

fn admins() -> Vec<Operation> {
    let all = route::operations();
    all.into_iter().filter(|operation| matches!(operation.access, Access::Admin(_))).collect()
}

#[test]
fn whatever_makes_something_takes_an_idempotency_key() {
    for operation in admins().iter().filter(|operation| operation.method == Method::Post) {
        let named = WITHOUT_KEY.iter().any(|(name, _)| *name == operation.name);
        assert_ne!(
            operation.spec.idempotent, named,
            "{}: take an Idempotency-Key (Context::create), or say why not",
            operation.name
        );
    }
    for (name, _) in WITHOUT_KEY {
        assert!(admins().iter().any(|operation| operation.name == *name), "{name}");
    }
}

#[test]
fn every_change_names_the_version_that_it_is_based_on() {
    let world = World::with_tenant();
    let mut seen = 0;
    for operation in admins().iter().filter(|operation| operation.method == Method::Patch) {
        assert_eq!(operation.spec.if_match, IfMatch::Must, "{}", operation.name);
        assert!(operation.spec.etag, "{}", operation.name);
        let id = "0190a000-0000-7000-8000-000000000001";
        let path =
            operation.path.replace("{slug}", "acme").replace("{name}", "vps-1").replace("{id}", id);
        if path.contains("/me") {
            continue; // A token has neither name nor settings; users.rs asks as a user.
        }
        let answer = world.as_owner("PATCH", &path).json(&json!({})).send();
        answer.refused(428, "if_match_required");
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn the_document_knows_every_parameter_that_the_portal_takes() {
    let world = World::with_tenant();
    for operation in admins().iter().filter(|operation| operation.method == Method::Get) {
        let known: Vec<&str> = operation.spec.params().iter().map(|param| param.name).collect();
        if known.is_empty() {
            continue;
        }
        let id = "0190a000-0000-7000-8000-000000000001";
        let path =
            operation.path.replace("{slug}", "acme").replace("{name}", "vps-1").replace("{id}", id);
        let answer = world.get(&format!("{path}?no-such-parameter=1"));
        let refused = answer.refused(400, "bad_query");
        let advice = refused["advice"].as_str().unwrap();
        let mut taken: Vec<&str> =
            advice.strip_prefix("known parameters: ").unwrap().split(", ").collect();
        let mut known = known;
        taken.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, taken, "{}", operation.name);
    }
}
