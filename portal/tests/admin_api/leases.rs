//! Leases, verified by others than us: PyJWT and the clients of docs/licenses.md.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::{
    harness::World,
    lease_client::{Kept, check_lease},
    licensing::{DAY, NOW},
    validation::App,
};

const ISSUER: &str = "https://portal.example.com";
const PAGE: &str = include_str!("../../../docs/licenses.md");
const JWKS: &str = "/.well-known/jwks.json";

fn key_set(world: &World) -> Value {
    world.call("GET", JWKS).send().expect(200)
}

fn claims(lease: &str) -> Value {
    serde_json::from_slice(&B64.decode(lease.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn lease(app: &App) -> String {
    app.ask()["lease"].as_str().unwrap().to_owned()
}

fn rust_keys(key_set: &Value) -> Vec<(String, [u8; 32])> {
    let keys = key_set["keys"].as_array().unwrap().iter();
    keys.map(|key| {
        let bytes = B64.decode(key["x"].as_str().unwrap()).unwrap();
        (key["kid"].as_str().unwrap().to_owned(), bytes.try_into().unwrap())
    })
    .collect()
}

fn check(lease: &str, key_set: &Value, now: i64) -> Result<Value, &'static str> {
    let mut kept = Kept { seq: 0, latest: 0 };
    check_lease(lease, &rust_keys(key_set), ISSUER, "ats", &mut kept, now)
}

/// The code block of the page after a mark.
fn block(mark: &str, language: &str) -> String {
    let start = format!("{mark}```{language}\n");
    let (_, rest) =
        PAGE.split_once(&start).unwrap_or_else(|| panic!("docs/licenses.md lacks {start:?}"));
    rest.split_once("```\n").unwrap().0.to_owned()
}

#[test]
fn a_lease_says_what_the_page_says() {
    let app = App::new(json!({ "expiresAt": NOW + 30 * DAY }));
    let first = lease(&app);
    let now = NOW / 1000;
    let said = check(&first, &key_set(&app.world), now).unwrap();
    assert_eq!(
        (&said["iss"], &said["sub"], &said["aud"]),
        (&json!(ISSUER), &json!(app.license), &json!(["ats"]))
    );
    assert_eq!(
        (&said["iat"], &said["nbf"], &said["exp"]),
        (&json!(now), &json!(now - 300), &json!(now + 86_400))
    );
    assert_eq!(
        said["fh"],
        json!({
            "seq": NOW, "organization": "acme-org", "plan": "pro", "products": ["ats"],
            "features": ["export", "sso"], "limits": { "jobs": 5, "maxApiKeys": 2, "maxUsers": 25 },
            "status": "pending_deployment", "licenseExp": now + 30 * 86_400,
        })
    );
    // The same one for a minute, then another with a higher number.
    app.world.clock.advance_secs(59);
    assert_eq!(lease(&app), first);
    app.world.clock.advance_secs(1);
    let second = claims(&lease(&app));
    assert_eq!(second["fh"]["seq"], json!(NOW + 60_000));
    assert_ne!(second["jti"], said["jti"]);
    // A change of the license is in the next one.
    app.world
        .as_owner("PATCH", &format!("/api/v1/licenses/{}", app.license))
        .header("if-match", "*")
        .json(&json!({ "overrides": { "featuresAdded": ["api"] } }))
        .send()
        .expect(200);
    assert_eq!(claims(&lease(&app))["fh"]["features"], json!(["api", "export", "sso"]));
}

#[test]
fn a_lease_never_outlives_its_license() {
    let app = App::new(json!({ "expiresAt": NOW + DAY / 2 }));
    // Seven days of grace follow the end, so that a day fits.
    assert_eq!(claims(&lease(&app))["exp"], json!((NOW + DAY) / 1000));
    app.world.clock.advance_secs(7 * 86_400);
    let said = claims(&lease(&app));
    assert_eq!(
        (&said["exp"], &said["fh"]["status"]),
        (&json!((NOW + DAY / 2 + 7 * DAY) / 1000), &json!("expired"))
    );
    app.world.clock.advance_secs(86_400 / 2);
    assert_eq!(app.ask()["lease"], Value::Null);
}

#[test]
fn the_key_set_stays_good_over_a_rotation_and_is_dropped_when_compromised() {
    let app = App::new(json!({}));
    let rotate = |compromised: bool| {
        app.world
            .post("/api/v1/keys/rotate-lease", json!({ "compromised": compromised }))
            .expect(200)
    };
    let answer = app.world.call("GET", JWKS).send();
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let at_deploy = answer.expect(200);
    assert_eq!(at_deploy["keys"].as_array().unwrap().len(), 2);
    let (old, now) = (lease(&app), NOW / 1000);
    let shown = rotate(false);
    assert_eq!(shown["leaseKeys"].as_array().unwrap().len(), 3);
    assert_eq!(shown["trustVersion"], 1, "agents see nothing of it");
    let after = key_set(&app.world);
    let new = lease(&app);
    assert_ne!(old, new);
    for set in [&at_deploy, &after] {
        check(&old, set, now).unwrap();
        check(&new, set, now).unwrap();
    }
    rotate(true);
    let fresh = key_set(&app.world);
    assert_eq!(check(&old, &fresh, now), Err("not signed for this app"));
    assert_eq!(check(&new, &fresh, now), Err("not signed for this app"));
    let newest = lease(&app);
    check(&newest, &fresh, now).unwrap();
    assert_eq!(check(&newest, &after, now), Err("not signed for this app"));
    let log = app.world.get("/api/v1/audit?limit=200").text;
    assert_eq!(log.matches("key.rotate_lease").count(), 2);
}

/// What a client is given, and what it must say: `ok` or the start of its refusal.
fn cases(app: &App) -> Value {
    let (good, set, now) = (lease(app), key_set(&app.world), NOW / 1000);
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let forged_claims = B64.encode(claims(&good).to_string().replace("\"pro\"", "\"max\""));
    let forged = format!("{}.{forged_claims}.{}", parts[0], parts[2]);
    let unsigned =
        format!("{}.{}.", B64.encode(r#"{"alg":"none","typ":"freehold-lease+jwt"}"#), parts[1]);
    let kid = set["keys"][0]["kid"].as_str().unwrap();
    let hmac =
        B64.encode(json!({ "alg": "HS256", "typ": "freehold-lease+jwt", "kid": kid }).to_string());
    let confused = format!("{hmac}.{}.{}", parts[1], parts[2]);
    parts[2] = B64.encode([0; 64]);
    let zero = parts.join(".");
    let case = |name: &str, lease: &str, product: &str, kept: Value, now: i64, says: &str| json!({ "name": name, "lease": lease, "product": product, "kept": kept, "now": now, "says": says });
    let fresh = json!({});
    json!({
        "keySet": set, "issuer": ISSUER,
        "cases": [
            case("good", &good, "ats", fresh.clone(), now, "ok"),
            case("its last second", &good, "ats", fresh.clone(), now + 86_399, "ok"),
            case("ended", &good, "ats", fresh.clone(), now + 86_400, "ended"),
            case("five minutes behind", &good, "ats", fresh.clone(), now - 300, "ok"),
            case("clock behind", &good, "ats", fresh.clone(), now - 301, "behind"),
            case("clock turned back", &good, "ats", json!({ "latest": now + 400 }), now + 99, "turned back"),
            case("older lease", &good, "ats", json!({ "seq": NOW + 1 }), now, "put back"),
            case("other product", &good, "crm", fresh.clone(), now, "refused"),
            case("forged claims", &forged, "ats", fresh.clone(), now, "refused"),
            case("no signature", &unsigned, "ats", fresh.clone(), now, "refused"),
            case("other algorithm", &confused, "ats", fresh.clone(), now, "refused"),
            case("zero signature", &zero, "ats", fresh, now, "refused"),
        ],
    })
}

/// Runs a client of the page over the cases; it prints one answer a line.
fn run(program: &Path, script: &str, cases: &Value) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client");
    std::fs::write(&file, script).unwrap();
    let mut child = Command::new(program)
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", program.display());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn judge(client: &str, said: &[String], cases: &Value) {
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(said.len(), cases.len(), "{client}: {said:?}");
    for (said, case) in said.iter().zip(cases) {
        let wanted = case["says"].as_str().unwrap();
        // Why a foreign lease is refused is each library's own wording.
        let fits = if wanted == "refused" { said != "ok" } else { said.contains(wanted) };
        assert!(fits, "{client}, {}: {said}, not {wanted}", case["name"]);
    }
}

#[test]
fn an_independent_library_verifies_leases() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/python/bin/python");
    assert!(
        python.exists(),
        "PyJWT is not there: `script/bootstrap --test` makes {}",
        python.display()
    );
    let app = App::new(json!({}));
    let cases = cases(&app);
    let script = format!(
        "{}\nimport json, sys\nasked = json.load(sys.stdin)\nfor case in asked['cases']:\n    try:\n        \
         check_lease(case['lease'], asked['keySet'], asked['issuer'], case['product'], case['kept'], case['now'])\n        \
         print('ok')\n    except LeaseRefused as error:\n        print(error)\n",
        block("<!-- test: python -->\n", "python")
    );
    judge("python", &run(&python, &script, &cases), &cases);
}

#[test]
fn the_node_client_of_the_page_does_the_same() {
    let node = ["/usr/bin/node", "/usr/local/bin/node"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists());
    let node = node.expect("node is not there: `script/bootstrap --test` installs it");
    let app = App::new(json!({}));
    let cases = cases(&app);
    let script = format!(
        "{}\nconst asked = JSON.parse(require('node:fs').readFileSync(0));\nfor (const one of asked.cases) {{\n  \
         try {{ checkLease(one.lease, asked.keySet, asked.issuer, one.product, one.kept, one.now); console.log('ok'); }}\n  \
         catch (error) {{ console.log(error.message); }}\n}}\n",
        block("<!-- test: node -->\n", "js")
    );
    judge("node", &run(&node, &script, &cases), &cases);
}

#[test]
fn the_rust_client_of_the_page_does_the_same() {
    let file = include_str!("lease_client.rs");
    let (_, code) = file.split_once("\n\n").unwrap();
    assert_eq!(block("", "rust"), code, "docs/licenses.md shows lease_client.rs word for word");
    let app = App::new(json!({}));
    let cases = cases(&app);
    let keys = rust_keys(&cases["keySet"]);
    let said: Vec<String> = cases["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            let kept = &case["kept"];
            let mut kept = Kept {
                seq: kept["seq"].as_i64().unwrap_or(0),
                latest: kept["latest"].as_i64().unwrap_or(0),
            };
            let (lease, product) =
                (case["lease"].as_str().unwrap(), case["product"].as_str().unwrap());
            let now = case["now"].as_i64().unwrap();
            match check_lease(lease, &keys, ISSUER, product, &mut kept, now) {
                Ok(_) => "ok".to_owned(),
                Err(why) => why.to_owned(),
            }
        })
        .collect();
    judge("rust", &said, &cases);
}

#[test]
fn the_number_of_a_lease_rises_also_when_the_portals_clock_is_set_back() {
    let app = App::new(json!({}));
    let seq = || claims(&lease(&app))["fh"]["seq"].as_i64().unwrap();
    let mut last = seq();
    assert_eq!(last, NOW);
    for back in [3_600, 86_400, 300] {
        app.world.clock.step_back_secs(back);
        // The limits of requests hold on for a second when the clock is set back, and are free a minute later.
        app.world.get("/api/v1/plans");
        app.ask_with(&app.question());
        app.world.clock.advance_secs(60);
        // Every change makes the snapshot anew, and with it the lease.
        for turn in 0..2 {
            let body = json!({ "limits": { "jobs": back + turn } });
            app.world
                .as_owner("PATCH", "/api/v1/plans/pro")
                .header("if-match", "*")
                .json(&body)
                .send()
                .expect(200);
            let next = seq();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }
    // Once the clock is right again it is the time.
    app.world.clock.advance_secs(2 * 86_400);
    assert!(seq() > last + 80_000_000);
}

#[test]
fn a_lease_on_its_way_during_a_change_does_not_overtake_what_is_newer() {
    let app = App::new(json!({}));
    let (desk, now) = (&app.world.portal.licensing, app.world.portal.db.now());
    let before = desk.snapshot();
    let first = desk.next_seq(&before, now);
    app.do_to_license("suspend", json!({ "reason": "unpaid" }));
    assert_eq!(desk.next_seq(&before, now), first);
    assert!(desk.next_seq(&desk.snapshot(), now) > first);
    assert_eq!(desk.next_seq(&before, now), first);
}
