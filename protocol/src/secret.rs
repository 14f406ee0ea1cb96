//! Values that never print: passwords, tokens, keys.

use std::fmt;

use zeroize::Zeroizing;

/// A text that must not reach a log, an argument list or an error message.
///
/// It has no `Display` and no `Serialize`, its `Debug` prints `***`, and its memory is cleared on
/// drop. [`Secret::expose`] is the one way to the text, so that every use can be found.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Write it only to a 0600 file, a child's standard input or a cipher.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
