//! Each query of the dashboard and each alert names figures that a real scrape has.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::validation::App;

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(path)
}

/// A scrape of a portal that has done a little of everything.
fn scrape() -> String {
    let app = App::new(json!({}));
    app.ask();
    let sent = |path: &str, body: Value| {
        let call = app.world.call("POST", path).bearer(&app.api_key);
        call.json(&body).send().expect(200)
    };
    sent("/api/v1/tenant-logs", json!({ "logs": [{ "level": "info", "message": "hello" }, {}] }));
    sent("/api/v1/usage", json!({ "metrics": [{ "name": "calls", "value": 1 }] }));
    app.world.get("/api/v1/hosts").expect(200);
    app.world.call("GET", "/nothing").send().refused(404, "unknown_address");
    app.world.get("/metrics").text
}

/// Names of figures in a text, whether in a query or in a scrape.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| word.starts_with("freehold_"))
        .map(str::to_owned)
        .collect()
}

fn shown(scrape: &str) -> BTreeSet<String> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| names(line.split(['{', ' ']).next().unwrap())).collect()
}

#[test]
fn a_scrape_counts_answers_by_route_and_status() {
    let scrape = scrape();
    for line in [
        "freehold_http_answers_total{method=\"POST\",route=\"/api/v1/licenses/validate\",status=\"200\"} 1",
        "freehold_http_answers_total{method=\"GET\",route=\"/api/v1/hosts\",status=\"200\"} 1",
        "freehold_http_answers_total{method=\"none\",route=\"none\",status=\"404\"} 1",
        "freehold_http_answer_seconds_count{method=\"GET\",route=\"/api/v1/hosts\"} 1",
        "freehold_http_answer_seconds_bucket{method=\"GET\",route=\"/api/v1/hosts\",le=\"+Inf\"} 1",
        "freehold_license_checks_total{code=\"VALID\"} 1",
        "freehold_ingest_refused_total{reason=\"missing\"} 1",
    ] {
        assert!(scrape.lines().any(|shown| shown == line), "{line}\n{scrape}");
    }
    // No name of a tenant, a host or a person is ever a label.
    for name in ["acme", "vps-1", "anna"] {
        assert!(!scrape.contains(name), "{name}");
    }
    for line in scrape.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn every_query_of_the_dashboard_names_what_a_scrape_has() {
    let shown = shown(&scrape());
    let text = fs::read_to_string(shipped("grafana/freehold.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        assert!(panel["type"] == "row" || !targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            let named = names(query);
            assert!(!named.is_empty(), "{query}");
            let balance = |open, close| query.matches(open).count() == query.matches(close).count();
            assert!(balance('(', ')') && balance('{', '}') && balance('[', ']'), "{query}");
            asked.extend(named);
        }
    }
    let unknown: Vec<_> = asked.difference(&shown).collect();
    assert!(unknown.is_empty(), "no scrape has {unknown:?}");
    let variable = &dashboard["templating"]["list"][1]["query"]["query"];
    assert!(names(variable.as_str().unwrap()).is_subset(&shown), "{variable}");
    // What the portal counts is shown, but for what others are the sum of.
    let hidden = [
        "freehold_http_requests_total",
        "freehold_http_answer_seconds_sum",
        "freehold_http_answer_seconds_count",
        "freehold_database_commit_seconds_sum",
    ];
    let forgotten: Vec<_> =
        shown.difference(&asked).filter(|name| !hidden.contains(&name.as_str())).collect();
    assert!(forgotten.is_empty(), "the dashboard does not show {forgotten:?}");
}

#[test]
fn every_alert_names_what_a_scrape_has_and_what_to_do() {
    let shown = shown(&scrape());
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/python/bin/python");
    let output = Command::new(python)
        .args([
            "-c",
            "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)",
        ])
        .arg(shipped("prometheus/alerts.yml"))
        .output()
        .expect("PyYAML is not there: `script/bootstrap --test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rules: Value = serde_json::from_slice(&output.stdout).unwrap();
    let page = fs::read_to_string(shipped("../docs/operations.md")).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() > 10, "{}", rules.len());
    for rule in rules {
        let (name, query) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        assert!(names(query).is_subset(&shown), "{name}: {query}");
        assert!(name == "FreeholdDown" || !names(query).is_empty(), "{name}: {query}");
        assert!(!rule["annotations"]["summary"].as_str().unwrap().is_empty(), "{name}");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&severity), "{name}");
        assert!(page.contains(&format!("`{name}`")), "docs/operations.md says nothing of {name}");
    }
}
