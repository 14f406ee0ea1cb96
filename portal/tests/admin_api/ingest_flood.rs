//! How long ids of batches are kept: against a flood of batches without anything in them, and for what is billed.

use freehold_portal::{
    app::{
        ingest::{Batch, StoreLogs},
        ingest_retention,
    },
    db::ingest::{IngestTx, batches, retention, usage},
    domain::ingest::{MetricKind, day},
    error::AppError,
    ingest::{Keep, batch::Refusals},
};
use serde_json::json;

use crate::{
    ingest::{Apps, LOGS, USAGE, lines},
    licensing::NOW,
};

fn left(header: Option<&str>) -> (u64, u64) {
    let mut parts = header.unwrap().split("r=").skip(1).map(|part| {
        let digits = part.split(';').next().unwrap();
        digits.parse().unwrap()
    });
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn a_batch_without_lines_costs_an_item_and_the_room_of_its_id() {
    let apps = Apps::new();
    let send = |body: &str| {
        let answer =
            apps.as_acme(LOGS).header("content-type", "application/json").body(body).send();
        answer.expect(200);
        left(answer.header("ratelimit"))
    };
    let (_, before) = send(r#"{"batchId":"a","logs":[]}"#);
    let body = r#"{"batchId":"b","logs":[]}"#;
    let (items, after) = send(body);
    assert_eq!(items, 29_998);
    assert!(before - after >= body.len() as u64 + 120, "{before} {after}");
    // What is listed of wrong lines is kept for the next time as well, and counts.
    let body = format!(r#"{{"batchId":"c","logs":[{}]}}"#, ["1"; 100].join(","));
    let (items, last) = send(&body);
    assert_eq!(items, 29_898);
    assert!(after - last > 5_000, "{after} {last}");
    // Sent again it costs nothing.
    assert_eq!(send(&body), (29_898, last));
    // It is known after a restart, too: the portal counts from what the database says.
    let id = apps.id("acme").parse().unwrap();
    let today = day(apps.world.portal.ingest.db().now());
    let stored = apps.world.portal.ingest.db().read(|read| {
        let number = read.number(id)?.unwrap();
        batches::bytes_of_day(read, number, today)
    });
    assert_eq!(stored.unwrap(), (1024 << 20) - last);
}

#[test]
fn a_flood_of_empty_batches_takes_nobody_elses_lines_and_fills_no_disk() {
    const KEEP: Keep = Keep { log_days: 30, max_bytes: 16 << 20, usage_days: 60 };
    let apps = Apps::new();
    let db = apps.world.portal.ingest.db();
    let theirs = ["the first", "the second"];
    let body = json!({ "batchId": "theirs", "logs": lines(&theirs) });
    let as_other = || apps.world.call("POST", LOGS).bearer(&apps.other).json(&body).send();
    as_other().expect(200);
    let acme = apps.id("acme").parse().unwrap();
    let flood = move |tx: &IngestTx<'_>, of: std::ops::Range<u128>| -> Result<(), AppError> {
        for n in of {
            let id =
                uuid::Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let batch = Batch {
                tenant: acme,
                id: Some((id.to_string(), [7; 32])),
                bytes: 60,
                refusals: Refusals::default(),
                clamped: 0,
            };
            StoreLogs { batch, lines: Vec::new() }.apply(tx)?;
        }
        Ok(())
    };
    let used = || {
        let size = db.read(retention::size).unwrap();
        size.file - size.free
    };
    let (before, mut most) = (used(), 0);
    for round in 0..4u128 {
        db.write(move |tx| flood(tx, round * 10_000..(round + 1) * 10_000)).unwrap();
        apps.world.clock.advance_secs(20);
        if round == 0 {
            // What is counted is near what they take.
            let kept = db.read(batches::kept).unwrap().unwrap();
            let real = used() - before;
            assert!(kept.total > real / 2 && kept.total < real * 2, "{kept:?} {real}");
        }
        let swept = ingest_retention::sweep(&db, &KEEP, &|| false).unwrap();
        assert_eq!((swept.by_age, swept.by_size, swept.batches), (0, 0, 0), "{swept:?}");
        assert!(swept.batches_by_size > 5_000, "{swept:?}");
        most = most.max(used());
    }
    assert!(most < KEEP.max_bytes / 4, "{most}");
    assert_eq!(apps.messages("other", "order=oldest"), theirs);
    // The ids of others stay, and of its own those that came last.
    assert_eq!(as_other().expect(200)["repeated"], true);
    let kept = db.read(batches::kept).unwrap().unwrap();
    assert!(kept.of_most > KEEP.max_bytes / 20 && kept.of_most <= KEEP.max_bytes / 16, "{kept:?}");
    db.close();
    assert!(freehold_portal::db::backup::check(db.path()).unwrap().is_empty());
}

#[test]
fn when_all_lines_are_gone_and_it_is_still_too_much_ids_go_too() {
    let apps = Apps::new();
    let db = apps.world.portal.ingest.db();
    let body = json!({ "batchId": "b", "logs": lines(&["one"]) });
    apps.send(LOGS, &body).expect(200);
    // Less than an empty file has: nothing can stay, and the sweep ends all the same.
    let keep = Keep { log_days: 30, max_bytes: 4096, usage_days: 60 };
    let swept = ingest_retention::sweep(&db, &keep, &|| false).unwrap();
    assert_eq!((swept.by_size, swept.batches_by_size), (1, 1), "{swept:?}");
    assert_eq!(apps.send(LOGS, &body).expect(200)["repeated"], false);
}

#[test]
fn usage_that_is_sent_again_is_billed_once_for_as_long_as_it_would_be_taken() {
    let apps = Apps::new();
    let db = apps.world.portal.ingest.db();
    let keep = Keep { log_days: 7, max_bytes: u64::MAX, usage_days: 800 };
    let sweep = || ingest_retention::sweep(&db, &keep, &|| false).unwrap();
    let value = |at: i64| json!([{ "name": "minutes", "value": 5, "timestamp": at }]);
    let body = json!({ "batchId": "bill", "metrics": value(NOW) });
    let with_logs = json!({ "batchId": "log", "logs": lines(&["x"]) });
    apps.send(USAGE, &body).expect(200);
    apps.send(LOGS, &with_logs).expect(200);
    apps.world.clock.advance_secs(60 * 86_400 - 10);
    // The id of the lines ends as before.
    assert_eq!(sweep().batches, 1);
    assert_eq!(apps.send(USAGE, &body).expect(200)["repeated"], true);
    let path = "/api/v1/tenants/acme/usage?from=2026-09-01&to=2026-12-31";
    let days = apps.world.get(path).expect(200);
    assert_eq!(days["items"][0]["sum"], 5.0, "{days}");
    assert_eq!(days["items"].as_array().unwrap().len(), 1, "{days}");
    // When it is forgotten, its values are too old to be taken.
    apps.world.clock.advance_secs(86_400 + 20);
    assert_eq!(sweep().batches, 1);
    let late = apps.send(USAGE, &body).expect(200);
    assert_eq!((&late["accepted"], &late["repeated"]), (&json!(0), &json!(false)));
    assert_eq!(late["refusals"][0]["reason"], "too_old");
}

#[test]
fn a_csv_has_a_bound_and_says_what_to_ask_for_instead() {
    let apps = Apps::new();
    let db = apps.world.portal.ingest.db();
    let acme = apps.id("acme").parse().unwrap();
    let today = day(db.now());
    db.write(move |tx| {
        let number = tx.number(acme)?;
        for ago in 0..250 {
            for metric in 0..400 {
                let new = usage::NewValue {
                    metric: format!("m{metric}"),
                    kind: MetricKind::Counter,
                    value: 1.0,
                    at: tx.now(),
                };
                usage::add(tx, number, today - ago, &new)?;
            }
        }
        Ok(())
    })
    .unwrap();
    let path = "/api/v1/tenants/acme/usage?from=2026-01-01&to=2026-12-31&format=csv";
    assert_eq!(apps.world.get(path).text.lines().count(), 100_001);
    apps.send(USAGE, &json!({ "metrics": [{ "name": "one.more", "value": 1 }] })).expect(200);
    let refused = apps.world.get(path);
    assert!(refused.text.contains("fewer days or for one metric"), "{}", refused.text);
    refused.refused(400, "bad_query");
    let one = apps.world.get(&format!("{path}&metric=m7"));
    assert_eq!(one.text.lines().count(), 251);
}
