//! What batches of logs and of usage have in common: their envelope, the times in them, and what was
//! refused of them.

use std::{borrow::Cow, fmt};

use freehold_protocol::time::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    api::ingest::{MAX_LISTED, RefusedItem},
    domain::ingest::{Judged, MAX_LINES, Reason, judge_time},
    error::{AppError, Kind},
};

/// Below it a number is a time in seconds, from it on in milliseconds (which it is since 1973).
const LEAST_MILLIS: f64 = 1e11;

/// A body as text.
pub(super) fn utf8(body: &[u8]) -> Result<&str, AppError> {
    std::str::from_utf8(body).map_err(|error| {
        let message = format!("the body is not JSON: {error}");
        AppError::new(Kind::BadRequest, "malformed_json", message).advice("send UTF-8")
    })
}

/// Reads a JSON object; a list is none, however well its items would fit the fields.
pub(super) fn object_of<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = crate::api::object(&mut reader)?;
    reader.end().map(|()| read)
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// A JSON object a line.
    Ndjson,
}

/// A text that is read in place unless it has escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What stands around the items of a batch. Unknown fields are ignored: apps that exist send more.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    tenant_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    organization_slug: Option<Text<'a>>,
    #[serde(borrow, default)]
    batch_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) logs: Option<Items<'a>>,
    #[serde(borrow, default)]
    pub(super) metrics: Option<Items<'a>>,
}

/// What a batch says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// Whose it is, by slug.
    pub organization_slug: Option<String>,
    /// Its id.
    pub batch_id: Option<String>,
}

impl<'a> Envelope<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, AppError> {
        object_of(utf8(body)?).map_err(|error| {
            if error.to_string().starts_with(TOO_MANY) {
                too_many()
            } else {
                AppError::unreadable_json(&error)
            }
        })
    }

    pub(super) fn said(&self) -> Said {
        let owned = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.0.clone().into_owned());
        Said {
            tenant_id: owned(&self.tenant_id),
            organization_slug: owned(&self.organization_slug),
            batch_id: owned(&self.batch_id),
        }
    }
}

const TOO_MANY: &str = "more items than a batch may have";

/// A batch with too many items.
pub(super) fn too_many() -> AppError {
    AppError::new(
        Kind::TooLarge,
        "too_many_items",
        format!("the batch has more than {MAX_LINES} lines (logs) or 1000 values (usage)"),
    )
    .advice("send smaller batches, each with its own batch id")
}

/// The items, each as the text that it is: one that is wrong must not spoil its neighbours.
#[derive(Debug)]
pub(super) struct Items<'a>(pub(super) Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    // Counted while it is read: a million tiny items take no memory.
                    if items.len() == MAX_LINES {
                        return Err(A::Error::custom(TOO_MANY));
                    }
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Why an item is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) field: &'static str,
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// Makes a refusal.
pub(super) fn refuse(field: &'static str, reason: Reason, detail: impl Into<String>) -> Refusal {
    Refusal { field, reason, detail: detail.into() }
}

/// What was refused of a batch.
#[derive(Debug, Default)]
pub struct Refusals {
    /// The first of them.
    pub listed: Vec<RefusedItem>,
    /// How many for each reason.
    pub counts: [u64; Reason::ALL.len()],
}

impl Refusals {
    /// Notes one.
    pub(super) fn add(&mut self, index: usize, refusal: Refusal) {
        self.note(index as u64, refusal.field, refusal.reason, refusal.detail);
    }

    /// Notes one.
    pub fn note(&mut self, index: u64, field: &str, reason: Reason, detail: String) {
        self.counts[reason as usize] += 1;
        if self.listed.len() < MAX_LISTED {
            let (field, reason) = (field.to_owned(), reason.as_str().to_owned());
            self.listed.push(RefusedItem { index, field, reason, detail });
        }
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The items of a body, each as text with its place; texts that are not UTF-8 as an error.
fn lines(body: &[u8]) -> Result<Vec<(usize, &[u8])>, AppError> {
    let mut found = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if found.len() == MAX_LINES {
            return Err(too_many());
        }
        found.push((index, line));
    }
    Ok(found)
}

/// Calls `each` with every item of a body and its place. `list` finds the items of a body that is one
/// object; without them `missing` (the field and what it should be) is refused. Says what such a body
/// says about itself.
pub(super) fn each_item<'a>(
    format: Format,
    body: &'a [u8],
    list: for<'e> fn(&'e Envelope<'a>) -> Option<&'e Items<'a>>,
    missing: (&'static str, &'static str),
    mut each: impl FnMut(usize, &[u8]),
) -> Result<Said, AppError> {
    match format {
        Format::Ndjson => {
            for (index, line) in lines(body)? {
                each(index, line);
            }
            Ok(Said::default())
        }
        Format::Json => {
            let envelope = Envelope::read(body)?;
            let (field, wanted) = missing;
            let items = list(&envelope)
                .ok_or_else(|| AppError::invalid(field, format!("it is missing: {wanted}")))?;
            for (index, item) in items.0.iter().enumerate() {
                each(index, item.get().as_bytes());
            }
            Ok(envelope.said())
        }
    }
}

/// Reads an item as an object of known fields, all of which are raw.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Refusal> {
    if text.first() != Some(&b'{') {
        let reason = if serde_json::from_slice::<&RawValue>(text).is_ok() {
            Reason::NotAnObject
        } else {
            Reason::NotJson
        };
        return Err(refuse("", reason, "use a JSON object"));
    }
    serde_json::from_slice(text).map_err(|error| {
        let reason = if error.is_data() { Reason::NotAnObject } else { Reason::NotJson };
        refuse("", reason, error.to_string())
    })
}

/// Reads a field as a text.
pub(super) fn text<'a>(
    field: &'static str,
    raw: &'a RawValue,
    most: usize,
) -> Result<Cow<'a, str>, Refusal> {
    if !raw.get().starts_with('"') {
        return Err(refuse(field, Reason::WrongType, "use a text"));
    }
    let text: Text<'_> = serde_json::from_str(raw.get())
        .map_err(|error| refuse(field, Reason::BadValue, error.to_string()))?;
    if text.0.len() > most {
        let length = text.0.len();
        return Err(refuse(field, Reason::TooLong, format!("{length} bytes; at most {most}")));
    }
    // SQLite's functions stop at it.
    Ok(if text.0.contains('\0') { text.0.replace('\0', "\u{fffd}").into() } else { text.0 })
}

/// Reads a time: RFC 3339, or a number of milliseconds or seconds since 1970. Says also whether it
/// was clamped.
pub(super) fn time(
    raw: Option<&RawValue>,
    now: Timestamp,
    keep_days: u32,
) -> Result<(Timestamp, bool), Refusal> {
    const FIELD: &str = "timestamp";
    let Some(raw) = raw else { return Ok((now, false)) };
    let bad = || {
        refuse(
            FIELD,
            Reason::BadTime,
            "use RFC 3339 (2026-11-28T23:15:00Z) or milliseconds since 1970",
        )
    };
    let said = if raw.get().starts_with('"') {
        let text = text(FIELD, raw, 64).map_err(|_| bad())?;
        let at: jiff::Timestamp = text.trim().parse().map_err(|_| bad())?;
        at.as_millisecond()
    } else {
        let number: f64 = serde_json::from_str(raw.get())
            .map_err(|_| refuse(FIELD, Reason::WrongType, "use a text or a number"))?;
        let millis = if number < LEAST_MILLIS { number * 1000.0 } else { number };
        if !(0.0..=253_402_300_799_999.0).contains(&millis) {
            return Err(bad());
        }
        millis as i64
    };
    match judge_time(Timestamp::from_millis(said), now, keep_days) {
        Judged::Kept(at) => Ok((at, false)),
        Judged::Clamped(at) => Ok((at, true)),
        Judged::TooOld => {
            Err(refuse(FIELD, Reason::TooOld, format!("it is older than {keep_days} days")))
        }
    }
}
