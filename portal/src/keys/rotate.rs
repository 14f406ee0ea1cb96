//! Rotation of the job key, and of the lease keys.
//!
//! Order: the new private key, then the trust document (the commit point: from its rename on the new
//! key is in force), then the old private key is removed. A crash before the commit leaves a key file
//! that no document names; it is ignored and swept by the next rotation.

use std::sync::{Arc, PoisonError};

use freehold_protocol::{
    dsse::Envelope,
    time::Timestamp,
    trust::{TRUST_VALID_SECS, TrustDocument},
};

use super::{
    KeyError, KeyRing, PortalKeys, fresh_signing_key, job_name, lease, load, parse_pem, write_trust,
};

/// Why the job key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// By routine: the old key stays listed, so that what it signed still verifies.
    Routine,
    /// It was or may have been stolen: it is dropped at once and a new epoch starts.
    Compromised,
}

impl Rotation {
    /// The spelling in the audit log and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routine => "routine",
            Self::Compromised => "compromised",
        }
    }
}

impl KeyRing {
    /// Replaces the job key and returns the keys now in force.
    ///
    /// # Errors
    /// [`KeyError::RootOffline`] when the root key is not here; else a file operation. The old keys
    /// stay in force then.
    pub fn rotate(&self, rotation: Rotation, now: Timestamp) -> Result<Arc<PortalKeys>, KeyError> {
        // Held for the whole of it: two rotations at once would fork the chain.
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let envelope = self.prepare(&current, rotation, now)?;
        write_trust(&self.folder, current.trust_version() + 1, &envelope)?;
        *current = Arc::new(load(&self.folder)?);
        self.sweep(&current);
        Ok(Arc::clone(&current))
    }

    /// Replaces the lease keys and returns the keys now in force. Agents see nothing of it.
    ///
    /// # Errors
    /// [`KeyError::Credential`] when systemd holds the file; else a file operation. The old keys
    /// stay in force then.
    pub fn rotate_lease(&self, rotation: Rotation) -> Result<Arc<PortalKeys>, KeyError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        lease::rotate(&self.folder, rotation)?;
        *current = Arc::new(load(&self.folder)?);
        Ok(Arc::clone(&current))
    }

    /// Everything before the commit point.
    pub(super) fn prepare(
        &self,
        held: &PortalKeys,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<Envelope, KeyError> {
        let root = self
            .folder
            .read("root.pem")?
            .ok_or_else(|| KeyError::RootOffline { path: self.folder.shown("root.pem") })?;
        let root = parse_pem(&self.folder, "root.pem", &root)?;
        let job = fresh_signing_key(&self.folder, |key| job_name(&key.public()))?;
        let old = held.trust().document();
        let (job_keys, epoch) = match rotation {
            Rotation::Routine => (vec![job.public(), old.job_keys[0]], old.epoch),
            Rotation::Compromised => (vec![job.public()], old.epoch + 1),
        };
        let document = TrustDocument {
            version: old.version + 1,
            epoch,
            iat: now,
            exp: now.plus_secs(TRUST_VALID_SECS),
            job_keys,
            ..old.clone()
        };
        Envelope::sign(&document, &[&root]).map_err(|_| KeyError::Sign)
    }

    /// Removes job keys that sign no more.
    fn sweep(&self, keys: &PortalKeys) {
        let in_use = job_name(&keys.job().public());
        match self.folder.list("job-", ".pem") {
            Ok(names) => {
                names.iter().filter(|name| **name != in_use).for_each(|n| self.folder.remove(n));
            }
            Err(error) => tracing::warn!(%error, "old job keys were not looked for"),
        }
    }
}
