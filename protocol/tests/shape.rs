//! A gallery of documents in which an object is written as a list, or a word as an object: serde alone reads
//! them, and none gets past the doors.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::{fmt, fs, path::Path};

use freehold_protocol::{
    dsse::{Envelope, Payload},
    enroll::EnrollmentToken,
    job::{Job, Work},
    keys::SigningKey,
    report::Report,
    shape,
    trust::TrustDocument,
    wire::{
        EnrollAnswer, EnrollRequest, EventsAnswer, EventsRequest, Inventory, PollAnswer,
        PollPayload, PollRequest, Receipt, ReportRequest,
    },
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// JSON whose objects keep the order in which their fields stand.
#[derive(Clone)]
enum Tree {
    Object(Vec<(String, Self)>),
    List(Vec<Self>),
    Leaf(Value),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Tree::Object(fields))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Leaf(Value::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Leaf(value.into()))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(key, value)| (key, value)))
            }
            Self::List(items) => items.serialize(serializer),
            Self::Leaf(value) => value.serialize(serializer),
        }
    }
}

impl Tree {
    /// The document with another kind of value in each place in turn, and where that is.
    fn distorted(&self, at: &str) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        match self {
            Self::Object(fields) => {
                let list = fields.iter().map(|(_, value)| value.clone()).collect();
                all.push((at.to_owned(), Self::List(list)));
                for (index, (key, value)) in fields.iter().enumerate() {
                    let under = format!("{at}/{key}");
                    for (place, changed) in value.distorted(&under) {
                        let mut fields = fields.clone();
                        fields[index].1 = changed;
                        // Of a tagged enum, the tag may come last; then serde keeps the content back.
                        if place == under {
                            let turned = fields.iter().rev().cloned().collect();
                            all.push((format!("{place} (turned)"), Self::Object(turned)));
                        }
                        all.push((place, Self::Object(fields)));
                    }
                }
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    for (place, changed) in item.distorted(&format!("{at}/{index}")) {
                        let mut items = items.clone();
                        items[index] = changed;
                        all.push((place, Self::List(items)));
                    }
                }
            }
            Self::Leaf(Value::String(word)) => {
                let word = vec![(word.clone(), Self::Leaf(Value::Null))];
                all.push((at.to_owned(), Self::Object(word)));
            }
            Self::Leaf(_) => {}
        }
        all
    }
}

/// Reads a text, with serde alone and as it is read here.
type Readers = (fn(&[u8]) -> bool, fn(&[u8]) -> Result<(), String>);

/// The body of a request or of an answer.
fn body<T: Serialize + DeserializeOwned>() -> Readers {
    (
        |text| serde_json::from_slice::<T>(text).is_ok(),
        |text| shape::from_slice::<T>(text).map(drop).map_err(|error| error.to_string()),
    )
}

/// What is in a signed envelope.
fn payload<T: Payload>() -> Readers {
    (
        |text| serde_json::from_slice::<T>(text).is_ok(),
        |text| {
            let key = SigningKey::from_seed(&[1; 32]);
            let envelope = Envelope::sign_bytes(T::TYPE, text, &[&key]);
            envelope.open::<T>(&[key.public()], 1).map(drop).map_err(|error| error.to_string())
        },
    )
}

/// What is read where, by its file.
fn gallery() -> Vec<(&'static str, Readers)> {
    vec![
        ("enroll-answer", body::<EnrollAnswer>()),
        ("enroll-request", body::<EnrollRequest>()),
        ("envelope", body::<Envelope>()),
        ("events-answer", body::<EventsAnswer>()),
        ("events-request", body::<EventsRequest>()),
        ("inventory", body::<Inventory>()),
        ("job-check-tenant", payload::<Job>()),
        ("job-deploy-app-env", payload::<Job>()),
        ("job-deploy-tenant-approved", payload::<Job>()),
        ("job-probe-host", payload::<Job>()),
        ("job-remove-tenant-keep", payload::<Job>()),
        ("poll-answer-with-trust", body::<PollAnswer>()),
        ("poll-payload", payload::<PollPayload>()),
        ("poll-request-conflict", body::<PollRequest>()),
        ("receipt", payload::<Receipt>()),
        ("report-checked", payload::<Report>()),
        ("report-deployed", payload::<Report>()),
        ("report-probed", payload::<Report>()),
        ("report-removed", payload::<Report>()),
        ("report-request", body::<ReportRequest>()),
        ("report-stuck", payload::<Report>()),
        ("trust", payload::<TrustDocument>()),
    ]
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    fs::read(folder.join(format!("{name}.json"))).unwrap()
}

/// Asserts that every distortion of a text is refused, and those that serde alone takes by this reason.
fn nothing_else_is_read(name: &str, text: &[u8], (alone, here): Readers) {
    here(text).unwrap();
    let tree: Tree = serde_json::from_slice(text).unwrap();
    let mut by_serde = 0;
    for (place, changed) in tree.distorted("") {
        let text = serde_json::to_vec(&changed).unwrap();
        let Err(error) = here(&text) else { panic!("{name}: read all the same: {place}") };
        if alone(&text) {
            by_serde += 1;
            assert!(error.contains("wrong type at `"), "{name}: {place}: {error}");
        }
    }
    // Or else it would show what nobody reads anyway.
    assert!(by_serde > 0, "{name}: serde alone refuses all of it");
}

#[test]
fn nothing_is_read_from_a_list_or_an_object_that_stands_for_something_else() {
    for (name, readers) in gallery() {
        nothing_else_is_read(name, &fixture(name), readers);
    }
}

#[test]
fn nor_is_the_work_of_a_job() {
    let job: Tree = serde_json::from_slice(&fixture("job-deploy-app-env")).unwrap();
    let Tree::Object(fields) = job else { panic!("a job is an object") };
    let (_, work) = fields.into_iter().find(|(key, _)| key == "work").unwrap();
    nothing_else_is_read("work", &serde_json::to_vec(&work).unwrap(), body::<Work>());
}

#[test]
fn the_refusal_names_the_place_and_what_belongs_there() {
    let text = include_str!("wire/poll-request.json");
    let mut request: Value = serde_json::from_str(text).unwrap();
    request["head"] = serde_json::json!([1, 0, "0".repeat(64)]);
    let error = shape::from_slice::<PollRequest>(request.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "wrong type at `/head`: a list, expected an object");
    assert!(error.is_data());
}

#[test]
fn an_enrollment_token_is_no_list() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let id = "01936d2a-0000-7000-8000-000000000001";
    let digest = "a".repeat(64);
    let token =
        |json: &str| format!("fhe1.{}", URL_SAFE_NO_PAD.encode(json)).parse::<EnrollmentToken>();
    let object =
        format!(r#"{{"url":"https://p.example","trust":"{digest}","id":"{id}","secret":"s"}}"#);
    assert!(token(&object).is_ok());
    assert!(token(&format!(r#"["https://p.example","{digest}","{id}","s"]"#)).is_err());
}
