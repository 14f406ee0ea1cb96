//! `POST /api/licenses/validate`: may this tenant do that? The contract is docs/licenses.md.
//!
//! This is the portal's busiest call, and every app waits for it. So: no database, the body is read
//! in place, and what does not change between two questions is rendered beforehand.

use std::{borrow::Cow, io::Write as _};

use serde::Deserialize;

use super::{Limits, authenticate};
use crate::{
    context::Portal,
    domain::{
        ids::TenantKeyId,
        license_key::LicenseKey,
        validation::{Question, ValidationCode, judge},
    },
    error::{AppError, Kind},
    http::{
        input,
        rate::{Rate, with_left},
        respond,
        server::{Request, Response},
    },
    licensing::{Desk, KeyEntry, LicenseEntry, Snapshot},
};

/// A text that is read in place unless it has escapes.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The body. Unknown fields are ignored: apps that exist send more.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    #[serde(borrow)]
    license_key: Text<'a>,
    #[serde(borrow)]
    organization_id: Text<'a>,
    #[serde(borrow, default)]
    feature: Option<Text<'a>>,
    #[serde(borrow, default)]
    action: Option<Text<'a>>,
}

/// Answers.
pub(super) fn validate(
    portal: &Portal,
    limits: &Limits,
    rate: &Rate<TenantKeyId>,
    request: &Request,
) -> Result<Response, AppError> {
    let now = portal.db.now();
    let snapshot = portal.licensing.snapshot();
    let key = authenticate(portal, limits, &snapshot, request, now)?;
    // Only who is over the limit is told of it: the answer is small, and there are many.
    if let Err(over) = rate.take(key.id, now) {
        return Ok(with_left(respond::problem(&over.error, &request.id), over.left));
    }
    let asked: Asked<'_> = input::in_place(request)?;
    let (code, license) = answer(&portal.licensing, &snapshot, key, &asked, now);
    if code.is_guess() {
        if let Some(retry_after_secs) = limits.license_keys.over(&key.id, now) {
            return Err(AppError::new(
                Kind::TooMany { retry_after_secs },
                "too_many_failures",
                "too many questions with this API key were about licenses that are not its own",
            )
            .advice("check the license key and the organization id that the app sends"));
        }
        limits.license_keys.failed(key.id, now);
    }
    portal.licensing.note(code, key, license, now);
    let license = license.filter(|_| code.is_ones_own());
    let lease = license.filter(|_| code.is_usable()).map(|license| {
        let keys = portal.keys.current();
        let seq = || portal.licensing.next_seq(&snapshot, now);
        license.lease(keys.lease(), || portal.config.public_url(), seq, now)
    });
    let mut body = Vec::with_capacity(1536);
    render(&mut body, code, license, lease.as_deref(), now)
        .map_err(|error| AppError::bug("an answer was not rendered").because(error))?;
    Ok(Response::new(200).with_header("content-type", "application/json").with_body(body))
}

/// The order of the checks is part of the contract.
fn answer<'s>(
    desk: &Desk,
    snapshot: &'s Snapshot,
    key: &KeyEntry,
    asked: &Asked<'_>,
    now: freehold_protocol::time::Timestamp,
) -> (ValidationCode, Option<&'s LicenseEntry>) {
    let Ok(license_key) = LicenseKey::parse(&asked.license_key.0) else {
        return (ValidationCode::KeyMalformed, None);
    };
    let Some(license) = desk.license(snapshot, &license_key) else {
        return (ValidationCode::NotFound, None);
    };
    if key.customer != Some(license.customer) {
        return (ValidationCode::KeyMismatch, Some(license));
    }
    if *asked.organization_id.0 != *license.organization {
        return (ValidationCode::OrganizationMismatch, Some(license));
    }
    let question = Question {
        feature: asked.feature.as_ref().map(|text| &*text.0),
        action: asked.action.as_ref().map(|text| &*text.0),
    };
    (judge(&license.held(), &question, now), Some(license))
}

/// Writes the body. No text in it needs escaping: codes, reasons, statuses and plan names are plain
/// words, a lease is base64url with dots, and the rest was rendered as JSON beforehand.
fn render(
    body: &mut Vec<u8>,
    code: ValidationCode,
    license: Option<&LicenseEntry>,
    lease: Option<&str>,
    now: freehold_protocol::time::Timestamp,
) -> std::io::Result<()> {
    write!(body, "{{\"valid\":{},\"code\":\"{code}\"", code.is_valid())?;
    if let Some(reason) = code.reason() {
        write!(body, ",\"reason\":\"{reason}\"")?;
    }
    match license {
        None => body.extend_from_slice(b",\"license\":null"),
        Some(license) => {
            let status = license.status.at(license.expires_at, now);
            write!(
                body,
                ",\"license\":{{\"status\":\"{status}\",\"tier\":\"{}\",{},\"expiresAt\":",
                license.plan, license.gives_json
            )?;
            match license.expires_at {
                Some(at) => write!(body, "{at}}}")?,
                None => body.extend_from_slice(b"null}"),
            }
        }
    }
    match lease {
        Some(lease) => write!(body, ",\"lease\":\"{lease}\"}}"),
        None => write!(body, ",\"lease\":null}}"),
    }
}
