//! Reads a batch of usage. Pure: bytes in, values and refusals out.

use freehold_protocol::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::batch::{
    Format, Refusal, Refusals, Said, each_item, object, refuse, text, time, too_many,
};
use crate::{
    db::ingest::usage::NewValue,
    domain::ingest::{
        MAX_METRIC, MAX_USAGE_AGE_DAYS, MAX_VALUE, MAX_VALUES, MetricKind, Reason, is_metric,
    },
    error::AppError,
};

/// A batch that was read.
#[derive(Debug, Default)]
pub struct Batch {
    /// What it says about itself.
    pub said: Said,
    /// Its good values, each with its place.
    pub values: Vec<(u64, NewValue)>,
    /// Its bad ones.
    pub refusals: Refusals,
    /// Good values that were said to be in the future.
    pub clamped: u64,
}

/// A value as it comes. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
struct Value<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
}

/// Reads a batch.
///
/// # Errors
/// When the whole of it is none; single values are refused in what is returned.
pub fn read(format: Format, body: &[u8], now: Timestamp) -> Result<Batch, AppError> {
    let mut batch = Batch::default();
    let missing = ("/metrics", "a list of values");
    let add = |index: usize, item: &[u8]| match object(item)
        .and_then(|value: Value<'_>| read_value(&value, now))
    {
        Ok((value, clamped)) => {
            batch.clamped += u64::from(clamped);
            batch.values.push((index as u64, value));
        }
        Err(refusal) => batch.refusals.add(index, refusal),
    };
    let said = each_item(format, body, |envelope| envelope.metrics.as_ref(), missing, add)?;
    batch.said = said;
    if batch.values.len() as u64 + batch.refusals.total() > MAX_VALUES as u64 {
        return Err(too_many());
    }
    Ok(batch)
}

fn read_value(value: &Value<'_>, now: Timestamp) -> Result<(NewValue, bool), Refusal> {
    let missing = |field| refuse(field, Reason::Missing, "it is missing");
    let metric = text("name", value.name.ok_or_else(|| missing("name"))?, MAX_METRIC)?;
    if !is_metric(&metric) {
        let detail = "begin with a letter; then letters, digits and . _ - / :";
        return Err(refuse("name", Reason::BadValue, detail));
    }
    let kind = match value.kind.map(|raw| text("kind", raw, 20)).transpose()?.as_deref() {
        None | Some("counter") => MetricKind::Counter,
        Some("gauge") => MetricKind::Gauge,
        Some(_) => return Err(refuse("kind", Reason::BadValue, "use counter or gauge")),
    };
    let number: f64 = serde_json::from_str(value.value.ok_or_else(|| missing("value"))?.get())
        .map_err(|_| refuse("value", Reason::WrongType, "use a number"))?;
    let least = if kind == MetricKind::Counter { 0.0 } else { -MAX_VALUE };
    if !(least..=MAX_VALUE).contains(&number) {
        return Err(refuse("value", Reason::BadValue, format!("use {least} to {MAX_VALUE}")));
    }
    let (at, clamped) = time(value.timestamp, now, MAX_USAGE_AGE_DAYS)?;
    Ok((NewValue { metric: metric.into_owned(), kind, value: number, at }, clamped))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    #[test]
    fn values_and_what_is_wrong_with_others() {
        let body = json!({ "batchId": "u-1", "metrics": [
            { "name": "api.requests", "value": 12 },
            { "name": "users", "kind": "gauge", "value": -3.5, "timestamp": "2026-09-21T00:00:00Z" },
            { "name": "=cmd|x", "value": 1 }, { "name": "a", "value": -1 }, { "name": "a", "value": "1" },
            { "name": "a", "value": 1e16 }, { "value": 1 }, { "name": "a" }, { "name": "a", "kind": "sum", "value": 1 },
            { "name": "a", "value": 1, "timestamp": "2026-01-01T00:00:00Z" }, { "name": "a", "value": null },
        ] });
        let batch = read(Format::Json, body.to_string().as_bytes(), NOW).unwrap();
        assert_eq!(batch.values.len(), 2);
        assert_eq!(batch.values[0].1.at, NOW);
        let found: Vec<_> = batch
            .refusals
            .listed
            .iter()
            .map(|item| (item.index, item.field.as_str(), item.reason.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (2, "name", "bad_value"),
                (3, "value", "bad_value"),
                (4, "value", "wrong_type"),
                (5, "value", "bad_value"),
                (6, "name", "missing"),
                (7, "value", "missing"),
                (8, "kind", "bad_value"),
                (9, "timestamp", "too_old"),
                (10, "value", "missing"),
            ]
        );
        let many = "{\"name\":\"a\",\"value\":1}\n".repeat(MAX_VALUES + 1);
        assert_eq!(read(Format::Ndjson, many.as_bytes(), NOW).unwrap_err().code, "too_many_items");
    }
}
