//! The trust document: which keys may sign what, and how one version follows another.
//!
//! An agent pins the digest of the document that its enrollment token names, and from then on
//! accepts exactly version N+1, signed by a root key of N and by a root key of N+1 (The Update
//! Framework, section 5.3). So a portal can change its job key without touching a host, and a thief
//! of a job key is shut out by one new version with a higher epoch.

use serde::{Deserialize, Serialize};

use crate::{
    dsse::{Envelope, EnvelopeError, Payload, Verified},
    ids::{PortalId, Sha256Digest},
    keys::{PublicKey, SealPublicKey},
    time::Timestamp,
};

/// How long a trust document is valid, in seconds: 400 days.
pub const TRUST_VALID_SECS: i64 = 400 * 86_400;
/// From how long before its expiry on the portal warns, in seconds: 60 days.
pub const TRUST_WARN_SECS: i64 = 60 * 86_400;
/// Most keys in one role.
pub const MAX_KEYS: usize = 4;
/// Most documents that are walked in one go, and most that one answer brings: a page. An agent that
/// was away for longer walks page by page.
pub const MAX_STEPS: usize = 64;

/// The payload of a trust envelope (`application/vnd.freehold.trust.v1+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustDocument {
    /// The portal that it speaks for.
    pub portal: PortalId,
    /// Version, from 1, without gaps.
    pub version: u64,
    /// Rises when a job key was lost. Chains of jobs start anew in each epoch.
    pub epoch: u64,
    /// When it was signed.
    pub iat: Timestamp,
    /// When it stops being valid.
    pub exp: Timestamp,
    /// Keys that sign the next version; one of them suffices.
    pub root_keys: Vec<PublicKey>,
    /// Keys that sign jobs, polls and receipts; the first one signs, all of them verify.
    pub job_keys: Vec<PublicKey>,
    /// Agents seal to it what only the portal may read.
    pub seal_key: SealPublicKey,
}

impl Payload for TrustDocument {
    const TYPE: &'static str = "application/vnd.freehold.trust.v1+json";
    const MAX_BYTES: usize = 16 * 1024;
}

/// A trust document that is believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust(Verified<TrustDocument>);

/// Why a trust document was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The envelope did not open with the root keys that it needs.
    #[error("the trust document was not opened")]
    Envelope(#[source] EnvelopeError),
    /// Its digest is not the pinned one.
    #[error("the trust document's digest is {found}, not {pinned} as the enrollment token says")]
    NotPinned {
        /// What the token says.
        pinned: Sha256Digest,
        /// What was fetched.
        found: Sha256Digest,
    },
    /// It is an older version or the same one again.
    #[error("trust version {found} does not come after {held}")]
    Older {
        /// The version that is held.
        held: u64,
        /// The version that came.
        found: u64,
    },
    /// A version in between is missing.
    #[error("trust version {found} skips a version after {held}")]
    Skipped {
        /// The version that is held.
        held: u64,
        /// The version that came.
        found: u64,
    },
    /// It is for another portal.
    #[error("the trust document is for portal {found}, not {held}")]
    OtherPortal {
        /// The portal that is held.
        held: PortalId,
        /// The portal that it names.
        found: PortalId,
    },
    /// Its epoch is lower than the one before.
    #[error("the trust document's epoch {found} is lower than {held}")]
    EpochBack {
        /// The epoch that is held.
        held: u64,
        /// The epoch that it names.
        found: u64,
    },
    /// Its key lists are empty, too long, hold a key twice or one key in two roles.
    #[error("the trust document's keys are wrong: {reason}")]
    Keys {
        /// What is wrong.
        reason: &'static str,
    },
    /// More documents than are walked in one go.
    #[error("more than {MAX_STEPS} trust documents at once")]
    TooMany,
}

impl TrustError {
    /// A stable code in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Envelope(error) => error.code(),
            Self::NotPinned { .. } => "trust_not_pinned",
            Self::Older { .. } => "trust_older",
            Self::Skipped { .. } => "trust_skipped",
            Self::OtherPortal { .. } => "trust_other_portal",
            Self::EpochBack { .. } => "trust_epoch_back",
            Self::Keys { .. } => "trust_keys",
            Self::TooMany => "trust_too_many",
        }
    }
}

impl Trust {
    /// Takes the document that an enrollment token pins: its digest must be the pinned one, and it
    /// must be signed by a root key of its own.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn pin(envelope: &Envelope, pinned: Sha256Digest) -> Result<Self, TrustError> {
        let found = envelope.payload_digest().map_err(TrustError::Envelope)?;
        if found != pinned {
            return Err(TrustError::NotPinned { pinned, found });
        }
        let claimed: TrustDocument = envelope.peek().map_err(TrustError::Envelope)?;
        let opened = envelope.open(&claimed.root_keys, 1).map_err(TrustError::Envelope)?;
        check_keys(&claimed)?;
        Ok(Self(opened))
    }

    /// Takes the next document: exactly one version on, signed by a root key of this document and
    /// by a root key of the new one.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn next(&self, envelope: &Envelope) -> Result<Self, TrustError> {
        let held = self.document();
        let opened: Verified<TrustDocument> =
            envelope.open(&held.root_keys, 1).map_err(TrustError::Envelope)?;
        let new = opened.get();
        if new.portal != held.portal {
            return Err(TrustError::OtherPortal { held: held.portal, found: new.portal });
        }
        if new.version <= held.version {
            return Err(TrustError::Older { held: held.version, found: new.version });
        }
        if new.version != held.version + 1 {
            return Err(TrustError::Skipped { held: held.version, found: new.version });
        }
        if new.epoch < held.epoch {
            return Err(TrustError::EpochBack { held: held.epoch, found: new.epoch });
        }
        check_keys(new)?;
        let _proof: Verified<TrustDocument> =
            envelope.open(&new.root_keys, 1).map_err(TrustError::Envelope)?;
        Ok(Self(opened))
    }

    /// Walks several documents, oldest first, and returns the last one. Documents that are not
    /// newer than this one are passed over, since an answer may repeat them.
    ///
    /// # Errors
    /// The first refusal; nothing of the walk is kept then.
    pub fn walk(&self, envelopes: &[Envelope]) -> Result<Self, TrustError> {
        if envelopes.len() > MAX_STEPS {
            return Err(TrustError::TooMany);
        }
        let mut trust = self.clone();
        for envelope in envelopes {
            match trust.next(envelope) {
                Ok(next) => trust = next,
                Err(TrustError::Older { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(trust)
    }

    /// The document.
    #[must_use]
    pub const fn document(&self) -> &TrustDocument {
        self.0.get()
    }

    /// Digest of its exact bytes: what an enrollment token pins.
    #[must_use]
    pub const fn digest(&self) -> Sha256Digest {
        self.0.digest()
    }

    /// Whether it is past its expiry. Agents go on with an expired document and say so: a portal
    /// whose owner forgot to renew it must still be able to send the renewal.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.document().exp
    }
}

fn check_keys(document: &TrustDocument) -> Result<(), TrustError> {
    let keys = |reason| Err(TrustError::Keys { reason });
    for role in [&document.root_keys, &document.job_keys] {
        if role.is_empty() {
            return keys("a role has no key");
        }
        if role.len() > MAX_KEYS {
            return keys("a role has too many keys");
        }
        if role.iter().enumerate().any(|(i, key)| role[..i].contains(key)) {
            return keys("a role lists a key twice");
        }
    }
    if document.root_keys.iter().any(|key| document.job_keys.contains(key)) {
        return keys("one key holds two roles");
    }
    Ok(())
}
