//! What settings accept, and how secrets are drawn.

use super::limits::SETTING_BYTES;
use super::model::{SecretSpec, SettingKind};
use crate::secret::Secret;

impl SettingKind {
    /// A value of this kind to show a blueprint with.
    #[must_use]
    pub const fn sample(self) -> &'static str {
        match self {
            Self::Text => "sample",
            Self::Int => "1",
            Self::Bool => "true",
            Self::Url => "https://sample.example.com",
        }
    }

    /// Checks a value. The answer completes the sentence "the value …".
    ///
    /// # Errors
    /// When the value is not of this kind, is too long, or holds a control character.
    pub fn check_value(self, value: &str) -> Result<(), &'static str> {
        check_env_value(value)?;
        match self {
            Self::Text => Ok(()),
            Self::Int => value
                .parse::<i64>()
                .map(|_| ())
                .map_err(|_| "must be a whole number, for example 25"),
            Self::Bool if value == "true" || value == "false" => Ok(()),
            Self::Bool => Err("must be true or false"),
            Self::Url => {
                let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
                let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
                let plain =
                    value.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&b));
                if plain && host.is_some_and(|host| !host.is_empty()) {
                    Ok(())
                } else {
                    Err("must be an absolute address, for example https://shop.example.com/start")
                }
            }
        }
    }
}

/// Refuses what no line of a `.env` can carry.
pub(crate) fn check_env_value(value: &str) -> Result<(), &'static str> {
    if value.len() > SETTING_BYTES {
        Err("is longer than 4096 bytes")
    } else if value.chars().any(char::is_control) {
        Err("holds a line break or another control character")
    } else {
        Ok(())
    }
}

impl SecretSpec {
    /// Draws a secret, every character equally likely. `next_byte` gives random bytes.
    ///
    /// Bytes that would favour the first characters of the alphabet are skipped, so `next_byte` is
    /// called a little more often than the secret is long. `None` when it keeps giving such bytes:
    /// then it is not random.
    pub fn draw(&self, mut next_byte: impl FnMut() -> u8) -> Option<Secret> {
        let characters = self.alphabet.characters();
        let fair = 256 - 256 % characters.len();
        let mut text = String::with_capacity(self.length.into());
        // A fair source skips less than a tenth; sixty-four times as many is never reached.
        for _ in 0..u32::from(self.length) * 64 {
            let byte = usize::from(next_byte());
            if byte < fair {
                text.push(char::from(characters[byte % characters.len()]));
            }
            if text.len() == usize::from(self.length) {
                return Some(Secret::new(text));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::model::Alphabet;

    #[test]
    fn settings_accept_their_kind_only() {
        use SettingKind::{Bool, Int, Text, Url};
        for (kind, value) in [
            (Text, ""),
            (Text, "a b $ ' \" \\ #"),
            (Int, "-5"),
            (Bool, "true"),
            (Url, "https://a.example/x?y=1"),
        ] {
            assert_eq!(kind.check_value(value), Ok(()), "{value:?}");
        }
        for (kind, value) in [
            (Text, "a\nb"),
            (Text, "a\0"),
            (Text, "\u{7f}"),
            (Int, ""),
            (Int, "1.5"),
            (Int, "1 "),
            (Bool, "yes"),
            (Url, "a.example"),
            (Url, "javascript:x"),
            (Url, "https://"),
            (Url, "https:///x"),
            (Url, "https://a b"),
        ] {
            assert!(kind.check_value(value).is_err(), "{value:?}");
        }
        assert!(Text.check_value(&"a".repeat(SETTING_BYTES + 1)).is_err());
    }

    #[test]
    fn secrets_have_their_length_and_alphabet() {
        for alphabet in [Alphabet::Alphanumeric, Alphabet::Hex, Alphabet::Base64Url] {
            let spec = SecretSpec { length: 128, alphabet };
            let mut byte = 0_u8;
            let secret = spec
                .draw(|| {
                    byte = byte.wrapping_add(97);
                    byte
                })
                .unwrap();
            assert_eq!(secret.expose().len(), 128);
            assert!(secret.expose().bytes().all(|b| alphabet.characters().contains(&b)));
        }
        assert!(SecretSpec::default().draw(|| 255).is_none());
    }
}
