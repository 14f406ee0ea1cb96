//! Signed envelopes (DSSE 1.0.2) and the one function that opens them.
//!
//! The signature covers the exact bytes that travel together with their meaning (the payload
//! type); they are parsed only after it holds. No signature leans on canonical JSON.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ids::Sha256Digest,
    keys::{PublicKey, SigningKey},
    shape,
};

/// Most signatures in one envelope.
pub const MAX_SIGNATURES: usize = 4;

/// A payload that may be signed, with the meaning that its signature is bound to.
pub trait Payload: Serialize + DeserializeOwned {
    /// The DSSE payload type.
    const TYPE: &'static str;
    /// Largest payload in bytes.
    const MAX_BYTES: usize;
}

impl Payload for crate::job::Job {
    const TYPE: &'static str = "application/vnd.freehold.job.v1+json";
    const MAX_BYTES: usize = crate::job::MAX_JOB_BYTES;
}
impl Payload for crate::wire::PollPayload {
    const TYPE: &'static str = "application/vnd.freehold.poll.v1+json";
    const MAX_BYTES: usize = 64 * 1024;
}
impl Payload for crate::wire::Receipt {
    const TYPE: &'static str = "application/vnd.freehold.receipt.v1+json";
    const MAX_BYTES: usize = 16 * 1024;
}
impl Payload for crate::report::Report {
    const TYPE: &'static str = "application/vnd.freehold.report.v1+json";
    const MAX_BYTES: usize = crate::report::MAX_REPORT_BYTES;
}

/// A DSSE envelope as it travels. Nothing in it may be believed before [`Envelope::open`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    /// The signer's fingerprint. Not authenticated: only a hint for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}

/// A payload whose signature held. The only way to one is [`Envelope::open`].
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<T> {
    value: T,
    digest: Sha256Digest,
}

impl<T> Verified<T> {
    /// The payload.
    pub const fn get(&self) -> &T {
        &self.value
    }
    /// Digest of the exact bytes that were signed.
    pub const fn digest(&self) -> Sha256Digest {
        self.digest
    }
    /// Gives the payload away.
    pub fn into_inner(self) -> T {
        self.value
    }
}

/// Why an envelope was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The payload type is not the one that was asked for.
    #[error("the payload type is {found:?}, not {wanted:?}")]
    WrongType {
        /// What was asked for.
        wanted: &'static str,
        /// What the envelope says.
        found: String,
    },
    /// The payload is larger than its kind may be.
    #[error("the payload is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The payload or a signature is not canonical base64.
    #[error("the payload or a signature is not canonical base64")]
    Base64,
    /// There are more signatures than [`MAX_SIGNATURES`].
    #[error("the envelope has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// The same signature is there twice.
    #[error("the envelope has the same signature twice")]
    DuplicateSignature,
    /// Two signatures are by the same key.
    #[error("the envelope is signed twice by the same key")]
    SameKeyTwice,
    /// There is no signature.
    #[error("the envelope is not signed")]
    Unsigned,
    /// A signature names a trusted key, and is not that key's over these bytes.
    #[error("the signature in the name of a trusted key does not hold over these bytes")]
    Forged,
    /// No signature is by a trusted key, or claims to be.
    #[error("no signature is by a key that is trusted for this")]
    WrongKey,
    /// Too few of the signatures are by trusted keys over these bytes.
    #[error("{valid} of {wanted} signatures by trusted keys hold")]
    NotEnough {
        /// How many hold.
        valid: usize,
        /// How many are needed.
        wanted: usize,
    },
    /// Bytes follow the payload inside what is signed.
    #[error("bytes follow the signed payload")]
    TrailingBytes,
    /// A field that this version does not know: it may mean something that must not be left out.
    #[error("the signed payload has a field that is not known here: {reason}")]
    UnknownField {
        /// What the parser says.
        reason: String,
    },
    /// A kind (or another word of a closed list) that this version does not know.
    #[error("the signed payload has a kind that is not known here: {reason}")]
    UnknownKind {
        /// What the parser says.
        reason: String,
    },
    /// The signed bytes are not a payload of this type.
    #[error("the signed payload is malformed: {reason}")]
    Malformed {
        /// What the parser says.
        reason: String,
    },
}

impl EnvelopeError {
    /// A stable code in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongType { .. } => "wrong_type",
            Self::TooLarge { .. } => "too_large",
            Self::Base64 => "base64",
            Self::TooManySignatures => "too_many_signatures",
            Self::DuplicateSignature => "duplicate_signature",
            Self::SameKeyTwice => "same_key_twice",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::WrongKey => "wrong_key",
            Self::NotEnough { .. } => "not_enough_signatures",
            Self::TrailingBytes => "trailing_bytes",
            Self::UnknownField { .. } => "unknown_field",
            Self::UnknownKind { .. } => "unknown_kind",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Whether what is missing is a signature by a trusted key: other trusted keys might open it.
    #[must_use]
    pub const fn is_about_trust(&self) -> bool {
        matches!(self, Self::Unsigned | Self::Forged | Self::WrongKey | Self::NotEnough { .. })
    }

    /// Sorts what serde says. Its errors have no codes; the words are pinned by the hostile tests,
    /// and a word that they do not know is only reported with less precision.
    fn from_parser(error: &serde_json::Error) -> Self {
        // What serde says of a field beside the two of `Work`.
        const BESIDE_WORK: &str = "expected \"kind\" or \"params\"";
        let reason = error.to_string();
        if reason.starts_with("unknown field ") || reason.contains(BESIDE_WORK) {
            Self::UnknownField { reason }
        } else if reason.starts_with("unknown variant ") {
            Self::UnknownKind { reason }
        } else {
            Self::Malformed { reason }
        }
    }
}

/// Reads one payload and nothing after it.
fn parse<T: Payload>(bytes: &[u8]) -> Result<T, EnvelopeError> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(&mut parser).map_err(|error| EnvelopeError::from_parser(&error))?;
    parser.end().map_err(|_| EnvelopeError::TrailingBytes)?;
    shape::check(&value, bytes).map_err(|error| EnvelopeError::from_parser(&error))?;
    Ok(value)
}

/// The bytes that a signature covers: DSSE's pre-authentication encoding.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a payload with every given key.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] when the payload cannot be written as JSON, and
    /// [`EnvelopeError::TooLarge`].
    pub fn sign<T: Payload>(payload: &T, keys: &[&SigningKey]) -> Result<Self, EnvelopeError> {
        let bytes = serde_json::to_vec(payload)
            .map_err(|error| EnvelopeError::Malformed { reason: error.to_string() })?;
        if bytes.len() > T::MAX_BYTES {
            return Err(EnvelopeError::TooLarge { limit_bytes: T::MAX_BYTES });
        }
        Ok(Self::sign_bytes(T::TYPE, &bytes, keys))
    }

    /// Signs raw bytes under a payload type.
    #[must_use]
    pub fn sign_bytes(payload_type: &str, payload: &[u8], keys: &[&SigningKey]) -> Self {
        let message = pre_authentication_encoding(payload_type, payload);
        Self {
            payload_type: payload_type.to_owned(),
            payload: BASE64.encode(payload),
            signatures: keys
                .iter()
                .map(|key| EnvelopeSignature {
                    keyid: Some(key.public().fingerprint().to_string()),
                    sig: BASE64.encode(key.sign(&message)),
                })
                .collect(),
        }
    }

    /// Opens the envelope: the one door from bytes to a payload.
    ///
    /// At least `threshold` *different* keys of `trusted` must have signed exactly these bytes
    /// under exactly this payload type. Signatures by unknown keys are passed over (a rotation
    /// signs with the old and the new key), repeated ones are refused.
    ///
    /// # Errors
    /// The first reason, in the order of [`EnvelopeError`].
    pub fn open<T: Payload>(
        &self,
        trusted: &[PublicKey],
        threshold: usize,
    ) -> Result<Verified<T>, EnvelopeError> {
        if self.payload_type != T::TYPE {
            let found = self.payload_type.chars().take(100).collect();
            return Err(EnvelopeError::WrongType { wanted: T::TYPE, found });
        }
        // Judged before decoding, so that a huge text costs nothing.
        if self.payload.len() > T::MAX_BYTES.div_ceil(3) * 4 {
            return Err(EnvelopeError::TooLarge { limit_bytes: T::MAX_BYTES });
        }
        let bytes = BASE64.decode(&self.payload).map_err(|_| EnvelopeError::Base64)?;
        if bytes.len() > T::MAX_BYTES {
            return Err(EnvelopeError::TooLarge { limit_bytes: T::MAX_BYTES });
        }
        if self.signatures.len() > MAX_SIGNATURES {
            return Err(EnvelopeError::TooManySignatures);
        }
        let valid = self.count_signers(&bytes, trusted)?;
        if threshold == 0 || valid < threshold {
            return Err(self.not_trusted(trusted, valid, threshold.max(1)));
        }
        Ok(Verified { value: parse(&bytes)?, digest: Sha256Digest::of(&bytes) })
    }

    /// Why the signatures do not count. Key ids are only believed for the choice of words.
    fn not_trusted(&self, trusted: &[PublicKey], valid: usize, wanted: usize) -> EnvelopeError {
        if valid > 0 {
            return EnvelopeError::NotEnough { valid, wanted };
        }
        if self.signatures.is_empty() {
            return EnvelopeError::Unsigned;
        }
        let named = |id: &str| trusted.iter().any(|key| key.fingerprint().to_string() == id);
        if self.signatures.iter().filter_map(|one| one.keyid.as_deref()).any(named) {
            EnvelopeError::Forged
        } else {
            EnvelopeError::WrongKey
        }
    }

    /// Counts different trusted keys, never key ids: those are not authenticated, and counting
    /// them let one key pass for two elsewhere (RUSTSEC-2020-0024).
    fn count_signers(&self, bytes: &[u8], trusted: &[PublicKey]) -> Result<usize, EnvelopeError> {
        let message = pre_authentication_encoding(&self.payload_type, bytes);
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let mut signers: Vec<PublicKey> = Vec::new();
        for signature in &self.signatures {
            let raw = BASE64.decode(&signature.sig).map_err(|_| EnvelopeError::Base64)?;
            if seen.contains(&raw) {
                return Err(EnvelopeError::DuplicateSignature);
            }
            if let Some(key) = trusted.iter().find(|key| key.verifies(&message, &raw)) {
                if signers.contains(key) {
                    return Err(EnvelopeError::SameKeyTwice);
                }
                signers.push(*key);
            }
            seen.push(raw);
        }
        Ok(signers.len())
    }

    /// Reads the payload WITHOUT believing it; only to learn which keys a self-signed document
    /// claims before it is opened with them, after its digest was found to be a pinned one.
    pub(crate) fn peek<T: Payload>(&self) -> Result<T, EnvelopeError> {
        if self.payload.len() > T::MAX_BYTES.div_ceil(3) * 4 {
            return Err(EnvelopeError::TooLarge { limit_bytes: T::MAX_BYTES });
        }
        let bytes = BASE64.decode(&self.payload).map_err(|_| EnvelopeError::Base64)?;
        parse(&bytes)
    }

    /// Length of the envelope's texts in bytes: what it takes up in an answer, but for a few braces.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        let signatures: usize = self
            .signatures
            .iter()
            .map(|signature| signature.sig.len() + signature.keyid.as_ref().map_or(0, String::len))
            .sum();
        self.payload_type.len() + self.payload.len() + signatures
    }

    /// Digest of the payload's bytes, believed or not: to match an envelope with a signed list.
    ///
    /// # Errors
    /// [`EnvelopeError::Base64`].
    pub fn payload_digest(&self) -> Result<Sha256Digest, EnvelopeError> {
        let bytes = BASE64.decode(&self.payload).map_err(|_| EnvelopeError::Base64)?;
        Ok(Sha256Digest::of(&bytes))
    }
}
