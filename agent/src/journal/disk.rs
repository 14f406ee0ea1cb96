//! What tenants had on the disk when that was counted last: counting reads much, and must not begin
//! anew with every start.

use std::collections::BTreeMap;

use freehold_protocol::{
    disk::{ByteCount, DiskUse},
    ids::TenantId,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Journal, JournalError, from_json, to_json};

/// The name of the setting.
const SETTING: &str = "disk";

/// One count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measured {
    /// When.
    pub at: Timestamp,
    /// Bytes by tenant; one that is missing is not known.
    pub used: BTreeMap<TenantId, ByteCount>,
}

impl Measured {
    /// What a tenant had.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> Option<DiskUse> {
        let used_bytes = *self.used.get(&tenant)?;
        Some(DiskUse { used_bytes, at: self.at })
    }
}

impl Journal {
    /// The last count.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn disk_measured(&self) -> Result<Option<Measured>, JournalError> {
        let Some(text) = self.setting(SETTING)? else { return Ok(None) };
        Ok(from_json(&text, SETTING).map(Some).unwrap_or_else(|error| {
            // It is counted anew.
            tracing::warn!(%error, "what tenants had on the disk is not remembered");
            None
        }))
    }

    /// Keeps a count in place of the one before.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn keep_disk_measured(&self, measured: &Measured) -> Result<(), JournalError> {
        self.set_setting(SETTING, &to_json(measured, SETTING)?)
    }
}
