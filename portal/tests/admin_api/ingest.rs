//! Logs, usage and health, as tenants' apps send them and as admins see them.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use freehold_portal::{
    app::ingest_retention::{self, Swept},
    db::ingest::batches,
    domain::ingest::Reason,
    ingest::Keep,
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Call, World, acme},
    licensing::{DAY, NOW, license, with_customer},
};

pub const LOGS: &str = "/api/tenant-logs";
pub const USAGE: &str = "/api/v1/usage";
pub const HEALTH: &str = "/api/v1/tenant-health";

/// Two tenants with their keys; `acme` has a license of the customer `acme-org`.
pub struct Apps {
    pub world: World,
    pub acme: String,
    pub other: String,
}

impl Apps {
    pub fn new() -> Self {
        let world = World::with_host_and_blueprint();
        let customer = with_customer(&world);
        let (license, _) = license(&world, &customer, json!({}));
        let mut body = acme();
        body["license"] = json!(license);
        world.post("/api/v1/tenants", body.clone()).expect(201);
        for (field, value) in
            [("slug", "other"), ("name", "Other"), ("domain", "other.example.com")]
        {
            body[field] = json!(value);
        }
        body["license"] = Value::Null;
        world.post("/api/v1/tenants", body).expect(201);
        let key = |slug: &str| {
            let path = format!("/api/v1/tenants/{slug}/keys");
            let made = world.as_owner("POST", &path).send().expect(201);
            made["secret"].as_str().unwrap().to_owned()
        };
        let (acme, other) = (key("acme"), key("other"));
        Self { world, acme, other }
    }

    pub fn as_acme(&self, path: &str) -> Call<'_> {
        self.world.call("POST", path).bearer(&self.acme)
    }

    pub fn send(&self, path: &str, body: &Value) -> Answer {
        self.as_acme(path).json(body).send()
    }

    pub fn id(&self, slug: &str) -> String {
        let tenant = self.world.get(&format!("/api/v1/tenants/{slug}")).expect(200);
        tenant["id"].as_str().unwrap().to_owned()
    }

    pub fn messages(&self, slug: &str, query: &str) -> Vec<String> {
        let page = self.world.get(&format!("/api/v1/tenants/{slug}/logs?{query}")).expect(200);
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["message"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn lines(texts: &[&str]) -> Value {
    texts.iter().map(|text| json!({ "level": "info", "message": text })).collect()
}

#[test]
fn lines_come_in_each_of_their_shapes_and_are_found() {
    let apps = Apps::new();
    let id = apps.id("acme");
    let existing = json!({ "tenantId": "acme-org", "organizationSlug": "acme", "logs": [
        { "level": "error", "message": "payment failed", "timestamp": "2026-09-21T14:00:00Z",
          "context": { "order": 7 }, "userId": "u-1", "ip": "203.0.113.9" },
        { "level": "info", "message": "signed in", "timestamp": "2026-09-21T14:01:00Z" },
    ] });
    let answer = apps.as_acme(LOGS).header("x-tenant-id", &id).json(&existing).send();
    assert_eq!(
        answer.expect(200),
        json!({ "accepted": 2, "refused": 0, "clamped": 0, "repeated": false, "refusals": [] })
    );
    assert!(answer.header("ratelimit-policy").unwrap().starts_with("\"items\";q=30000;w=60"));
    assert!(answer.header("ratelimit").unwrap().starts_with("\"items\";r=29998;t=1, \"bytes\";r="));

    let ndjson =
        "{\"level\":\"warn\",\"message\":\"slow\",\"timestamp\":\"2026-09-21T14:02:00Z\"}\n";
    let call = || apps.world.call("POST", "/api/v1/tenant-logs").header("x-api-key", &apps.acme);
    let plain = call().header("content-type", "application/x-ndjson").body(ndjson).send();
    assert_eq!(plain.expect(200)["accepted"], 1);
    let packed = call()
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .bytes(gzip(json!({ "logs": lines(&["packed"]) }).to_string().as_bytes()))
        .send();
    assert_eq!(packed.expect(200)["accepted"], 1);

    assert_eq!(apps.messages("acme", ""), ["packed", "slow", "signed in", "payment failed"]);
    assert_eq!(apps.messages("acme", "order=oldest&limit=1"), ["payment failed"]);
    assert_eq!(apps.messages("acme", "level=warn"), ["slow", "payment failed"]);
    assert_eq!(apps.messages("acme", "text=PAYMENT"), ["payment failed"]);
    assert_eq!(apps.messages("acme", "text=%22order%22:7"), ["payment failed"]);
    apps.send(LOGS, &json!({ "logs": lines(&["Größe fehlt"]) })).expect(200);
    // GRÖSSE without its ß is another word, GRÖ is not.
    assert_eq!(apps.messages("acme", "text=GR%C3%96"), ["Größe fehlt"]);
    let range = "from=2026-09-21T14:01:00Z&to=2026-09-21T14:02:00Z";
    assert_eq!(apps.messages("acme", range), ["slow", "signed in"]);
    assert!(apps.messages("other", "").is_empty());
    let page = apps.world.get("/api/v1/tenants/acme/logs?text=payment").expect(200);
    let line = &page["items"][0];
    assert_eq!(line["context"], json!({ "order": 7 }));
    assert_eq!((&line["userId"], &line["ip"]), (&json!("u-1"), &json!("203.0.113.9")));
    assert_eq!(line["receivedAt"], NOW);
}

#[test]
fn a_batch_is_taken_once_under_its_id() {
    let apps = Apps::new();
    let body = json!({ "batchId": "b-1", "logs": [{ "level": "info", "message": "once" }, { "level": "x" }] });
    let first = apps.send(LOGS, &body).expect(200);
    assert_eq!(
        (&first["batchId"], &first["accepted"], &first["refused"]),
        (&json!("b-1"), &json!(1), &json!(1))
    );
    // Whatever time has passed, and however it is packed.
    apps.world.clock.advance_secs(3 * 86_400);
    let packed = apps
        .as_acme(LOGS)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .header("idempotency-key", "\"b-1\"")
        .bytes(gzip(body.to_string().as_bytes()))
        .send()
        .expect(200);
    assert_eq!(packed["repeated"], true);
    assert_eq!(packed["refusals"], first["refusals"]);
    assert_eq!(apps.messages("acme", ""), ["once"]);
    // The same id with other content, or for something else, or of somebody else.
    let reused = json!({ "batchId": "b-1", "logs": lines(&["other content"]) });
    apps.send(LOGS, &reused).refused(409, "batch_id_reused");
    let usage = json!({ "batchId": "b-1", "metrics": [{ "name": "a", "value": 1 }] });
    assert_eq!(apps.send(USAGE, &usage).expect(200)["repeated"], false);
    assert_eq!(apps.send(USAGE, &usage).expect(200)["repeated"], true);
    let others = apps.world.call("POST", LOGS).bearer(&apps.other).json(&body).send().expect(200);
    assert_eq!(others["repeated"], false);
    assert_eq!(apps.messages("acme", ""), ["once"]);
    // A repeated batch costs nothing of the quota.
    let left =
        |answer: &Answer| answer.header("ratelimit").unwrap().split(';').nth(1).unwrap().to_owned();
    let before = left(&apps.send(LOGS, &json!({ "logs": lines(&["x"]) })));
    assert_eq!(left(&apps.send(LOGS, &body)), before);
}

#[test]
fn a_tenant_that_sends_too_much_is_told_when_to_come_back() {
    let apps = Apps::new();
    let texts = vec!["x"; 5_000];
    let body = json!({ "logs": lines(&texts) });
    for _ in 0..6 {
        apps.send(LOGS, &body).expect(200);
    }
    let answer = apps.send(LOGS, &body);
    answer.refused(429, "quota_exceeded");
    let wait: i64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=11).contains(&wait), "{wait}");
    assert!(answer.header("ratelimit").unwrap().starts_with("\"items\";r=0;t=60, "));
    // Its neighbour is not touched by it.
    apps.world.call("POST", LOGS).bearer(&apps.other).json(&body).send().expect(200);
    apps.world.clock.advance_secs(wait);
    apps.send(LOGS, &body).expect(200);
    // What was sent today is known after a restart, too.
    let db = apps.world.portal.ingest.db();
    let tenant = apps.id("acme").parse().unwrap();
    let sent = db
        .read(|read| {
            let number = read.number(tenant)?.unwrap();
            batches::bytes_of_day(read, number, NOW / DAY)
        })
        .unwrap();
    assert_eq!(sent, 7 * body.to_string().len() as u64);
    let metrics = apps.world.get("/metrics").text;
    assert!(metrics.contains("freehold_ingest_over_quota_total 1"), "{metrics}");
    assert!(metrics.contains("freehold_ingest_items_total{kind=\"logs\"} 40000"), "{metrics}");
    assert!(
        metrics.contains("freehold_database_commit_seconds_count{database=\"ingest\"} "),
        "{metrics}"
    );
}

#[test]
fn pages_hold_each_line_once_while_others_come_and_a_tail_goes_on_from_there() {
    let apps = Apps::new();
    for n in 0..5 {
        let texts: Vec<String> = (0..50).map(|m| format!("{n}-{m}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        apps.send(LOGS, &json!({ "logs": lines(&texts) })).expect(200);
    }
    for order in ["newest", "oldest"] {
        let mut seen = std::collections::BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/tenants/acme/logs?order={order}&limit=30&text=-{cursor}");
            let page = apps.world.get(&path).expect(200);
            for item in page["items"].as_array().unwrap() {
                assert!(seen.insert(item["id"].as_u64().unwrap()));
            }
            apps.send(LOGS, &json!({ "logs": lines(&["meanwhile"]) })).expect(200);
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 250, "{order}");
    }
    let page = apps.world.get("/api/v1/tenants/acme/logs?limit=1").expect(200);
    let tail = page["tail"].as_str().unwrap().to_owned();
    let follow =
        |tail: &str| apps.world.get(&format!("/api/v1/tenants/acme/logs?after={tail}")).expect(200);
    assert_eq!(follow(&tail)["items"], json!([]));
    // A line that was written long ago and comes now is among what is new.
    let late =
        json!({ "logs": [{ "level": "info", "message": "late", "timestamp": NOW - 5 * DAY }] });
    apps.send(LOGS, &late).expect(200);
    apps.world.call("POST", LOGS).bearer(&apps.other).json(&late).send().expect(200);
    let page = follow(&tail);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["message"], "late");
    assert_eq!(follow(page["tail"].as_str().unwrap())["items"], json!([]));
    assert_eq!(page["next"], Value::Null);
    // More than one answer holds: it says so, and where to go on.
    apps.send(LOGS, &json!({ "logs": lines(&["a", "b", "c"]) })).expect(200);
    let tail = page["tail"].as_str().unwrap();
    let two =
        apps.world.get(&format!("/api/v1/tenants/acme/logs?after={tail}&limit=2")).expect(200);
    assert_eq!((two["items"].as_array().unwrap().len(), &two["next"]), (2, &two["tail"]));
    assert_eq!(follow(two["tail"].as_str().unwrap())["items"][0]["message"], "c");
    // Cursors of one list are none of another.
    let newest = apps.world.get("/api/v1/tenants/acme/logs?limit=1").expect(200);
    let next = newest["next"].as_str().unwrap();
    for query in [
        format!("order=oldest&cursor={next}"),
        format!("after={next}"),
        format!("cursor={tail}"),
        format!("after={tail}&order=newest"),
        "level=loud".into(),
        "from=yesterday".into(),
        "limit=0".into(),
        "limit=1001".into(),
        "more=1".into(),
        format!("text={}", "x".repeat(201)),
    ] {
        apps.world.get(&format!("/api/v1/tenants/acme/logs?{query}")).refused(400, "bad_query");
    }
}

#[test]
fn usage_is_added_up_by_day_and_exported() {
    let apps = Apps::new();
    let body = json!({ "tenantId": "acme", "metrics": [
        { "name": "api.requests", "value": 10, "timestamp": "2026-09-20T23:59:59Z" },
        { "name": "api.requests", "value": 5.5, "timestamp": "2026-09-21T00:00:00Z" },
        { "name": "api.requests", "value": 4, "timestamp": "2026-09-21T10:00:00Z" },
        { "name": "users", "kind": "gauge", "value": 9, "timestamp": "2026-09-21T12:00:00Z" },
        { "name": "users", "kind": "gauge", "value": 3, "timestamp": "2026-09-21T08:00:00Z" },
        { "name": "bad name", "value": 1 },
    ] });
    let answer = apps.send(USAGE, &body).expect(200);
    assert_eq!((&answer["accepted"], &answer["refusals"][0]["index"]), (&json!(5), &json!(5)));
    let path = "/api/v1/tenants/acme/usage";
    let page = apps.world.get(&format!("{path}?from=2026-09-20&to=2026-09-21&limit=2")).expect(200);
    let first = &page["items"][0];
    assert_eq!(
        (&first["day"], &first["metric"], &first["sum"]),
        (&json!("2026-09-20"), &json!("api.requests"), &json!(10.0))
    );
    assert_eq!((&page["items"][1]["sum"], &page["items"][1]["count"]), (&json!(9.5), &json!(2)));
    let next = page["next"].as_str().unwrap();
    let rest = apps
        .world
        .get(&format!("{path}?from=2026-09-20&to=2026-09-21&limit=2&cursor={next}"))
        .expect(200);
    let gauge = &rest["items"][0];
    assert_eq!(
        (&gauge["kind"], &gauge["last"], &gauge["min"]),
        (&json!("gauge"), &json!(9.0), &json!(3.0))
    );
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    let csv = apps.world.get(&format!("{path}?format=csv&metric=users"));
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        csv.text,
        "day,tenant,metric,kind,count,sum,min,max,last,last_at\r\n\
         2026-09-21,acme,users,gauge,2,12,3,9,9,2026-09-21T12:00:00Z\r\n"
    );
    assert_eq!(apps.world.get("/api/v1/tenants/other/usage").expect(200)["items"], json!([]));
    for query in ["from=2026-09-22&to=2026-09-21", "from=2020-01-01", "to=tomorrow", "format=xml"] {
        apps.world.get(&format!("{path}?{query}")).refused(400, "bad_query");
    }
    // A tenant cannot make the table grow without end.
    let many: Vec<Value> =
        (0..600).map(|n| json!({ "name": format!("m{n}"), "value": 1 })).collect();
    let answer = apps.send(USAGE, &json!({ "metrics": many })).expect(200);
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(498), &json!(102)));
    assert_eq!(answer["refusals"][0]["reason"], "too_many_metrics");
    let again = apps.send(USAGE, &json!({ "metrics": [{ "name": "m1", "value": 1 }] })).expect(200);
    assert_eq!(again["accepted"], 1);
}

#[test]
fn the_last_word_of_an_app_about_itself_is_shown() {
    let apps = Apps::new();
    let tenant = "/api/v1/tenants/acme";
    assert_eq!(apps.world.get(tenant).expect(200)["appHealth"], Value::Null);
    let report = |status: &str, at: i64| json!({ "status": status, "timestamp": at, "version": "1.2.3", "checks": { "db": { "status": status, "message": "ok" } } });
    assert_eq!(apps.send(HEALTH, &report("healthy", NOW)).expect(200), json!({ "latest": true }));
    assert_eq!(apps.send(HEALTH, &report("healthy", NOW + 1000)).expect(200)["latest"], true);
    let shown = apps.world.get(tenant).expect(200)["appHealth"].clone();
    assert_eq!(
        (&shown["status"], &shown["since"], &shown["at"]),
        (&json!("healthy"), &json!(NOW), &json!(NOW + 1000))
    );
    assert_eq!(shown["checks"]["db"]["message"], "ok");
    // One that was kept during an outage comes late and changes nothing.
    assert_eq!(apps.send(HEALTH, &report("unhealthy", NOW - 1000)).expect(200)["latest"], false);
    assert_eq!(apps.world.get(tenant).expect(200)["appHealth"], shown);
    apps.send(HEALTH, &report("degraded", NOW + 2000)).expect(200);
    let shown = apps.world.get(tenant).expect(200)["appHealth"].clone();
    assert_eq!((&shown["status"], &shown["since"]), (&json!("degraded"), &json!(NOW + 2000)));
    assert_eq!(apps.world.get("/api/v1/tenants/other").expect(200)["appHealth"], Value::Null);
    for (field, value) in [
        ("status", json!("fine")),
        ("message", json!("x".repeat(501))),
        ("checks", json!({ "a/b": { "status": "x" } })),
    ] {
        let mut body = report("healthy", NOW);
        body[field] = value;
        let pointers = apps.send(HEALTH, &body).pointers();
        assert!(pointers[0].starts_with(&format!("/{field}")), "{pointers:?}");
    }
    assert_eq!(
        apps.send(HEALTH, &json!({ "status": "healthy", "timestamp": "x" })).pointers(),
        ["/timestamp"]
    );
    assert_eq!(apps.send(HEALTH, &json!({})).pointers(), ["/status"]);
}

#[test]
fn logs_end_by_age_and_by_size_and_batch_ids_after_them() {
    let apps = Apps::new();
    let db = apps.world.portal.ingest.db();
    let keep = Keep { log_days: 3, max_bytes: u64::MAX, usage_days: 60 };
    let old = json!({ "batchId": "old", "logs": lines(&["old"]) });
    apps.send(LOGS, &old).expect(200);
    apps.world.clock.advance_secs(4 * 86_400);
    apps.send(LOGS, &json!({ "logs": lines(&["new"]) })).expect(200);
    let swept = ingest_retention::sweep(&db, &keep, &|| false).unwrap();
    assert_eq!(swept, Swept { by_age: 1, ..Swept::default() });
    assert_eq!(apps.messages("acme", ""), ["new"]);
    // The line is gone, and sent again it does not come back; after a week it is forgotten.
    assert_eq!(apps.send(LOGS, &old).expect(200)["repeated"], true);
    apps.world.clock.advance_secs(4 * 86_400);
    let swept = ingest_retention::sweep(&db, &keep, &|| false).unwrap();
    assert_eq!((swept.by_age, swept.batches), (1, 1));
    let big = "x".repeat(1000);
    let texts = vec![big.as_str(); 1500];
    for n in 0..4 {
        let body = json!({ "batchId": format!("b{n}"), "logs": lines(&texts) });
        apps.send(LOGS, &body).expect(200);
    }
    apps.send(LOGS, &json!({ "logs": lines(&["the newest"]) })).expect(200);
    let keep = Keep { max_bytes: 3 << 20, ..keep };
    let swept = ingest_retention::sweep(&db, &keep, &|| false).unwrap();
    assert!((2000..6000).contains(&swept.by_size), "{swept:?}");
    assert_eq!(apps.messages("acme", "limit=1"), ["the newest"]);
    let size = db.read(freehold_portal::db::ingest::retention::size).unwrap();
    assert!(size.file < 5 << 20, "{size:?}");
    // Gone by size, its id is remembered all the same.
    let body = json!({ "batchId": "b0", "logs": lines(&texts) });
    assert_eq!(apps.send(LOGS, &body).expect(200)["repeated"], true);
}

#[test]
fn every_reason_is_documented() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tenant-apps.md");
    let text = std::fs::read_to_string(root).unwrap();
    for reason in Reason::ALL {
        let row = format!("| `{}` |", reason.as_str());
        assert!(text.contains(&row), "docs/tenant-apps.md lacks a row {row}");
    }
}
