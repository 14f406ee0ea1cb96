//! Parsers of arguments that several commands take.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::error::CliError;
use crate::exit::Exit;

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Before the equals sign.
    pub(crate) key: String,
    /// After it.
    pub(crate) value: String,
}

/// Reads `key=value`.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            Ok(Pair { key: key.to_owned(), value: value.to_owned() })
        }
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// The pairs as a map; a key that is given twice is an error.
///
/// # Errors
/// A usage error.
pub(crate) fn map(pairs: &[Pair], what: &str) -> Result<BTreeMap<String, String>, CliError> {
    let mut map = BTreeMap::new();
    for Pair { key, value } in pairs {
        if map.insert(key.clone(), value.clone()).is_some() {
            return Err(CliError::new(Exit::Usage, format!("the {what} {key} is given twice")));
        }
    }
    Ok(map)
}

/// Changes of a map: pairs that are set and keys that are taken away.
///
/// # Errors
/// A usage error when a key stands in both.
pub(crate) fn changes(
    set: &[Pair],
    unset: &[String],
    what: &str,
) -> Result<BTreeMap<String, Option<String>>, CliError> {
    let mut changes: BTreeMap<String, Option<String>> =
        map(set, what)?.into_iter().map(|(key, value)| (key, Some(value))).collect();
    for key in unset {
        if changes.insert(key.clone(), None).is_some_and(|value| value.is_some()) {
            return Err(CliError::new(
                Exit::Usage,
                format!("the {what} {key} is both set and taken away"),
            ));
        }
    }
    Ok(changes)
}

/// Reads a text file, or standard input for `-`.
///
/// # Errors
/// When it cannot be read, is not text or is larger than `limit` bytes.
pub(crate) fn read_text(file: &Path, limit: usize) -> Result<String, CliError> {
    let refused = |error: &io::Error| {
        CliError::new(Exit::Failed, format!("cannot read {}", file.display())).because(error)
    };
    let mut text = String::new();
    let most = limit as u64 + 1;
    let read = if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|opened| opened.take(most).read_to_string(&mut text))
    };
    read.map_err(|error| refused(&error))?;
    if text.len() > limit {
        return Err(CliError::new(
            Exit::Failed,
            format!("{} is larger than {limit} bytes", file.display()),
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        assert_eq!(pair("a=b=c").unwrap(), Pair { key: "a".into(), value: "b=c".into() });
        assert_eq!(pair("a=").unwrap().value, "");
        assert!(pair("a").is_err());
        assert!(pair("=b").is_err());
    }

    #[test]
    fn a_key_has_one_value() {
        let set = [pair("a=1").unwrap(), pair("b=2").unwrap()];
        assert_eq!(map(&set, "label").unwrap().len(), 2);
        assert!(map(&[set[0].clone(), set[0].clone()], "label").is_err());
        assert_eq!(changes(&set, &["c".into()], "label").unwrap()["c"], None);
        assert!(changes(&set, &["a".into()], "label").is_err());
    }
}
