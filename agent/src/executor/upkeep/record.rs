//! What upkeep remembers of a tenant's certificate, in the journal: an authority that refuses must
//! not be asked again at every start.

use std::{collections::BTreeMap, time::Duration};

use freehold_protocol::{
    failure::Failure,
    ids::{Domain, TenantId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::journal::{Journal, JournalError, from_json, to_json};

/// Setting in the journal.
const SETTING: &str = "upkeep";
/// Pause after the first failure; doubled with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(3600);
/// Longest pause. Authorities allow a few failures an hour; a day would cost a tenant too much.
const LONGEST_PAUSE: Duration = Duration::from_secs(12 * 3600);

/// Records by tenant.
pub type Records = BTreeMap<TenantId, Record>;

/// A tenant's certificate at the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// When the certificate on the disk expires.
    pub expires: Option<Timestamp>,
    /// Why it is not as it should be.
    pub trouble: Option<Trouble>,
    /// Why a certificate that it does not use any more is still there.
    #[serde(default)]
    pub former: Option<Trouble>,
}

/// A failure of upkeep, and when it tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trouble {
    /// What did not work.
    pub failure: Failure,
    /// How often in a row.
    pub attempts: u32,
    /// When it was tried last.
    pub at: Timestamp,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

impl Trouble {
    /// After one more failure.
    #[must_use]
    pub fn after(previous: Option<&Self>, failure: Failure, now: Timestamp) -> Self {
        let failed = previous.map_or(0, |trouble| trouble.attempts);
        let pause = FIRST_PAUSE.saturating_mul(1 << failed.min(8)).min(LONGEST_PAUSE);
        let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let attempts = failed.saturating_add(1);
        Self { failure, attempts, at: now, retry_at: now.plus_millis(millis) }
    }

    /// How long to wait yet. A clock that was set back does not stretch it.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Duration {
        let left = u64::try_from(self.retry_at.millis_since(now)).unwrap_or(0);
        Duration::from_millis(left).min(LONGEST_PAUSE)
    }
}

impl Record {
    /// The trouble in a sentence, for the tenant's health and the host's problems.
    #[must_use]
    pub fn problem(&self, domain: &Domain, now: Timestamp) -> Option<String> {
        let what = &self.trouble.as_ref()?.failure.what;
        Some(match self.expires {
            Some(expires) => {
                format!("the certificate of {domain} {}: {what}", expiry(expires, now))
            }
            None => format!("the certificate of {domain}: {what}"),
        })
    }
}

/// "expires in 12 days", as exactly as matters.
#[must_use]
pub fn expiry(expires: Timestamp, now: Timestamp) -> String {
    let hours = expires.millis_since(now) / 3_600_000;
    match hours {
        _ if expires <= now => "has expired".to_owned(),
        0..48 => format!("expires in {hours} hours"),
        _ => format!("expires in {} days", hours / 24),
    }
}

/// What the journal remembers.
///
/// # Errors
/// When the journal cannot be read.
pub fn load(journal: &Journal) -> Result<Records, JournalError> {
    let Some(text) = journal.setting(SETTING)? else { return Ok(Records::new()) };
    Ok(from_json(&text, "upkeep").unwrap_or_else(|error| {
        // Only memory of attempts: without it everything is looked at anew.
        tracing::warn!(%error, "upkeep begins anew");
        Records::new()
    }))
}

/// Has the journal remember.
///
/// # Errors
/// When the journal does not work.
pub fn store(journal: &Journal, records: &Records) -> Result<(), JournalError> {
    journal.set_setting(SETTING, &to_json(records, "upkeep")?)
}
