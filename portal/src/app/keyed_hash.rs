//! Keyed hashes (HMAC-SHA256 under a subkey of the master key) under which secrets that people and
//! apps carry are stored. Keyed, so that somebody who can write to the database still cannot make one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::keys::MasterKey;

/// A hash for one purpose, with its key already taken in.
#[derive(Clone)]
pub struct Keyed(Hmac<Sha256>);

impl Keyed {
    /// The hash for a purpose, such as `freehold/v1/tenant-key-hmac`.
    #[must_use]
    pub fn new(master: &MasterKey, purpose: &str) -> Self {
        let key = master.subkey(purpose);
        Self(Hmac::new_from_slice(key.as_slice()).expect("HMAC takes any length"))
    }

    /// Hashes a secret.
    #[must_use]
    pub fn hash(&self, secret: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(secret);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}

/// The hash as the database has it: lower-case hex.
#[must_use]
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads [`hex`] back; `None` when it is something else.
#[must_use]
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *place = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_key_purpose_and_secret() {
        let (one, other) = (MasterKey::fresh().unwrap(), MasterKey::fresh().unwrap());
        let hash = Keyed::new(&one, "a").hash(b"secret");
        assert_eq!(hash, Keyed::new(&one, "a").hash(b"secret"));
        for different in [
            Keyed::new(&one, "a").hash(b"secreT"),
            Keyed::new(&one, "b").hash(b"secret"),
            Keyed::new(&other, "a").hash(b"secret"),
        ] {
            assert_ne!(hash, different);
        }
        assert_eq!(from_hex(&hex(&hash)), Some(hash));
        for bad in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}
