//! What changes the status of a license: admins, a deployed tenant, time.

use freehold_protocol::{ids::TenantId, time::Timestamp};
use serde_json::{Value, json};

use super::{
    changed::Changed,
    licenses::{end, find, record, revoked},
    tenant_input::Fields,
};
use crate::{
    api::licenses::{MAX_REASON_CHARS, RenewLicense},
    db::{
        Tx,
        licenses::{self, LicenseRow},
    },
    domain::{
        ids::LicenseId,
        license::{LicenseEvent, LicenseStatus, Past, is_over},
    },
    error::AppError,
};

/// Moves a license by an event, at the end that it has now.
fn happen(
    license: &mut LicenseRow,
    event: LicenseEvent,
    reason: &str,
    now: Timestamp,
) -> Result<(), AppError> {
    let past =
        Past { activated: license.activated_at.is_some(), over: is_over(license.expires_at, now) };
    // A license whose time is over counts as expired, noted or not.
    let from = license.status.at(license.expires_at, now);
    let next = from.after(event, past).ok_or_else(|| refused(license, from, event))?;
    if next != license.status {
        license.status = next;
        license.status_at = now;
        license.status_reason = reason.to_owned();
    }
    Ok(())
}

fn refused(license: &LicenseRow, from: LicenseStatus, event: LicenseEvent) -> AppError {
    if from == LicenseStatus::Revoked {
        return revoked(license);
    }
    let what = match event {
        LicenseEvent::Activate => "activated",
        LicenseEvent::Suspend => "suspended",
        LicenseEvent::Reinstate => "reinstated",
        LicenseEvent::Expire => "expired",
        LicenseEvent::Renew => "renewed",
        LicenseEvent::Revoke => "revoked",
    };
    AppError::conflict(
        "license_status",
        format!("the license {} is {from} and cannot be {what}", license.id),
    )
    .advice(format!("see `freehold license show {}`", license.id))
}

/// What an admin wants of a license's status.
#[derive(Debug, Clone)]
pub enum Change {
    /// Take it back for a time, for a reason.
    Suspend(String),
    /// End the suspension.
    Reinstate,
    /// Take it back for good, for a reason.
    Revoke(String),
    /// Give it another end.
    Renew(RenewLicense),
}

/// An admin wants the status of a license changed.
#[derive(Debug)]
pub struct ChangeStatus {
    /// Which.
    pub id: LicenseId,
    /// To what.
    pub change: Change,
    /// Who asks.
    pub actor: String,
}

/// What of a license these change.
fn state(license: &LicenseRow) -> Value {
    json!({ "status": license.status.as_str(), "expiresAt": license.expires_at })
}

fn check_reason(reason: &str) -> Result<(), AppError> {
    let count = reason.chars().count();
    if (1..=MAX_REASON_CHARS).contains(&count)
        && reason.trim() == reason
        && !reason.contains(char::is_control)
    {
        return Ok(());
    }
    Err(AppError::invalid(
        "/reason",
        format!("say why in one line of 1 to {MAX_REASON_CHARS} characters"),
    ))
}

impl ChangeStatus {
    /// Changes it. From the answer on, apps that ask are told so; leases that were given out
    /// before end by themselves, after 24 hours at the latest.
    ///
    /// # Errors
    /// Wrong fields, or a status that does not allow it.
    pub fn apply(self, tx: &Tx<'_>) -> Result<LicenseRow, AppError> {
        let mut license = find(tx, self.id)?;
        let (from, now, before) = (license.status, tx.now(), state(&license));
        let (action, reason) = match self.change {
            Change::Suspend(reason) => {
                check_reason(&reason)?;
                happen(&mut license, LicenseEvent::Suspend, &reason, now)?;
                ("license.suspend", Some(reason))
            }
            Change::Reinstate => {
                happen(&mut license, LicenseEvent::Reinstate, "", now)?;
                ("license.reinstate", None)
            }
            Change::Revoke(reason) => {
                check_reason(&reason)?;
                happen(&mut license, LicenseEvent::Revoke, &reason, now)?;
                ("license.revoke", Some(reason))
            }
            Change::Renew(RenewLicense { expires_at }) => {
                let mut fields = Fields::default();
                let expires_at = end(&mut fields, expires_at, now);
                fields.done()?;
                // Judged as it stands before the new end: an expired one is known as such.
                license.status = license.status.at(license.expires_at, now);
                license.expires_at = expires_at;
                happen(&mut license, LicenseEvent::Renew, "", now)?;
                ("license.renew", None)
            }
        };
        licenses::update(tx, &license, from)?;
        let mut detail = Changed::between(&before, &state(&license)).detail();
        if let Some(reason) = reason {
            detail["reason"] = json!(reason);
        }
        record(tx, &self.actor, action, &license, detail)?;
        find(tx, self.id)
    }
}

/// A tenant was deployed, or a deployed one has got a license: that license is in use from now on.
/// Called in the transaction that takes the agent's report, or that changes the tenant.
///
/// # Errors
/// When the database fails.
pub(super) fn activate(tx: &Tx<'_>, tenant: TenantId, actor: &str) -> Result<(), AppError> {
    let Some(mut license) = licenses::of_tenant(tx, tenant)? else { return Ok(()) };
    if license.activated_at.is_some() || license.status == LicenseStatus::Revoked {
        return Ok(());
    }
    let (from, before) = (license.status, state(&license));
    happen(&mut license, LicenseEvent::Activate, "", tx.now())?;
    license.activated_at = Some(tx.now());
    licenses::update(tx, &license, from)?;
    let mut detail = Changed::between(&before, &state(&license)).detail();
    detail["tenant"] = json!(tenant);
    record(tx, actor, "license.activate", &license, detail)
}

/// Notes as expired at most `limit` licenses whose time is over. Nothing waits for it: what a
/// license is worth is judged by its end at each question. It is for the history.
///
/// # Errors
/// When the database fails.
pub fn note_expired(tx: &Tx<'_>, limit: u32) -> Result<(), AppError> {
    for mut license in licenses::to_expire(tx, limit)? {
        let (from, before) = (license.status, state(&license));
        license.status = LicenseStatus::Expired;
        license.status_at = license.expires_at.unwrap_or(tx.now());
        license.status_reason = String::new();
        licenses::update(tx, &license, from)?;
        let mut detail = Changed::between(&before, &state(&license)).detail();
        detail["at"] = json!(license.expires_at);
        record(tx, "system", "license.expire", &license, detail)?;
    }
    Ok(())
}
