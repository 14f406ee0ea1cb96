//! Replacing the key that signs jobs.

use std::sync::Arc;

use serde_json::json;

use crate::{
    db::{
        Db,
        audit::{self, Entry},
    },
    error::{AppError, Kind},
    keys::{KeyError, KeyRing, PortalKeys, Rotation},
};

/// Somebody wants a new job key.
#[derive(Debug)]
pub struct RotateKey {
    /// Why.
    pub rotation: Rotation,
    /// Who asks.
    pub actor: String,
}

impl RotateKey {
    /// Replaces it. The key folder comes first and counts: when the audit row cannot be written
    /// afterwards, the new key is in force all the same, and the error says so.
    ///
    /// # Errors
    /// When the root key is not on this machine, or a file operation fails.
    pub fn apply(self, db: &Db, ring: &KeyRing) -> Result<Arc<PortalKeys>, AppError> {
        let keys = ring.rotate(self.rotation, db.now()).map_err(|error| match &error {
            KeyError::RootOffline { .. } => {
                AppError::new(Kind::Conflict, "root_offline", error.to_string())
            }
            _ => error.into(),
        })?;
        let entry = (self.actor, self.rotation, keys.trust_version(), keys.epoch());
        db.write(move |tx| {
            let (actor, rotation, version, epoch) = entry;
            audit::append(
                tx,
                &Entry {
                    actor: &actor,
                    action: "key.rotate",
                    object_kind: "key",
                    object_id: &version.to_string(),
                    detail: json!({ "why": rotation.as_str(), "epoch": epoch }),
                },
            )
        })?;
        Ok(keys)
    }
}
