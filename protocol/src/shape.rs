//! That what was read came as it would be written.
//!
//! serde takes a list for a struct, its fields by position, and an object of one for a word of a closed list. So one
//! signed text could be two things to two readers, and what a field means would hang on the order in which one version
//! declares them. It cannot be forbidden while reading: of a tagged enum, serde keeps the content back and reads it by
//! itself. Hence it is looked at afterwards, against what would be written.

use std::io;

use serde::{
    Serialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Error, Value};

/// Reads a document in which every object, list and text is where the type has it.
///
/// # Errors
/// As `serde_json`; and, with a JSON pointer between backticks, the first value of another kind than the type writes.
pub fn from_slice<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let read = serde_json::from_slice(bytes)?;
    check(&read, bytes)?;
    Ok(read)
}

/// Checks what was read from `bytes`.
///
/// # Errors
/// As [`from_slice`].
pub fn check<T: Serialize>(read: &T, bytes: &[u8]) -> Result<(), Error> {
    // Mostly it comes from a program like this one, which has written it so.
    let mut rest = Written(bytes);
    if serde_json::to_writer(&mut rest, read).is_ok() && rest.0.is_empty() {
        return Ok(());
    }
    let came: Value = serde_json::from_slice(bytes)?;
    match other_kind(&came, &serde_json::to_value(read)?) {
        None => Ok(()),
        Some((at, what)) => Err(Error::custom(format!("wrong type at `{at}`: {what}"))),
    }
}

/// Takes what is written as long as it is what stands here, which is used up.
struct Written<'a>(&'a [u8]);

impl io::Write for Written<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(part).ok_or(io::ErrorKind::InvalidData)?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a value is of another kind than what would be written, and how. What would not be written is not looked at:
/// it was not understood, or says nothing.
fn other_kind(came: &Value, written: &Value) -> Option<(String, String)> {
    let under = |step: String| move |(at, what)| (format!("/{step}{at}"), what);
    match (came, written) {
        (Value::Object(came), Value::Object(written)) => came.iter().find_map(|(key, came)| {
            let found = other_kind(came, written.get(key)?)?;
            Some(under(key.replace('~', "~0").replace('/', "~1"))(found))
        }),
        (Value::Array(came), Value::Array(written)) => {
            came.iter().zip(written).enumerate().find_map(|(index, (came, written))| {
                other_kind(came, written).map(under(index.to_string()))
            })
        }
        _ if kind(came) == kind(written) => None,
        _ => Some((String::new(), format!("{}, expected {}", kind(came), kind(written)))),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
