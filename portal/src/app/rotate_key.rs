//! Rotation of the portal's job key and of its lease keys, as an admin wants it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::changed::Changed;
use crate::{
    db::{
        Db, Tx, agents,
        audit::{self, Entry},
        meta,
    },
    error::AppError,
    keys::{KeyError, KeyRing, KnownKeys, PortalKeys, Rotation},
};

/// Notes the keys that the database is used with from now on, and says what that changes.
fn note(tx: &Tx<'_>, keys: &KnownKeys) -> Result<Value, AppError> {
    let state = |keys: &KnownKeys| {
        json!({
            "portal": keys.portal,
            "masterKey": keys.master,
            "trustVersion": keys.trust_version,
            "leaseKey": keys.lease,
        })
    };
    let changed = Changed::between(&state(&meta::known_keys(tx)?), &state(keys));
    meta::note_keys(tx, keys)?;
    Ok(changed.fields())
}

/// Notes the keys that the portal starts with. When they are others than the database was last used with,
/// somebody has changed the key folder meanwhile, or a rotation was cut off before its entry was written:
/// the audit log says so.
///
/// # Errors
/// When the database fails.
pub fn note_at_start(tx: &Tx<'_>, keys: &KnownKeys) -> Result<(), AppError> {
    let known = meta::known_keys(tx)?;
    if known == *keys {
        return Ok(());
    }
    let detail = json!({ "changed": note(tx, keys)? });
    // What a new database begins with is no change.
    let Some(portal) = known.portal else { return Ok(()) };
    let object_id = &portal.to_string();
    let (actor, action) = ("system", "key.noted");
    audit::append(tx, &Entry { actor, action, object_kind: "portal", object_id, detail })
}

/// An admin wants a new job key.
#[derive(Debug)]
pub struct RotateKey {
    /// Why.
    pub rotation: Rotation,
    /// Who asks.
    pub actor: String,
}

impl RotateKey {
    /// Rotates the key and wakes every agent, so that all learn of it at once.
    ///
    /// The files are the truth, and no part of a transaction: when the portal dies between them and the
    /// database, the next start notes the new version ([`note_at_start`]).
    ///
    /// # Errors
    /// `root_offline` (409); else when a file or the database fails.
    pub fn apply(self, db: &Db, ring: &KeyRing) -> Result<Arc<PortalKeys>, AppError> {
        let keys = ring.rotate(self.rotation, db.now()).map_err(|error| match error {
            KeyError::RootOffline { .. } => {
                AppError::conflict("root_offline", "the root key is not on this machine")
                    .advice("bring root.pem back into the key folder for the rotation")
            }
            other => other.into(),
        })?;
        tracing::warn!(
            rotation = self.rotation.as_str(),
            trust_version = keys.trust_version(),
            epoch = keys.epoch(),
            actor = self.actor,
            "rotated the job key"
        );
        let (noted, actor, rotation) = (Arc::clone(&keys), self.actor, self.rotation);
        db.write(move |tx| {
            let changed = note(tx, &noted.known())?;
            for agent in agents::active(tx)? {
                tx.wake(agent);
            }
            audit::append(
                tx,
                &Entry {
                    actor: &actor,
                    action: "key.rotate",
                    object_kind: "portal",
                    object_id: &noted.portal().to_string(),
                    detail: json!({
                        "rotation": rotation.as_str(),
                        "trustVersion": noted.trust_version(),
                        "epoch": noted.epoch(),
                        "jobKey": noted.job().public().fingerprint(),
                        "changed": changed,
                    }),
                },
            )
        })?;
        Ok(keys)
    }
}

/// An admin wants new lease keys.
#[derive(Debug)]
pub struct RotateLeaseKeys {
    /// Why.
    pub rotation: Rotation,
    /// Who asks.
    pub actor: String,
}

impl RotateLeaseKeys {
    /// Rotates them. Agents see nothing of it. As with the job key, the file is the truth.
    ///
    /// # Errors
    /// `key_is_credential` (409); else when a file or the database fails.
    pub fn apply(self, db: &Db, ring: &KeyRing) -> Result<Arc<PortalKeys>, AppError> {
        let keys = ring.rotate_lease(self.rotation).map_err(|error| match error {
            KeyError::Credential { .. } => {
                AppError::conflict("key_is_credential", "lease.pem is a credential of systemd")
                    .advice("make the new one where the unit takes it from, and restart the portal")
            }
            other => other.into(),
        })?;
        tracing::warn!(
            rotation = self.rotation.as_str(),
            key = keys.lease().current_id(),
            actor = self.actor,
            "rotated the lease keys"
        );
        let (noted, actor, rotation) = (Arc::clone(&keys), self.actor, self.rotation);
        db.write(move |tx| {
            let changed = note(tx, &noted.known())?;
            audit::append(
                tx,
                &Entry {
                    actor: &actor,
                    action: "key.rotate_lease",
                    object_kind: "portal",
                    object_id: &noted.portal().to_string(),
                    detail: json!({
                        "rotation": rotation.as_str(),
                        "leaseKey": noted.lease().current_id(),
                        "changed": changed,
                    }),
                },
            )
        })?;
        Ok(keys)
    }
}
