//! Tokens that people carry: 30 random base62 characters (178 bits) and a checksum.
//!
//! The shape is that of GitHub's tokens: a prefix that secret scanners know, and a CRC-32 of all
//! before it, so that a mistyped token is refused without a look at the database.

use freehold_protocol::secret::Secret;

use super::KeyError;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 30;
const CHECKSUM_CHARS: usize = 6;

/// Fills an array with random bytes from the operating system.
///
/// # Errors
/// [`KeyError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::Random { reason: error.to_string() })?;
    Ok(bytes)
}

/// Draws a token: `PREFIX_` + 30 random characters + 6 of checksum.
///
/// # Errors
/// [`KeyError::Random`].
pub fn token(prefix: &str) -> Result<Secret, KeyError> {
    let mut text = format!("{prefix}_");
    let wanted = text.len() + RANDOM_CHARS;
    while text.len() < wanted {
        for byte in random::<32>()? {
            // 248 is the largest multiple of 62 in a byte: what is above would favour some letters.
            if byte < 248 && text.len() < wanted {
                text.push(char::from(ALPHABET[usize::from(byte % 62)]));
            }
        }
    }
    let checksum = checksum(&text);
    text.push_str(&checksum);
    Ok(Secret::new(text))
}

/// Whether a text has a token's shape and checksum under this prefix.
#[must_use]
pub fn is_token(prefix: &str, text: &str) -> bool {
    text.is_ascii()
        && text.len() == prefix.len() + 1 + RANDOM_CHARS + CHECKSUM_CHARS
        && text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_'))
        && checksum(&text[..text.len() - CHECKSUM_CHARS]) == text[text.len() - CHECKSUM_CHARS..]
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_shape_and_a_mistyped_one_is_refused() {
        let token = token("fhk_live").unwrap();
        let text = token.expose();
        assert_eq!(text.len(), "fhk_live_".len() + 36);
        assert!(is_token("fhk_live", text));
        assert!(!is_token("fhl_live", text));
        let mut wrong = text.to_owned();
        let last = if wrong.ends_with('a') { 'b' } else { 'a' };
        wrong.pop();
        wrong.push(last);
        assert!(!is_token("fhk_live", &wrong));
        for bad in ["", "fhk_live", "fhk_live_", "fhk_live_ä"] {
            assert!(!is_token("fhk_live", bad), "{bad}");
        }
    }
}
