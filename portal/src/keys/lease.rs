//! The keys that sign leases: `lease.pem`, apart from all that agents trust.
//!
//! One file, so that a rotation is one rename: the key that signs, the one that will sign after the
//! next rotation (published beforehand, so that apps that keep the key set need not fetch it again),
//! and the public half of the one before, whose leases may still be out.

use std::fmt;

use freehold_protocol::keys::{PublicKey, SigningKey};
use zeroize::Zeroizing;

use super::{KeyError, Rotation, folder::Folder, mint};

/// The file.
pub(super) const FILE: &str = "lease.pem";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PREVIOUS: &str = "previous: ";
const HEAD: &str =
    "Freehold's lease keys: the first signs leases, the second will after the next rotation.\n";
const WANTED: &str = "two Ed25519 private keys in PKCS#8 PEM form";

/// The lease keys at one moment.
pub struct LeaseKeys {
    current: SigningKey,
    next: SigningKey,
    previous: Option<PublicKey>,
    current_id: String,
}

impl fmt::Debug for LeaseKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseKeys({})", self.current_id)
    }
}

impl LeaseKeys {
    fn new(current: SigningKey, next: SigningKey, previous: Option<PublicKey>) -> Self {
        let current_id = key_id(&current.public());
        Self { current, next, previous, current_id }
    }

    /// The key that signs.
    #[must_use]
    pub const fn current(&self) -> &SigningKey {
        &self.current
    }

    /// Its name in the key set.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current_id
    }

    /// Everything that the key set holds, the key that signs first.
    #[must_use]
    pub fn published(&self) -> Vec<PublicKey> {
        let mut keys = vec![self.current.public(), self.next.public()];
        keys.extend(self.previous);
        keys
    }

    fn draw() -> Result<Self, KeyError> {
        Ok(Self::new(fresh()?, fresh()?, None))
    }

    fn to_text(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = |key: &SigningKey| key.to_pem().map_err(|_| KeyError::Sign);
        let mut text = Zeroizing::new(HEAD.to_owned());
        if let Some(previous) = &self.previous {
            text.push_str(&format!("{PREVIOUS}{previous}\n"));
        }
        text.push_str(&pem(&self.current)?);
        text.push_str(&pem(&self.next)?);
        Ok(text)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(BEGIN);
        let head = parts.next()?;
        let previous = head
            .lines()
            .find_map(|line| line.strip_prefix(PREVIOUS))
            .map(|key| key.trim().parse().ok())
            .map_or(Some(None), |key: Option<PublicKey>| key.map(Some))?;
        let mut key =
            || SigningKey::from_pem(&Zeroizing::new(format!("{BEGIN}{}", parts.next()?))).ok();
        let (current, next) = (key()?, key()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self::new(current, next, previous))
    }
}

/// The name of a key in a key set: the first 16 hex digits of its fingerprint.
#[must_use]
pub fn key_id(key: &PublicKey) -> String {
    key.fingerprint().to_string().chars().take(16).collect()
}

fn fresh() -> Result<SigningKey, KeyError> {
    Ok(SigningKey::from_seed(&Zeroizing::new(mint::random()?)))
}

/// Draws the keys where there never were any: at the first start of this version. Keys that the
/// database knows of and that are not there are lost.
pub(super) fn ensure(folder: &Folder, known: bool) -> Result<(), KeyError> {
    if folder.read(FILE)?.is_some() {
        return Ok(());
    }
    if known {
        return Err(KeyError::Missing { path: folder.shown(FILE) });
    }
    folder.write(FILE, &LeaseKeys::draw()?.to_text()?)
}

/// Reads the keys.
pub(super) fn load(folder: &Folder) -> Result<LeaseKeys, KeyError> {
    let text = folder.read(FILE)?.ok_or_else(|| KeyError::Missing { path: folder.shown(FILE) })?;
    LeaseKeys::from_text(&text)
        .ok_or_else(|| KeyError::Malformed { path: folder.shown(FILE), wanted: WANTED })
}

/// Writes the keys that follow on the ones there. By routine the next one moves up; when the keys
/// may be in other hands, both are drawn anew, for they lay in the same file, and none is left listed.
pub(super) fn rotate(folder: &Folder, rotation: Rotation) -> Result<(), KeyError> {
    let held = load(folder)?;
    if folder.is_credential(FILE) {
        // What is written to the folder would not be read again.
        return Err(KeyError::Credential { path: folder.shown(FILE) });
    }
    let following = match rotation {
        Rotation::Routine => {
            let previous = Some(held.current.public());
            LeaseKeys::new(held.next, fresh()?, previous)
        }
        Rotation::Compromised => LeaseKeys::draw()?,
    };
    folder.write(FILE, &following.to_text()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_back_and_nothing_else_is_taken_for_it() {
        let drawn = LeaseKeys::draw().unwrap();
        let text = drawn.to_text().unwrap();
        assert_eq!(LeaseKeys::from_text(&text).unwrap().published(), drawn.published());
        let rotated = LeaseKeys::new(
            LeaseKeys::draw().unwrap().next,
            fresh().unwrap(),
            Some(drawn.current.public()),
        );
        let again = LeaseKeys::from_text(&rotated.to_text().unwrap()).unwrap();
        assert_eq!(again.published(), rotated.published());
        assert_eq!(again.published().len(), 3);
        let one = drawn.current.to_pem().unwrap();
        for bad in [
            "",
            &*one,
            &format!("{}{}", *text, *one),
            &format!("{PREVIOUS}nonsense\n{}", *text),
            &text[..text.len() - 30],
        ] {
            assert!(LeaseKeys::from_text(bad).is_none(), "{bad}");
        }
        assert!(!format!("{drawn:?}").contains(&one[40..60]));
    }
}
