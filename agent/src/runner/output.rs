//! What a command printed: bounded, cleaned and redacted.

use std::collections::VecDeque;

use freehold_protocol::secret::Secret;

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a command ended and what it printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit status, when it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it otherwise.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: Text,
    /// Standard error.
    pub stderr: Text,
}

impl Output {
    /// Both streams for a person, standard error last, with the ends of long ones.
    #[must_use]
    pub fn printed(&self) -> String {
        const KEPT_OF_STDOUT: usize = 2 * 1024;
        let out = self.stdout.to_string();
        let mut start = out.len().saturating_sub(KEPT_OF_STDOUT);
        while !out.is_char_boundary(start) {
            start += 1;
        }
        format!("{}\n{}", out[start..].trim(), self.stderr.to_string().trim()).trim().to_owned()
    }
}

/// The kept text of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// Its beginning; the whole of it when nothing was dropped.
    pub head: String,
    /// Its end, when something between was dropped.
    pub tail: String,
    /// Bytes between head and tail that were not kept.
    pub dropped: u64,
}

impl Text {
    /// The whole text, or nothing when a part was dropped: what is parsed must be complete.
    #[must_use]
    pub fn whole(&self) -> Option<&str> {
        (self.dropped == 0).then_some(self.head.as_str())
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.head)?;
        if self.dropped > 0 {
            write!(f, "\n[{} bytes left out]\n{}", self.dropped, self.tail)?;
        }
        Ok(())
    }
}

/// The text without escape sequences and control characters: safe on a terminal and in a log.
///
/// Line ends become `\n`, also the lone carriage return of progress bars; tabs stay.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\n' | '\t' => clean.push(c),
            // C1 controls, and the marks that reorder text on a screen.
            c if c.is_control() => {}
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c => clean.push(c),
        }
    }
    clean
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        // CSI: parameters and intermediates, then one final character.
        Some('[') => while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {},
        // OSC, DCS and their like: up to BEL or ESC \, but never over a line's end.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while chars.next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {}
            if chars.peek() == Some(&'\u{1b}') {
                chars.next();
            }
            if chars.peek() == Some(&'\n') {
                return;
            }
        }
        // Two-character sequences; intermediates first.
        Some(c) if ('\u{20}'..='\u{2f}').contains(&c) => {}
        Some(_) | None => return,
    }
    chars.next();
}

/// Shortest value that is replaced; anything shorter would make output unreadable.
const SHORTEST_SECRET: usize = 4;

/// The text with `***` in place of each secret.
#[must_use]
pub fn redact(text: &str, secrets: &[Secret]) -> String {
    let mut values: Vec<&str> =
        secrets.iter().map(Secret::expose).filter(|v| v.len() >= SHORTEST_SECRET).collect();
    // Longest first, so that a secret that contains another one disappears whole.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let mut text = text.to_owned();
    for value in values {
        if text.contains(value) {
            text = text.replace(value, "***");
        }
    }
    text
}

/// Collects a stream within a limit, and cuts it into lines for the listener.
#[derive(Debug)]
pub(super) struct Capture {
    head_limit: usize,
    tail_limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
    line: Vec<u8>,
    /// The listener has its part of the line; the rest of it is passed over.
    cut: bool,
}

/// Longest line that a listener gets. The rest of a longer one is left out: in a second piece half a
/// secret would not be recognised.
pub(super) const LINE_BYTES: usize = 4096;

impl Capture {
    pub(super) fn new(limit: usize) -> Self {
        let tail_limit = (limit / 2).min(64 << 10);
        Self {
            head_limit: limit - tail_limit,
            tail_limit,
            head: Vec::new(),
            tail: VecDeque::new(),
            dropped: 0,
            line: Vec::new(),
            cut: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], mut on_line: impl FnMut(&[u8])) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_limit - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.tail_limit);
        self.tail.drain(..over);
        self.dropped += over as u64;

        for byte in bytes {
            let ends = matches!(byte, b'\n' | b'\r');
            if (ends || self.line.len() >= LINE_BYTES) && !self.line.is_empty() {
                on_line(&self.line);
                self.line.clear();
                self.cut = true;
            }
            if ends {
                self.cut = false;
            } else if !self.cut {
                self.line.push(*byte);
            }
        }
    }

    /// The rest of an unfinished line, and the kept text.
    pub(super) fn finish(mut self, secrets: &[Secret], mut on_line: impl FnMut(&[u8])) -> Text {
        if !self.line.is_empty() {
            on_line(&self.line);
        }
        let tail = self.tail.make_contiguous();
        if self.dropped == 0 {
            self.head.extend_from_slice(tail);
            let head = redact(&printable(&self.head), secrets);
            return Text { head, tail: String::new(), dropped: 0 };
        }
        // A secret may lie across the gap, and half a secret is not recognised: both edges lose as
        // many bytes as the longest secret has.
        let edge = secrets.iter().map(|s| s.expose().len()).max().unwrap_or(0);
        let head = &self.head[..self.head.len().saturating_sub(edge)];
        let tail = &tail[edge.min(tail.len())..];
        Text {
            head: redact(&printable(head), secrets),
            tail: redact(&printable(tail), secrets),
            dropped: self.dropped + (2 * edge) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_are_dropped() {
        for (raw, clean) in [
            ("plain\tä\n", "plain\tä\n"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("a\u{1b}(Bb", "ab"),
            ("10%\r20%\r\nend", "10%\n20%\nend"),
            ("a\0b\u{8}c\u{9b}d", "abcd"),
            ("\u{1b}]0;never closed\nnext", "\nnext"),
            ("x\u{202e}y", "xy"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(printable(raw.as_bytes()), clean, "{raw:?}");
        }
    }

    fn capture(limit: usize, pieces: &[&str], secrets: &[Secret]) -> (Text, Vec<String>) {
        let mut lines = Vec::new();
        let mut keep = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        let mut capture = Capture::new(limit);
        for piece in pieces {
            capture.push(piece.as_bytes(), &mut keep);
        }
        let text = capture.finish(secrets, &mut keep);
        (text, lines)
    }

    #[test]
    fn head_and_tail_are_kept_and_the_rest_counted() {
        let (text, _) = capture(10, &["0123456789"], &[]);
        assert_eq!(text.whole(), Some("0123456789"));
        let (text, _) = capture(10, &["01234", "56789abc", "def"], &[]);
        assert_eq!((text.head.as_str(), text.tail.as_str(), text.dropped), ("01234", "bcdef", 6));
        assert_eq!(text.whole(), None);
    }

    #[test]
    fn lines_come_whole_across_pieces() {
        let (_, lines) = capture(100, &["one\ntw", "o\r", "\nthree"], &[]);
        assert_eq!(lines, ["one", "two", "three"]);
        let long = format!("{}rest\nnext", "x".repeat(LINE_BYTES));
        let (text, lines) = capture(1 << 20, &[&long], &[]);
        assert_eq!((lines[0].len(), lines[1].as_str(), lines.len()), (LINE_BYTES, "next", 2));
        assert_eq!(text.whole(), Some(long.as_str()));
    }

    #[test]
    fn secrets_are_redacted_also_at_the_gap() {
        let secrets = [Secret::new("hunter2".into()), Secret::new("hunter2-long".into())];
        assert_eq!(redact("a hunter2-long b hunter2 c", &secrets), "a *** b *** c");
        let (text, _) = capture(20, &["xxxxhunter2 yyyyyyyyyyyyyyyyyyyy hunter2zz"], &secrets);
        assert!(!text.to_string().contains("hunt") && !text.to_string().contains("ter2"), "{text}");
        assert_eq!(redact("short ab", &[Secret::new("ab".into())]), "short ab");
    }
}
