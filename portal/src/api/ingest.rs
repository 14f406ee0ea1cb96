//! What tenants' apps are answered, and what admins see of what apps sent (docs/tenant-apps.md,
//! docs/api.md).

use freehold_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest body of what apps send, as it comes over the wire, in bytes.
pub const MAX_INGEST_BODY_BYTES: u64 = 2 << 20;
/// Most refusals that an answer lists.
pub const MAX_LISTED: usize = 100;
/// Lines of a page of logs when `limit` is not given.
pub const DEFAULT_LINES: u32 = 100;
/// Most lines of a page of logs.
pub const MAX_PAGE_LINES: u32 = 1_000;
/// Most days of usage that one answer covers.
pub const MAX_USAGE_DAYS: i64 = 400;
/// Most rows of a CSV: metrics times days.
pub const MAX_CSV_ROWS: usize = 100_000;
/// Longest text that is searched for, in bytes.
pub const MAX_SEARCH_BYTES: usize = 200;

/// The answer to a batch of logs or usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// The id under which it can be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// How many lines or values were kept.
    pub accepted: u64,
    /// How many were refused; sending them again is of no use.
    pub refused: u64,
    /// How many were said to be in the future and got the time of arrival.
    pub clamped: u64,
    /// Whether the batch was there already, and nothing was done.
    pub repeated: bool,
    /// The first of those that were refused.
    pub refusals: Vec<RefusedItem>,
}

/// A line or value that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedItem {
    /// Its place in the batch, from 0; of NDJSON its line.
    pub index: u64,
    /// Its field; empty for the whole of it.
    pub field: String,
    /// A code of a closed list.
    pub reason: String,
    /// What would be right.
    pub detail: String,
}

/// The answer to a report of health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthAnswer {
    /// Whether it is the latest; a later one that was there already stays.
    pub latest: bool,
}

/// A line of a tenant's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Its place in the order of arrival.
    pub id: u64,
    /// When it was written.
    pub at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// How grave it is.
    #[schemars(with = "super::schema::Level")]
    pub level: String,
    /// What it says.
    pub message: String,
    /// What else it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

/// A page of a tenant's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogPage {
    /// The lines. A page may be short, even empty, and still have a `next`: one answer looks at a
    /// bounded number of lines.
    pub items: Vec<LogLine>,
    /// Give it as `cursor` to get the next page; absent on the last one. In an answer to `after` it is
    /// the `tail`, and there when more has arrived already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Give it as `after` to get what arrives after this answer.
    pub tail: String,
}

/// A metric on a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageDay {
    /// The day (UTC).
    pub day: String,
    /// The metric.
    pub metric: String,
    /// `counter` or `gauge`.
    pub kind: String,
    /// How many values came.
    pub count: u64,
    /// Their sum: what counts of a counter.
    pub sum: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The latest value: what counts of a gauge.
    pub last: f64,
    /// When that was read.
    pub last_at: Timestamp,
}

/// What a tenant's app last said about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppHealth {
    /// `healthy`, `degraded` or `unhealthy`.
    pub status: String,
    /// Since when it is.
    pub since: Timestamp,
    /// When the app said so.
    pub at: Timestamp,
    /// When the portal heard it.
    pub received_at: Timestamp,
    /// The app's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Single checks: name to an object with `status` and perhaps `message`.
    pub checks: Value,
}

/// Days of usage as CSV (RFC 4180), with a line of names.
#[must_use]
pub fn usage_csv<'a>(tenant: &str, days: impl IntoIterator<Item = &'a UsageDay>) -> String {
    let mut text = String::from("day,tenant,metric,kind,count,sum,min,max,last,last_at\r\n");
    let tenant = csv_cell(tenant);
    for day in days {
        let at = jiff::Timestamp::from_millisecond(day.last_at.as_millis())
            .map_or_else(|_| day.last_at.to_string(), |at| at.to_string());
        let cells = [
            csv_cell(&day.day),
            tenant.clone(),
            csv_cell(&day.metric),
            csv_cell(&day.kind),
            day.count.to_string(),
            day.sum.to_string(),
            day.min.to_string(),
            day.max.to_string(),
            day.last.to_string(),
            csv_cell(&at),
        ];
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A text as a cell. One that a spreadsheet would take for a formula gets an apostrophe before it.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula || text.contains(['"', ',', '\n', '\r']) {
        let guard = if is_formula { "'" } else { "" };
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(csv_cell("plain.name"), "plain.name");
        assert_eq!(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\rx"] {
            assert!(csv_cell(text).starts_with("\"'"), "{text:?}");
        }
    }
}
