//! Reads a report of health. Pure.

use std::collections::BTreeMap;

use freehold_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::batch::{Said, object_of, time, utf8};
use crate::{
    db::ingest::health::NewHealth,
    domain::ingest::{MAX_CHECKS, MAX_USAGE_AGE_DAYS},
    error::AppError,
};

/// Longest text in it, in bytes.
pub const MAX_TEXT: usize = 500;

/// The body. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    #[serde(default)]
    tenant_id: Option<String>,
    #[serde(default)]
    organization_slug: Option<String>,
    status: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    checks: Option<BTreeMap<String, Check>>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
}

/// A single check.
#[derive(Debug, Serialize, Deserialize)]
struct Check {
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Reads a report.
///
/// # Errors
/// 400 for what is no JSON, 422 with the fields that are wrong.
pub fn read(body: &[u8], now: Timestamp) -> Result<(Said, NewHealth), AppError> {
    let report: Report<'_> =
        object_of(utf8(body)?).map_err(|error| AppError::unreadable_json(&error))?;
    let wrong = |pointer: &str, why: &str| AppError::invalid(pointer, why);
    let status = report.status.parse().map_err(|why| wrong("/status", why))?;
    let (at, _) = time(report.timestamp, now, MAX_USAGE_AGE_DAYS)
        .map_err(|refusal| wrong("/timestamp", &refusal.detail))?;
    for (pointer, text) in [("/version", &report.version), ("/message", &report.message)] {
        if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
            return Err(wrong(pointer, &format!("at most {MAX_TEXT} bytes")));
        }
    }
    let checks = report.checks.unwrap_or_default();
    if checks.len() > MAX_CHECKS {
        return Err(wrong("/checks", &format!("at most {MAX_CHECKS} checks")));
    }
    for (name, check) in &checks {
        let pointer = |field: &str| {
            let name: String = name.chars().take(100).collect();
            format!("/checks/{}{field}", name.replace('~', "~0").replace('/', "~1"))
        };
        if name.is_empty() || name.len() > 100 {
            return Err(wrong(&pointer(""), "a check's name has 1 to 100 bytes"));
        }
        check
            .status
            .parse::<crate::domain::ingest::AppStatus>()
            .map_err(|why| wrong(&pointer("/status"), why))?;
        if check.message.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
            return Err(wrong(&pointer("/message"), &format!("at most {MAX_TEXT} bytes")));
        }
    }
    let said = Said {
        tenant_id: report.tenant_id,
        organization_slug: report.organization_slug,
        batch_id: None,
    };
    let checks = serde_json::to_string(&checks)?;
    let (version, message) = (report.version, report.message);
    Ok((said, NewHealth { status, at, version, message, checks }))
}
