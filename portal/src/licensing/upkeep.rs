//! What licensing needs done now and then: uses noted, ended licenses noted, old keys forgotten.

use serde_json::json;

use super::{Desk, Used};
use crate::{
    app::{license_status::note_expired, retention},
    context::Portal,
    db::{licenses, lock, tenant_keys},
    error::AppError,
};

/// Most licenses, uses and keys that one transaction takes.
const BATCH: usize = 200;
/// Days for which keys that are good for nothing stay listed.
const KEEP_KEYS_DAYS: i64 = 90;

impl Desk {
    /// Does what is due.
    ///
    /// # Errors
    /// When the database fails; uses that were to be noted are noted at their next.
    pub fn upkeep(portal: &Portal) -> Result<(), AppError> {
        let most = u32::try_from(BATCH).unwrap_or(u32::MAX);
        let expired = !portal.db.read(|read| licenses::to_expire(read, 1))?.is_empty();
        let used: Vec<Used> = {
            let mut used = lock(&portal.licensing.used);
            let count = used.len().min(BATCH);
            used.drain(..count).collect()
        };
        if !expired && used.is_empty() {
            return Ok(());
        }
        portal.db.write(move |tx| {
            for used in used {
                match used {
                    Used::Key(id, at) => tenant_keys::note_used(tx, id, at)?,
                    Used::License(id, at) => licenses::note_validated(tx, id, at)?,
                }
            }
            let until = tx.now().plus_secs(-KEEP_KEYS_DAYS * 86_400);
            let forgotten = tenant_keys::purge(tx, until, most)?;
            if forgotten > 0 {
                retention::note(tx, json!({ "tenantKeys": forgotten }))?;
            }
            note_expired(tx, most)
        })
    }
}
