//! Batches of logs, good, bad and hostile.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::ingest::MAX_LINES;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn json_batch(logs: serde_json::Value) -> Batch {
    read(Format::Json, json!({ "logs": logs }).to_string().as_bytes(), NOW, 30).unwrap()
}

fn reasons(batch: &Batch) -> Vec<(u64, &str, &str)> {
    let listed = batch.refusals.listed.iter();
    listed.map(|item| (item.index, item.field.as_str(), item.reason.as_str())).collect()
}

#[test]
fn the_shape_that_existing_apps_send() {
    let body = json!({
        "tenantId": "acme", "organizationSlug": "acme", "batchId": "b-1", "appVersion": 3,
        "logs": [
            { "level": "info", "message": "signed in", "timestamp": "2026-09-21T14:13:20.123Z",
              "context": { "a": [1, { "b": null }] }, "userId": "u1", "ip": "203.0.113.9", "more": 1 },
            { "level": 50, "msg": "pino", "time": 1_789_999_999_000_i64, "userId": 7 },
            { "level": "WARNING", "message": "", "timestamp": 1_789_999_000.5, "context": null },
        ],
    });
    let batch = read(Format::Json, body.to_string().as_bytes(), NOW, 30).unwrap();
    assert_eq!(batch.said.batch_id.as_deref(), Some("b-1"));
    assert_eq!(batch.said.tenant_id.as_deref(), Some("acme"));
    assert_eq!(reasons(&batch), []);
    let [first, second, third] = &batch.lines[..] else { panic!("{batch:?}") };
    assert_eq!(first.at.as_millis(), 1_790_000_000_123);
    assert_eq!(first.context.as_deref(), Some(r#"{"a":[1,{"b":null}]}"#));
    assert_eq!(first.ip.as_deref(), Some("203.0.113.9"));
    assert_eq!((second.level, second.user_id.as_deref()), (Level::Error, Some("7")));
    assert_eq!(third.at.as_millis(), 1_789_999_000_500);
    assert_eq!((third.level, &third.context), (Level::Warn, &None));
}

#[test]
fn bad_lines_are_named_and_spoil_no_others() {
    let long = "x".repeat(MAX_MESSAGE_BYTES + 1);
    let good = json!({ "level": "info", "message": "good" });
    let batch = json_batch(json!([
        good, { "message": "no level" }, { "level": "info" }, { "level": "loud", "message": "x" },
        { "level": true, "message": "x" }, { "level": "info", "message": 7 },
        { "level": "info", "message": long }, { "level": "info", "message": "x", "timestamp": "yesterday" },
        { "level": "info", "message": "x", "timestamp": "2020-01-01T00:00:00Z" }, 7, null, ["info", "x"],
        { "level": "info", "message": "x", "userId": [] }, { "level": "info", "message": "x", "ip": 1 },
        { "level": "info", "message": "x", "timestamp": {} }, { "level": 35, "message": "x" }, good,
    ]));
    assert_eq!(batch.lines.len(), 2);
    assert_eq!(
        reasons(&batch),
        [
            (1, "level", "missing"),
            (2, "message", "missing"),
            (3, "level", "bad_value"),
            (4, "level", "wrong_type"),
            (5, "message", "wrong_type"),
            (6, "message", "too_long"),
            (7, "timestamp", "bad_time"),
            (8, "timestamp", "too_old"),
            (9, "", "not_an_object"),
            (10, "", "not_an_object"),
            (11, "", "not_an_object"),
            (12, "userId", "wrong_type"),
            (13, "ip", "wrong_type"),
            (14, "timestamp", "wrong_type"),
            (15, "level", "bad_value"),
        ]
    );
    let many = json_batch(serde_json::Value::Array(vec![json!(1); 300]));
    assert_eq!((many.refusals.listed.len(), many.refusals.total()), (100, 300));
}

#[test]
fn the_future_is_clamped_and_counted() {
    let batch = json_batch(
        json!([{ "level": "info", "message": "x", "timestamp": "2099-01-01T00:00:00Z" }]),
    );
    assert_eq!((batch.lines[0].at, batch.clamped), (NOW, 1));
}

#[test]
fn deep_and_broken_contexts() {
    let line = |context: &str| {
        let body = format!(r#"{{"logs":[{{"level":"info","message":"x","context":{context}}}]}}"#);
        read(Format::Json, body.as_bytes(), NOW, 30)
    };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(line(&nested(MAX_CONTEXT_DEPTH)).unwrap().lines.len(), 1);
    assert_eq!(
        reasons(&line(&nested(MAX_CONTEXT_DEPTH + 1)).unwrap()),
        [(0, "context", "too_deep")]
    );
    // No stack is used up by it, however deep.
    let deep = line(&nested(500_000)).unwrap();
    assert_eq!(reasons(&deep), [(0, "context", "too_long")]);
    assert_eq!(line(&"[".repeat(500_000)).unwrap_err().code, "malformed_json");
}

#[test]
fn newline_tricks_make_no_second_line() {
    let body = "{\"level\":\"info\",\"message\":\"a\\nb\\u2028c\\u0000\"}\r\n\n  \n\
                {\"level\":\"info\",\n\"message\":\"x\"}\n\
                {\"level\":\"info\",\"message\":\"x\"}{\"level\":\"info\",\"message\":\"y\"}\n\
                {\"level\":\"info\",\"message\":\"last\"}";
    let batch = read(Format::Ndjson, body.as_bytes(), NOW, 30).unwrap();
    let messages: Vec<&str> = batch.lines.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(messages, ["a\nb\u{2028}c\u{fffd}", "last"]);
    assert_eq!(reasons(&batch), [(3, "", "not_json"), (4, "", "not_json"), (5, "", "not_json")]);
}

#[test]
fn what_is_not_utf_8_or_has_half_a_character() {
    let mut body = b"{\"level\":\"info\",\"message\":\"a\xff\"}\n".to_vec();
    body.extend_from_slice(b"{\"level\":\"info\",\"message\":\"\\ud800\"}\n");
    body.extend_from_slice(b"{\"level\":\"info\",\"message\":\"good\"}\n");
    let batch = read(Format::Ndjson, &body, NOW, 30).unwrap();
    assert_eq!(batch.lines.len(), 1);
    assert_eq!(batch.refusals.total(), 2);
    let whole = b"{\"logs\":[{\"level\":\"info\",\"message\":\"a\xff\"}]}";
    assert_eq!(read(Format::Json, whole, NOW, 30).unwrap_err().code, "malformed_json");
}

#[test]
fn too_many_lines_are_refused_while_they_are_read() {
    let many = format!("{{\"logs\":[{}1]}}", "1,".repeat(MAX_LINES));
    assert_eq!(read(Format::Json, many.as_bytes(), NOW, 30).unwrap_err().code, "too_many_items");
    let many = "1\n".repeat(MAX_LINES + 1);
    assert_eq!(read(Format::Ndjson, many.as_bytes(), NOW, 30).unwrap_err().code, "too_many_items");
    let most = "1\n".repeat(MAX_LINES);
    assert_eq!(read(Format::Ndjson, most.as_bytes(), NOW, 30).unwrap().refusals.total(), 5000);
    for (body, code) in
        [("[]", "invalid"), ("{}", "invalid"), ("{\"logs\":7}", "invalid"), ("{", "malformed_json")]
    {
        assert_eq!(read(Format::Json, body.as_bytes(), NOW, 30).unwrap_err().code, code, "{body}");
    }
}

proptest! {
    #[test]
    fn nothing_panics_and_every_line_is_counted(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        let batch = read(Format::Ndjson, &body, NOW, 30).unwrap();
        prop_assert_eq!(batch.lines.len() as u64 + batch.refusals.total(), lines as u64);
        drop(read(Format::Json, &body, NOW, 30));
    }

    #[test]
    fn a_message_comes_out_as_it_went_in(message in "[^\0]{0,80}") {
        let batch = json_batch(json!([{ "level": "info", "message": message }]));
        prop_assert_eq!(&batch.lines[0].message, &message);
    }
}
