//! A work together with the text that says it.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::value::{RawValue, to_raw_value};

use crate::{ids::Sha256Digest, job::Work, shape};

/// A [`Work`] with the very bytes that it was read from. Those are kept, sent and signed: what was approved is a text,
/// and another version of the program, which would write the same work otherwise, must not make another of it.
#[derive(Clone)]
pub struct WrittenWork {
    work: Work,
    text: Box<RawValue>,
}

impl WrittenWork {
    /// The JSON, byte for byte.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get()
    }

    /// SHA-256 over [`Self::text`].
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.text().as_bytes())
    }

    /// The work without its text.
    #[must_use]
    pub fn into_work(self) -> Work {
        self.work
    }
}

impl Deref for WrittenWork {
    type Target = Work;
    fn deref(&self) -> &Work {
        &self.work
    }
}

/// Writes it as this version does.
impl From<Work> for WrittenWork {
    fn from(work: Work) -> Self {
        let text = to_raw_value(&work).expect("texts, numbers, lists and maps are always JSON");
        Self { work, text }
    }
}

impl PartialEq for WrittenWork {
    /// The same work in another order of its fields is another text.
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for WrittenWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.work.fmt(f)
    }
}

impl Serialize for WrittenWork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WrittenWork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let work = shape::from_slice(text.get().as_bytes()).map_err(|error| {
            // Its line and column count from where the work begins.
            let error = error.to_string();
            D::Error::custom(error.rsplit_once(" at line ").map_or(&*error, |(what, _)| what))
        })?;
        Ok(Self { work, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{ "params": {}, "kind": "probe_host" }"#;

    fn read(text: &str) -> Result<WrittenWork, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_was_read_is_written_byte_for_byte() {
        let written = read(&format!("\n {TEXT} ")).unwrap();
        assert_eq!(written.text(), TEXT);
        assert_eq!(written.digest(), Sha256Digest::of(TEXT.as_bytes()));
        assert_eq!(serde_json::to_string(&[&written]).unwrap(), format!("[{TEXT}]"));
        // The same work in other words.
        let other = WrittenWork::from(written.clone().into_work());
        assert_eq!(other.text(), r#"{"kind":"probe_host","params":{}}"#);
        assert_eq!(*other, *written);
        assert_ne!(other, written);
    }

    #[test]
    fn what_is_no_work_is_refused_with_what_is_wrong() {
        for (text, wrong) in [
            (r#"{"kind":"run_shell","params":{}}"#, "unknown variant `run_shell`"),
            (r#"{"kind":"probe_host","params":{"sudo":1}}"#, "unknown field `sudo`"),
            (r#"{"kind":"probe_host","kind":"probe_host","params":{}}"#, "duplicate field `kind`"),
            (r#"["probe_host",{}]"#, "wrong type at ``: a list"),
            (r#"{"params":[],"kind":"probe_host"}"#, "wrong type at `/params`: a list"),
            ("7", "invalid type"),
            ("{", "EOF"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(wrong), "{error}");
            assert!(error.matches(" at line ").count() < 2, "{error}");
        }
    }
}
