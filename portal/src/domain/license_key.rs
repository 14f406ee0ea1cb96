//! License keys: what a customer types once and an app sends with every question.
//!
//! `FHL-` and 25 characters of Crockford's base 32 in five groups: 23 random ones (115 bits) and two
//! of checksum, so that a mistyped key is told apart from an unknown one without a look anywhere.
//! Upper and lower case, `O` for `0` and `I` or `L` for `1` are all the same key.

use std::fmt;

use subtle::ConstantTimeEq;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX: &str = "FHL";
/// Characters of a key without prefix and hyphens.
pub const KEY_CHARS: usize = 25;
/// Random characters of it.
pub const RANDOM_CHARS: usize = 23;
const GROUP: usize = 5;
/// The largest prime below 1024, which is what two characters hold. Prime, so that one wrong
/// character and two swapped neighbours always change the checksum.
const MODULUS: u32 = 1021;
/// What each byte counts for; [`NOTHING`] for one that no key has.
const VALUES: [u8; 256] = values();
const NOTHING: u8 = 255;
/// Longest text that is looked at: a key with its hyphens, and some spaces around it.
pub const MAX_TEXT_BYTES: usize = 64;

/// A whole license key in its one spelling. It is a secret: it has no `Debug` that shows it.
#[derive(Clone)]
pub struct LicenseKey([u8; KEY_CHARS]);

/// The text is no license key: mistyped, cut off, or something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl LicenseKey {
    /// Makes a key of random numbers, of each of which the low five bits count.
    #[must_use]
    pub fn from_random(random: &[u8; RANDOM_CHARS]) -> Self {
        let mut key = [0; KEY_CHARS];
        for (place, byte) in key.iter_mut().zip(random) {
            *place = ALPHABET[usize::from(byte & 31)];
        }
        let check = checksum(&key);
        key[RANDOM_CHARS..].copy_from_slice(&check);
        Self(key)
    }

    /// Reads what somebody typed or an app sent.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.trim().as_bytes();
        if text.len() > MAX_TEXT_BYTES {
            return Err(Malformed);
        }
        let (prefix, rest) = text.split_at_checked(PREFIX.len()).ok_or(Malformed)?;
        if !prefix.eq_ignore_ascii_case(PREFIX.as_bytes()) {
            return Err(Malformed);
        }
        let mut key = [0; KEY_CHARS];
        let mut places = key.iter_mut();
        for byte in rest.iter().filter(|byte| **byte != b'-') {
            *places.next().ok_or(Malformed)? = match VALUES[usize::from(*byte)] {
                NOTHING => return Err(Malformed),
                value => ALPHABET[usize::from(value)],
            };
        }
        if places.next().is_some() || !bool::from(checksum(&key).ct_eq(&key[RANDOM_CHARS..])) {
            return Err(Malformed);
        }
        Ok(Self(key))
    }

    /// The bytes to hash: the 25 characters.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_CHARS] {
        &self.0
    }

    /// The key as it is shown to its owner.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = PREFIX.to_owned();
        for group in self.0.chunks(GROUP) {
            text.push('-');
            text.extend(group.iter().map(|byte| char::from(*byte)));
        }
        text
    }

    /// Its start, to know it again.
    #[must_use]
    pub fn hint(&self) -> String {
        let text = self.to_text();
        format!("{}-…", &text[..PREFIX.len() + 1 + GROUP])
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LicenseKey(***)")
    }
}

const fn values() -> [u8; 256] {
    let mut values = [NOTHING; 256];
    let mut n = 0;
    while n < 32 {
        values[ALPHABET[n as usize] as usize] = n;
        values[ALPHABET[n as usize].to_ascii_lowercase() as usize] = n;
        n += 1;
    }
    values[b'O' as usize] = 0;
    values[b'o' as usize] = 0;
    values[b'I' as usize] = 1;
    values[b'i' as usize] = 1;
    values[b'L' as usize] = 1;
    values[b'l' as usize] = 1;
    values
}

fn checksum(key: &[u8; KEY_CHARS]) -> [u8; 2] {
    let add = |sum: u32, byte: &u8| (sum * 32 + u32::from(VALUES[usize::from(*byte)])) % MODULUS;
    let sum = key[..RANDOM_CHARS].iter().fold(0, add) as usize;
    [ALPHABET[sum / 32], ALPHABET[sum % 32]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> LicenseKey {
        let mut random = [0; RANDOM_CHARS];
        for (n, byte) in (0u8..).zip(random.iter_mut()) {
            *byte = seed.wrapping_mul(31).wrapping_add(n.wrapping_mul(7));
        }
        LicenseKey::from_random(&random)
    }

    #[test]
    fn a_key_has_its_shape_and_is_read_as_people_write_it() {
        let key = key(3);
        let text = key.to_text();
        assert_eq!(text.len(), 4 + 25 + 4);
        assert!(text.starts_with("FHL-") && text.split('-').skip(1).all(|group| group.len() == 5));
        for written in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            format!("  {text}\n"),
            text.replace('0', "o").replace('1', "l"),
        ] {
            assert_eq!(
                LicenseKey::parse(&written).unwrap().as_bytes(),
                key.as_bytes(),
                "{written}"
            );
        }
        assert!(!format!("{key:?}").contains(&text[4..9]));
        assert_eq!(key.hint(), format!("{}-…", &text[..9]));
    }

    #[test]
    fn what_is_no_key_is_malformed() {
        let text = key(9).to_text();
        let long = format!("{text}{}", "-".repeat(64));
        for bad in [
            "",
            "FHL",
            "FHL-",
            "FHK-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA",
            &text[..text.len() - 1],
            &format!("{text}A"),
            &text.replace('-', "_"),
            &text[4..],
            "FHL-ÄÄÄÄÄ-AAAAA-AAAAA-AAAAA-AAAAA",
            "äöü",
            &long,
        ] {
            assert_eq!(LicenseKey::parse(bad).unwrap_err(), Malformed, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_character_and_two_swapped_ones_are_always_seen(
            seed: u8,
            place in 0usize..KEY_CHARS,
            other in 0usize..KEY_CHARS,
            letter in 0usize..32,
        ) {
            let key = key(seed);
            let text = String::from_utf8(key.as_bytes().to_vec()).unwrap();
            let mut wrong = text.clone().into_bytes();
            wrong[place] = ALPHABET[letter];
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assert_eq!(LicenseKey::parse(&format!("FHL{wrong}")).is_ok(), wrong == text);
            let mut swapped = text.clone().into_bytes();
            swapped.swap(place, other);
            let swapped = String::from_utf8(swapped).unwrap();
            // Between the body and the checksum a swap may cancel out.
            if place < RANDOM_CHARS && other < RANDOM_CHARS {
                prop_assert_eq!(LicenseKey::parse(&format!("FHL{swapped}")).is_ok(), swapped == text);
            }
        }
    }
}
