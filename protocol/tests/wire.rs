//! What has travelled once is read for ever: every released shape stands as a file in `tests/wire`.
//!
//! Each file parses and is written again as the same JSON value. Types that are acted on refuse a
//! field that they do not know, at every depth; types that are only shown ignore one.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use freehold_protocol::{
    dsse::Envelope,
    failure::{Failure, FailureClass},
    job::{Job, JobKind},
    report::{EventKind, Outcome, Report},
    trust::TrustDocument,
    wire::{
        EnrollAnswer, EnrollRequest, EventsAnswer, EventsRequest, Inventory, PollAnswer,
        PollPayload, PollRequest, Receipt, ReportRequest,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// How a type treats a field that it does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// It is acted on: refused.
    Strict,
    /// It is shown: ignored.
    Lenient,
}

use Reader::{Lenient, Strict};

/// Reads a value as one type and writes it again.
type Roundtrip = fn(&Value) -> Result<Value, String>;

fn through<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, String> {
    // By way of text, as it travels: numbers and duplicate keys are read as they would be then.
    let parsed: T = serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(parsed).unwrap())
}

/// File, reader, type.
const SHAPES: &[(&str, Reader, Roundtrip)] = &[
    ("enroll-answer", Lenient, through::<EnrollAnswer>),
    ("enroll-request", Strict, through::<EnrollRequest>),
    ("envelope", Strict, through::<Envelope>),
    ("events-answer", Lenient, through::<EventsAnswer>),
    ("events-request", Strict, through::<EventsRequest>),
    ("failure", Lenient, through::<Failure>),
    ("failure-without-detail", Lenient, through::<Failure>),
    ("inventory", Lenient, through::<Inventory>),
    ("inventory-disk", Lenient, through::<Inventory>),
    ("job-check-tenant", Strict, through::<Job>),
    ("job-deploy-app-env", Strict, through::<Job>),
    ("job-deploy-tenant", Strict, through::<Job>),
    ("job-deploy-tenant-approved", Strict, through::<Job>),
    ("job-probe-host", Strict, through::<Job>),
    ("job-remove-tenant-delete", Strict, through::<Job>),
    ("job-remove-tenant-keep", Strict, through::<Job>),
    ("job-update-tenant", Strict, through::<Job>),
    ("poll-answer", Lenient, through::<PollAnswer>),
    ("poll-answer-with-trust", Lenient, through::<PollAnswer>),
    ("poll-payload", Strict, through::<PollPayload>),
    ("poll-request", Strict, through::<PollRequest>),
    ("poll-request-conflict", Strict, through::<PollRequest>),
    ("receipt", Strict, through::<Receipt>),
    ("report-cancelled", Lenient, through::<Report>),
    ("report-checked", Lenient, through::<Report>),
    ("report-checked-absent", Lenient, through::<Report>),
    ("report-checked-disk", Lenient, through::<Report>),
    ("report-deployed", Lenient, through::<Report>),
    ("report-expired", Lenient, through::<Report>),
    ("report-failed", Lenient, through::<Report>),
    ("report-probed", Lenient, through::<Report>),
    ("report-removed", Lenient, through::<Report>),
    ("report-request", Strict, through::<ReportRequest>),
    ("report-rolled-back", Lenient, through::<Report>),
    ("report-stuck", Lenient, through::<Report>),
    ("report-updated", Lenient, through::<Report>),
    ("trust", Strict, through::<TrustDocument>),
];

/// Parts of a strict document that are shown only, and so are lenient.
const SHOWN: &[&str] = &["facts", "events"];
/// Parts of a lenient document that are not lenient: envelopes, which are acted on, the release,
/// which is the job's own, and maps, whose keys are data.
const NOT_SHOWN: &[&str] =
    &["answer", "jobs", "trust", "receipt", "release", "endpoints", "ports", "tools"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

fn fixture(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Pointers to every object of a document but those under the keys in `skip`.
fn objects(value: &Value, skip: &[&str], at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (key, inner) in fields.iter().filter(|(key, _)| !skip.contains(&key.as_str())) {
                let key = key.replace('~', "~0").replace('/', "~1");
                objects(inner, skip, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                objects(inner, skip, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The document with one more field in each of its objects in turn.
fn with_a_field_more(document: &Value, skip: &[&str]) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    objects(document, skip, "", &mut places);
    let add = |place: String| {
        let mut changed = document.clone();
        let object = changed.pointer_mut(&place).unwrap().as_object_mut().unwrap();
        object.insert("fieldOfTheFuture".into(), json!({ "x": 1 }));
        (place, changed)
    };
    places.into_iter().map(add).collect()
}

#[test]
fn every_released_shape_is_read_and_written_as_it_was() {
    for (name, _, through) in SHAPES {
        let document = fixture(name);
        assert_eq!(through(&document), Ok(document), "{name}");
    }
}

#[test]
fn what_is_acted_on_refuses_a_field_that_it_does_not_know() {
    let mut accepted = Vec::new();
    for (name, _, through) in SHAPES.iter().filter(|(_, reader, _)| *reader == Strict) {
        for (place, changed) in with_a_field_more(&fixture(name), SHOWN) {
            if through(&changed).is_ok() {
                accepted.push(format!("{name}: {place}/fieldOfTheFuture"));
            }
        }
    }
    assert!(accepted.is_empty(), "accepted:\n  {}", accepted.join("\n  "));
}

#[test]
fn what_is_shown_ignores_a_field_that_it_does_not_know() {
    let mut refused = Vec::new();
    for (name, _, through) in SHAPES.iter().filter(|(_, reader, _)| *reader == Lenient) {
        let document = fixture(name);
        for (place, changed) in with_a_field_more(&document, NOT_SHOWN) {
            if through(&changed).as_ref() != Ok(&document) {
                refused.push(format!("{name}: {place}/fieldOfTheFuture"));
            }
        }
    }
    assert!(refused.is_empty(), "refused or kept:\n  {}", refused.join("\n  "));
}

#[test]
fn an_approval_of_another_program_is_of_the_bytes_as_they_came() {
    // Python has computed this digest: hashlib.sha256 over the text between `"work": ` and the last brace but one.
    let text = fs::read_to_string(folder().join("job-deploy-tenant-approved.json")).unwrap();
    let job: Job = serde_json::from_str(&text).unwrap();
    assert!(job.approval.unwrap().is_of(&job.work));
    // It is not that of the same work as this program writes it.
    let rewritten = job.work.clone().into_work().into();
    assert!(!job.approval.unwrap().is_of(&rewritten));
}

#[test]
fn no_shape_lacks_a_file_and_no_file_a_shape() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed: BTreeSet<String> = SHAPES.iter().map(|(name, ..)| format!("{name}.json")).collect();
    assert_eq!(files, listed);
}

/// The texts that stand at a pointer's place anywhere in the files whose names start with `prefix`.
fn spelled(prefix: &str, key: &str) -> BTreeSet<String> {
    fn collect(value: &Value, key: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(text) = fields.get(key).and_then(Value::as_str) {
                    found.insert(text.to_owned());
                }
                fields.values().for_each(|inner| collect(inner, key, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| collect(inner, key, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    for (name, ..) in SHAPES.iter().filter(|(name, ..)| name.starts_with(prefix)) {
        collect(&fixture(name), key, &mut found);
    }
    found
}

#[test]
fn every_kind_and_outcome_has_a_file() {
    let kinds: BTreeSet<String> = JobKind::ALL.iter().map(ToString::to_string).collect();
    assert!(spelled("job-", "kind").is_superset(&kinds));
    assert!(spelled("report-", "kind").is_superset(&kinds));
    let outcomes = ["succeeded", "failed", "rolled_back", "cancelled", "expired", "stuck"];
    assert_eq!(spelled("report-", "outcome"), outcomes.map(str::to_owned).into());
    for outcome in outcomes {
        serde_json::from_value::<Outcome>(json!(outcome)).unwrap();
    }
    for what in spelled("events-", "what") {
        serde_json::from_value::<EventKind>(json!(what)).unwrap();
    }
    for class in FailureClass::ALL {
        assert_eq!(serde_json::to_value(class).unwrap(), json!(class.as_str()));
    }
}
