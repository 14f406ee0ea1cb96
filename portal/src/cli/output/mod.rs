//! What commands print: tables and fields for people, JSON for programs.

mod fields;
mod table;
mod terminal;
mod when;

pub(crate) use fields::Fields;
pub(crate) use table::Table;
pub(crate) use terminal::{Paint, Terminal, read_password, read_secret};
pub(crate) use when::{age, duration, moment};

/// One line without control characters: host names, messages and outputs of hosts and apps are
/// shown, and must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            let steers = c.is_control()
                // Overrides and isolates of the writing direction, which make text read otherwise.
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            match c {
                '\t' => ' ',
                _ if steers => '\u{fffd}',
                _ => c,
            }
        })
        .collect()
}

/// The start of a text that fits into `width` characters, with a mark where it was cut.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// The end of an identifier that tables show: the random part, which one click selects.
pub(crate) fn short_id(id: impl std::fmt::Display) -> String {
    let text = id.to_string();
    text.rsplit('-').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_does_not_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}]0;x\u{7}b\tc\rd"), "a\u{fffd}]0;x\u{fffd}b c\u{fffd}d");
        assert_eq!(clean("a\u{202e}b"), "a\u{fffd}b");
        assert_eq!(clean("Größe ✓"), "Größe ✓");
    }

    #[test]
    fn texts_are_cut_with_a_mark() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("äöüß", 2), "ä…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn the_random_part_of_an_identifier_is_shown() {
        assert_eq!(short_id("01890000-0000-7000-8000-00000000abcd"), "00000000abcd");
    }
}
