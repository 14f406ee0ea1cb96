//! Parsers of arguments that several commands take.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use clap::ValueEnum;
use freehold_protocol::time::Timestamp;

use super::error::CliError;
use crate::exit::Exit;

const DAY_MILLIS: i64 = 86_400_000;

/// What a user or token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Look at everything but users, tokens and the audit log
    Viewer,
    /// Also publish blueprints; add, deploy, check and remove tenants; follow and cancel jobs
    Operator,
    /// Look, and approve what operators ask for
    Approver,
    /// Everything: hosts, users, tokens, keys, the audit log
    Owner,
}

impl Role {
    /// The spelling on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Owner => "owner",
        }
    }
}

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

/// A name and a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    /// Before the equals sign.
    pub(crate) name: String,
    /// After it.
    pub(crate) value: u64,
}

/// Reads `name=number`.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn count(text: &str) -> Result<Count, String> {
    let Pair { key, value } = pair(text)?;
    let value = value.parse().map_err(|_| "write NAME=N with a whole number N".to_owned())?;
    Ok(Count { name: key, value })
}

/// The counts as a map; a name that is given twice is an error.
///
/// # Errors
/// A usage error.
pub(crate) fn counts(counts: &[Count]) -> Result<BTreeMap<String, u64>, CliError> {
    let mut map = BTreeMap::new();
    for Count { name, value } in counts {
        if map.insert(name.clone(), *value).is_some() {
            return Err(CliError::new(Exit::Usage, format!("the limit {name} is given twice")));
        }
    }
    Ok(map)
}

/// Reads a day, of which the end is meant (UTC), or a time in RFC 3339.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let parse = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond());
    let day_end = || Some(parse(&format!("{text}T00:00:00Z"))? + DAY_MILLIS);
    parse(text).or_else(day_end).map(Timestamp::from_millis).ok_or_else(|| {
        "write a day such as 2027-12-31, or a time such as 2027-12-31T12:00:00Z".to_owned()
    })
}

/// A point in time, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// At this time.
    At(Timestamp),
    /// So many milliseconds ago.
    Ago(i64),
}

impl When {
    /// The point in time.
    pub(crate) const fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(millis) => now.plus_millis(-millis),
        }
    }
}

/// Reads a length of time back, a day, of which the start is meant (UTC), or a time in RFC 3339.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn since(text: &str) -> Result<When, String> {
    let parse = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond());
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: i64 = number.parse().ok().filter(|number| (0..=100_000).contains(number))?;
        let unit = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => DAY_MILLIS,
            _ => return None,
        };
        Some(When::Ago(number * unit))
    };
    let at = parse(text).or_else(|| parse(&format!("{text}T00:00:00Z")));
    at.map(|at| When::At(Timestamp::from_millis(at))).or_else(ago).ok_or_else(|| {
        "write a length of time such as 2h or 7d, a day such as 2026-11-28, or a time such as 2026-11-28T12:00:00Z"
            .to_owned()
    })
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
    fn counts_and_moments() {
        assert_eq!(count("jobs=5").unwrap(), Count { name: "jobs".into(), value: 5 });
        for bad in ["jobs", "jobs=", "jobs=-1", "jobs=x", "=1"] {
            assert!(count(bad).is_err(), "{bad}");
        }
        let twice = [count("a=1").unwrap(), count("a=2").unwrap()];
        assert!(counts(&twice).is_err());
        let day = 86_400_000;
        assert_eq!(moment("1970-01-01").unwrap(), Timestamp::from_millis(day));
        assert_eq!(moment("1970-01-01T12:00:00Z").unwrap(), Timestamp::from_millis(day / 2));
        assert_eq!(moment("1970-01-01T12:00:00+12:00").unwrap(), Timestamp::from_millis(0));
        for bad in ["", "tomorrow", "1970-13-01", "1970-01-01T12:00"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_has_one_value() {
        let set = [pair("a=1").unwrap(), pair("b=2").unwrap()];
        assert_eq!(map(&set, "label").unwrap().len(), 2);
        assert!(map(&[set[0].clone(), set[0].clone()], "label").is_err());
        assert_eq!(changes(&set, &["c".into()], "label").unwrap()["c"], None);
        assert!(changes(&set, &["a".into()], "label").is_err());
    }

    #[test]
    fn since_when() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let at = |text: &str| since(text).map(|when| when.at(now).as_millis());
        assert_eq!(at("2h"), Ok(1_790_000_000_000 - 7_200_000));
        assert_eq!(at("2026-11-28"), Ok(1_795_824_000_000));
        assert_eq!(at("2026-11-28T00:00:01Z"), Ok(1_795_824_001_000));
        for bad in ["", "h", "-1h", "2w", "yesterday", "1ü", "999999999d"] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }
}
