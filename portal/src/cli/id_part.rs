//! An identifier as a person types it: whole, or its start or end.

use std::{fmt::Display, str::FromStr};

use super::error::CliError;
use crate::exit::Exit;

/// Shortest part of an identifier that is looked up.
const MIN_PART: usize = 6;

/// An identifier or a part of one, as it is typed.
#[derive(Debug, Clone)]
pub(crate) struct IdPart(String);

/// Reads an identifier, or a start or end of at least six signs.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn id_part(text: &str) -> Result<IdPart, String> {
    let text = text.to_ascii_lowercase();
    let signs = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    if !signs || text.len() < MIN_PART {
        return Err(format!(
            "give the identifier, or at least {MIN_PART} signs of its start or end, as the list shows it"
        ));
    }
    Ok(IdPart(text))
}

impl IdPart {
    /// The identifier, if it was typed whole.
    pub(crate) fn whole<T: FromStr>(&self) -> Option<T> {
        self.0.parse().ok()
    }

    /// The one of `ids` that is meant; `noun` is what they identify.
    ///
    /// # Errors
    /// When none or several match; `hint` says where they are shown.
    pub(crate) fn pick<T: Display + Copy>(
        &self,
        ids: impl Iterator<Item = T>,
        noun: &str,
        hint: &str,
    ) -> Result<T, CliError> {
        let part = &self.0;
        let matching: Vec<T> = ids
            .filter(|id| {
                let id = id.to_string();
                id.starts_with(part) || id.ends_with(part)
            })
            .collect();
        match matching[..] {
            [id] => Ok(id),
            [] => Err(CliError::new(
                Exit::NotFound,
                format!("no {noun}'s identifier starts or ends with {part}"),
            )
            .hint(hint)),
            [first, second, ..] => Err(CliError::new(
                Exit::Usage,
                format!("{} {noun}s' identifiers start or end with {part}", matching.len()),
            )
            .hint(format!("give more of it; two of them are {first} and {second}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use freehold_protocol::ids::JobId;

    use super::*;

    #[test]
    fn a_part_names_one_thing() {
        let ids: Vec<JobId> = [
            "01890000-0000-7000-8000-00000000abcd",
            "01890000-0001-7000-8000-00000000abce",
            "01990000-0002-7000-8000-00000000abcf",
        ]
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
        let pick = |part: &str| id_part(part).unwrap().pick(ids.iter().copied(), "job", "look");
        assert_eq!(pick("00abce").unwrap(), ids[1]);
        assert_eq!(pick("019900").unwrap(), ids[2]);
        assert_eq!(pick("018900").unwrap_err().exit, Exit::Usage);
        assert_eq!(pick("ffffff").unwrap_err().exit, Exit::NotFound);
        assert_eq!(id_part(&ids[0].to_string()).unwrap().whole(), Some(ids[0]));
        assert_eq!(id_part("018900").unwrap().whole::<JobId>(), None);
    }

    #[test]
    fn parts_are_checked() {
        assert!(id_part("00ABCE").is_ok());
        for bad in ["", "abcde", "../../x", "zzzzzzz"] {
            assert!(id_part(bad).is_err(), "{bad}");
        }
    }
}
