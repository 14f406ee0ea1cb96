//! Secrets at rest: XChaCha20-Poly1305 under subkeys of the master key.
//!
//! The associated data names table, column, row, tenant and version, so that a blob that is moved
//! to another row, or an old one that is put back, does not open.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use freehold_protocol::secret::Secret;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KeyError, mint};

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Where a sealed value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's identifier.
    pub row: &'a str,
    /// The tenant that the value belongs to, or empty.
    pub tenant: &'a str,
    /// Rises when the value is replaced by another one; 1 for values that never are.
    pub version: u64,
}

/// The master key. It encrypts nothing itself; every purpose has a subkey.
pub struct MasterKey {
    bytes: Zeroizing<[u8; 32]>,
    id: [u8; KEY_ID_BYTES],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl MasterKey {
    /// Draws a new one.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn fresh() -> Result<Self, KeyError> {
        Ok(Self::from_bytes(Zeroizing::new(mint::random()?)))
    }

    fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let digest = Sha256::digest(bytes.as_slice());
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { bytes, id }
    }

    /// Reads the base64 of 32 bytes; `None` when it is anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let raw = Zeroizing::new(BASE64.decode(text.trim()).ok()?);
        let mut bytes = Zeroizing::new([0; 32]);
        if raw.len() != bytes.len() {
            return None;
        }
        bytes.copy_from_slice(&raw);
        Some(Self::from_bytes(bytes))
    }

    /// The base64 of its bytes, for its file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.bytes.as_slice()))
    }

    /// A public name for the key: the first 8 hex digits of its digest.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The subkey for a purpose (HKDF-SHA256), for example `freehold/v1/api-key-hmac`.
    #[must_use]
    pub fn subkey(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut subkey = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.bytes.as_slice())
            .expand(purpose.as_bytes(), subkey.as_mut_slice())
            .expect("32 bytes are less than HKDF's limit of 255 blocks");
        subkey
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.subkey("freehold/v1/db-secret")).into())
    }

    fn associated(&self, place: &Place<'_>) -> String {
        let Place { table, column, row, tenant, version } = place;
        format!("freehold.secret.v1|{}|{table}|{column}|{row}|{tenant}|{version}", self.id())
    }

    /// Seals a secret for one place.
    ///
    /// # Errors
    /// [`KeyError::Random`] or [`KeyError::Seal`].
    pub fn seal(&self, place: &Place<'_>, secret: &Secret) -> Result<Vec<u8>, KeyError> {
        let nonce: [u8; NONCE_BYTES] = mint::random()?;
        let aad = self.associated(place);
        let message = Payload { msg: secret.expose().as_bytes(), aad: aad.as_bytes() };
        let sealed =
            self.cipher().encrypt(&XNonce::from(nonce), message).map_err(|_| KeyError::Seal)?;
        let mut blob = Vec::with_capacity(HEADER_BYTES + sealed.len());
        blob.push(VERSION);
        blob.extend_from_slice(&self.id);
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&sealed);
        Ok(blob)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`KeyError::OtherMaster`] when another master key sealed it, else [`KeyError::Open`].
    pub fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Secret, KeyError> {
        if blob.len() < HEADER_BYTES || blob[0] != VERSION {
            return Err(KeyError::Open);
        }
        if blob[1..=KEY_ID_BYTES] != self.id {
            return Err(KeyError::OtherMaster);
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&blob[1 + KEY_ID_BYTES..HEADER_BYTES]);
        let aad = self.associated(place);
        let message = Payload { msg: &blob[HEADER_BYTES..], aad: aad.as_bytes() };
        let plain =
            self.cipher().decrypt(&XNonce::from(nonce), message).map_err(|_| KeyError::Open)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| KeyError::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> =
        Place { table: "tenants", column: "credentials_sealed", row: "1", tenant: "1", version: 1 };

    #[test]
    fn opens_only_in_its_place_and_with_its_key() {
        let key = MasterKey::fresh().unwrap();
        let blob = key.seal(&PLACE, &Secret::new("hunter2".into())).unwrap();
        assert_eq!(key.open(&PLACE, &blob).unwrap().expose(), "hunter2");
        let moved = [
            Place { table: "hosts", ..PLACE },
            Place { column: "x", ..PLACE },
            Place { row: "2", ..PLACE },
            Place { tenant: "2", ..PLACE },
            Place { version: 2, ..PLACE },
        ];
        for place in moved {
            assert!(matches!(key.open(&place, &blob), Err(KeyError::Open)), "{place:?}");
        }
        let other = MasterKey::fresh().unwrap();
        assert!(matches!(other.open(&PLACE, &blob), Err(KeyError::OtherMaster)));
        for cut in [0, 1, 28, blob.len() - 1] {
            assert!(key.open(&PLACE, &blob[..cut]).is_err());
        }
        let again = MasterKey::from_text(&key.to_text()).unwrap();
        assert_eq!(again.open(&PLACE, &blob).unwrap().expose(), "hunter2");
        assert!(!blob.windows(7).any(|part| part == b"hunter2"));
    }
}
