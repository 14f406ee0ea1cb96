//! Compose's short notations: sizes, durations, processors, command lines.

/// `512m`, `1gb`, `1073741824` → MiB. `None` when it is not a whole number of MiB above zero.
pub(super) fn mebibytes(text: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
    let whole = bytes % (1 << 20) == 0 && bytes > 0;
    whole.then(|| u32::try_from(bytes >> 20).ok()).flatten()
}

/// `10s`, `1m30s`, `500ms`, `2h` → milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<u32> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let factor = match &rest[..end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = &rest[end..];
    }
    u32::try_from(total).ok()
}

/// `1`, `0.5`, `1.25` → thousandths.
pub(super) fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits_only = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits_only(whole) || !digits_only(fraction) || fraction.len() > 3 {
        return None;
    }
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(fraction)
}

/// A command line → words, by the quoting rules of a shell and without its expansions, as Compose
/// splits it. `None` when a quote or backslash is left open.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_durations_processors() {
        assert_eq!(mebibytes("512m"), Some(512));
        assert_eq!(mebibytes("1GB"), Some(1024));
        assert_eq!(mebibytes("1073741824"), Some(1024));
        for bad in ["", "m", "1.5g", "1000", "-1m", "1t", "0", "99999999999g"] {
            assert_eq!(mebibytes(bad), None, "{bad:?}");
        }
        assert_eq!(milliseconds("1m30s"), Some(90_000));
        assert_eq!(milliseconds("500ms"), Some(500));
        for bad in ["", "10", "s", "1.5s", "1d", "99999999h", "10 s"] {
            assert_eq!(milliseconds(bad), None, "{bad:?}");
        }
        assert_eq!(thousandths("0.5"), Some(500));
        assert_eq!(thousandths("2"), Some(2000));
        assert_eq!(thousandths(".25"), Some(250));
        for bad in ["", ".", "1.2345", "-1", "a", "1e3", "9999999999"] {
            assert_eq!(thousandths(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn command_lines_split_like_a_shell_without_expansion() {
        let split = |line: &str| words(line).unwrap();
        assert_eq!(split("a  b\tc"), ["a", "b", "c"]);
        assert_eq!(split("a 'b c' \"d \\\" e\" f\\ g ''"), ["a", "b c", "d \" e", "f g", ""]);
        assert_eq!(split("echo $(id) `id` ; x"), ["echo", "$(id)", "`id`", ";", "x"]);
        for bad in ["'a", "\"a", "a\\"] {
            assert_eq!(words(bad), None, "{bad:?}");
        }
    }
}
