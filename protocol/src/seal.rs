//! Sealing a secret to one key: HPKE (RFC 9180), base mode, X25519-HKDF-SHA256 with
//! ChaCha20-Poly1305. The text goes to exactly one purpose: `context` is authenticated with it.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305,
    kdf::HkdfSha256, kem::X25519HkdfSha256,
};
use zeroize::Zeroizing;

use crate::{
    ids::{AgentId, JobId, PortalId, TenantId},
    keys::SealPublicKey,
    secret::Secret,
};

type Kem = X25519HkdfSha256;
const INFO: &[u8] = b"freehold/v1/seal";
/// First byte of every sealed text; another value will name another algorithm.
const ALGORITHM: u8 = 1;
const ENCAPSULATED_BYTES: usize = 32;

/// What a sealed text is for. Opening with another context fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealContext {
    /// The temporary password of a tenant's first admin, from agent to portal.
    TenantPassword {
        /// The portal that may open it.
        portal: PortalId,
        /// The agent that made it.
        agent: AgentId,
        /// The tenant that it is for.
        tenant: TenantId,
        /// The deploy that made it.
        job: JobId,
    },
    /// What a tenant's app is given, from portal to agent.
    AppEnv {
        /// The portal that sealed it.
        portal: PortalId,
        /// The agent that may open it.
        agent: AgentId,
        /// The tenant that it is for.
        tenant: TenantId,
        /// The job that brings it.
        job: JobId,
        /// The attempt.
        attempt: u32,
    },
}

impl SealContext {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::TenantPassword { portal, agent, tenant, job } => {
                format!("tenant-password|{portal}|{agent}|{tenant}|{job}").into_bytes()
            }
            Self::AppEnv { portal, agent, tenant, job, attempt } => {
                format!("app-env|{portal}|{agent}|{tenant}|{job}|{attempt}").into_bytes()
            }
        }
    }
}

/// Why something was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not an X25519 key.
    #[error("the sealing key is not usable")]
    Key,
    /// The text is not one that was sealed to this key for this context.
    #[error("the sealed text does not open with this key and context")]
    Open,
}

/// An X25519 private key.
pub struct SealKey(<Kem as hpke::Kem>::PrivateKey);

impl SealKey {
    /// From 32 random bytes.
    ///
    /// # Errors
    /// [`SealError::Key`] never in practice; the decoder is fallible by type.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SealError> {
        <Kem as hpke::Kem>::PrivateKey::from_bytes(bytes).map(Self).map_err(|_| SealError::Key)
    }

    /// The 32 bytes in base64, for a 0600 file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(Zeroizing::new(self.0.to_bytes().to_vec())))
    }

    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// [`SealError::Key`] when it is anything else.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| SealError::Key)?);
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| SealError::Key)?;
        Self::from_bytes(bytes)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SealPublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&Kem::sk_to_pk(&self.0).to_bytes());
        SealPublicKey::from_bytes(bytes)
    }

    /// Opens a text that was sealed to this key for this context.
    ///
    /// # Errors
    /// [`SealError::Open`].
    pub fn open(&self, context: &SealContext, sealed: &str) -> Result<Secret, SealError> {
        let bytes = BASE64.decode(sealed).map_err(|_| SealError::Open)?;
        let (algorithm, rest) = bytes.split_first().ok_or(SealError::Open)?;
        if *algorithm != ALGORITHM || rest.len() < ENCAPSULATED_BYTES {
            return Err(SealError::Open);
        }
        let (encapsulated, ciphertext) = rest.split_at(ENCAPSULATED_BYTES);
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| SealError::Open)?;
        let plain = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            INFO,
            ciphertext,
            &context.bytes(),
        )
        .map_err(|_| SealError::Open)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| SealError::Open)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.public().fingerprint())
    }
}

/// Seals a secret to a key for a context; base64.
///
/// # Errors
/// [`SealError::Key`] when the key is not usable.
pub fn seal(
    to: &SealPublicKey,
    context: &SealContext,
    secret: &Secret,
) -> Result<String, SealError> {
    let to =
        <Kem as hpke::Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| SealError::Key)?;
    let (encapsulated, ciphertext) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeS::Base,
        &to,
        INFO,
        secret.expose().as_bytes(),
        &context.bytes(),
    )
    .map_err(|_| SealError::Key)?;
    let mut bytes = vec![ALGORITHM];
    bytes.extend_from_slice(&encapsulated.to_bytes());
    bytes.extend_from_slice(&ciphertext);
    Ok(BASE64.encode(bytes))
}
