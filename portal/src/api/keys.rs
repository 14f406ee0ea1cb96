//! The portal's keys.

use freehold_protocol::{
    dsse::Envelope,
    ids::{PortalId, Sha256Digest},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /keys/rotate` and `POST /keys/rotate-lease`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateKeys {
    /// Whether the old key may be in other hands. Agents then refuse it at once, and every job
    /// that was not yet accepted is signed anew; lease keys are then all drawn anew and none of
    /// the old ones is published any more.
    pub compromised: bool,
}

/// `GET /keys`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeysView {
    /// The portal.
    pub portal: PortalId,
    /// Version of the trust document in force.
    pub trust_version: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Digest of its payload: what enrollment tokens pin.
    pub trust_digest: Sha256Digest,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// When it stops being valid.
    pub expires_at: Timestamp,
    /// Fingerprints of the keys that sign the next trust document.
    pub root_keys: Vec<Sha256Digest>,
    /// Fingerprints of the keys that sign jobs; the first one signs.
    pub job_keys: Vec<Sha256Digest>,
    /// Fingerprint of the key that agents seal to.
    pub seal_key: Sha256Digest,
    /// Fingerprints of the keys that leases are verified with; the first one signs.
    #[serde(default)]
    pub lease_keys: Vec<Sha256Digest>,
    /// The trust document itself, signed.
    pub trust: Envelope,
}
