//! Keys as values: Ed25519 for signatures, X25519 for sealing.
//!
//! Private keys have no `Debug` that shows them and no `Serialize`. They are stored as PKCS#8 v1
//! PEM, which OpenSSL reads too (version 2, with the public key inside, it does not).

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{
    Signer, VerifyingKey,
    pkcs8::{
        DecodePrivateKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
        spki::der::pem::LineEnding,
    },
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{ParseIdError, Sha256Digest};

/// Why a key file was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not a PKCS#8 Ed25519 private key in PEM.
    #[error("not an Ed25519 private key in PKCS#8 PEM form")]
    Pem,
}

/// An Ed25519 private key.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a PKCS#8 PEM file's text.
    ///
    /// # Errors
    /// [`KeyError::Pem`] when it is anything else.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|_| KeyError::Pem)
    }

    /// The text of its PKCS#8 v1 PEM file.
    ///
    /// # Errors
    /// [`KeyError::Pem`] never in practice; the encoder is fallible by type.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        KeypairBytes { secret_key: self.0.to_bytes(), public_key: None }
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::Pem)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs some bytes (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().fingerprint())
    }
}

/// An Ed25519 public key; base64 of its 32 bytes on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// SHA-256 over the DER SubjectPublicKeyInfo: what
    /// `openssl pkey -pubin -outform DER | sha256sum` prints.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Digest {
        // The SPKI of an Ed25519 key is a fixed prefix (RFC 8410, section 4) and the 32 bytes.
        const PREFIX: [u8; 12] =
            [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let mut der = Vec::with_capacity(44);
        der.extend_from_slice(&PREFIX);
        der.extend_from_slice(self.0.as_bytes());
        Sha256Digest::of(&der)
    }

    /// The key as a PEM file's text, for people and OpenSSL.
    ///
    /// # Errors
    /// [`KeyError::Pem`] never in practice; the encoder is fallible by type.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Pem)
    }

    /// Whether the signature is this key's over exactly these bytes. Strict: small-order points
    /// are refused.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused =
            || ParseIdError::new("public key", "use the base64 of a 32-byte Ed25519 key", text);
        let bytes: [u8; 32] =
            BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(refused)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| refused())?;
        if key.is_weak() {
            return Err(refused());
        }
        Ok(Self(key))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = ParseIdError;
    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

/// An X25519 public key to seal to; base64 of its 32 bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealPublicKey([u8; 32]);

impl SealPublicKey {
    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// SHA-256 of the 32 bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Digest {
        Sha256Digest::of(&self.0)
    }
}

impl TryFrom<String> for SealPublicKey {
    type Error = ParseIdError;
    fn try_from(text: String) -> Result<Self, ParseIdError> {
        BASE64.decode(&text).ok().and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(
            || ParseIdError::new("sealing key", "use the base64 of a 32-byte X25519 key", &text),
        )
    }
}

impl From<SealPublicKey> for String {
    fn from(key: SealPublicKey) -> String {
        BASE64.encode(key.0)
    }
}
