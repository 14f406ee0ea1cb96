//! The terminal: whether there is one, how wide it is, and asking it for a secret.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use freehold_protocol::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use zeroize::Zeroizing;

/// Longest secret that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 4096;

/// What standard output and error are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Whether a person reads standard output.
    pub(crate) out: bool,
    /// Whether a person can be asked.
    pub(crate) ask: bool,
    /// Whether colors are welcome.
    pub(crate) color: bool,
}

impl Terminal {
    /// Looks at the process's own.
    pub(crate) fn detect() -> Self {
        let out = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self {
            out: out && !dumb,
            ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
            color: out && !dumb && !set("NO_COLOR"),
        }
    }

    /// Columns and rows now, when a person reads.
    pub(crate) fn size(self) -> Option<(usize, usize)> {
        if !self.out {
            return None;
        }
        let size = tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Columns now, when a person reads.
    pub(crate) fn width(self) -> Option<usize> {
        self.size().map(|(columns, _)| columns)
    }
}

/// Colors, where they are welcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    /// It went well.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }
    /// It did not.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }
    /// It is going on, or needs a look.
    pub(crate) fn busy(self, text: &str) -> String {
        self.with("33", text)
    }
    /// It matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// Switches echo, line editing and signals off, and all on again when it is dropped. Signals are
/// off so that Ctrl-C cannot end the program while the terminal is silent.
struct Hush(Termios);

impl Hush {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        if tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).is_err() {
            // The terminal has gone, and its echo with it.
        }
    }
}

/// Reads one line of standard input; on a terminal after a prompt and without echo.
///
/// # Errors
/// When standard input cannot be read, is not text, or the person pressed Ctrl-C.
pub(crate) fn read_secret(terminal: Terminal, prompt: &str) -> io::Result<Secret> {
    let line = read_password(terminal, prompt)?;
    Ok(Secret::new(line.expose().trim().to_owned()))
}

/// As [`read_secret`], but spaces at the ends belong to it.
///
/// # Errors
/// As [`read_secret`].
pub(crate) fn read_password(terminal: Terminal, prompt: &str) -> io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::new());
    if terminal.ask {
        let mut stderr = io::stderr();
        stderr.write_all(prompt.as_bytes())?;
        stderr.flush()?;
        let hush = Hush::new()?;
        let typed = type_line(&mut io::stdin().lock(), &mut line);
        drop(hush);
        stderr.write_all(b"\n")?;
        typed?;
    } else {
        io::stdin().lock().take(MAX_SECRET_BYTES).read_until(b'\n', &mut line)?;
    }
    let text = std::str::from_utf8(&line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The keys of one line, as a terminal without line editing gives them.
fn type_line(keys: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    for key in keys.bytes().take(4096) {
        match key? {
            b'\r' | b'\n' | 0x04 => return Ok(()),
            0x03 => return Err(io::Error::new(io::ErrorKind::Interrupted, "Ctrl-C")),
            0x15 => line.clear(),
            // A whole character, not its last byte.
            0x08 | 0x7f => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            byte => line.push(byte),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> io::Result<String> {
        let mut line = Vec::new();
        type_line(&mut &keys[..], &mut line)?;
        Ok(String::from_utf8(line).unwrap())
    }

    #[test]
    fn a_secret_can_be_corrected_while_it_is_typed() {
        assert_eq!(typed(b"abx\x7fc\nrest").unwrap(), "abc");
        assert_eq!(typed("aä\u{7f}b\r".as_bytes()).unwrap(), "ab");
        assert_eq!(typed(b"wrong\x15right\n").unwrap(), "right");
        assert_eq!(typed(b"\x7f\x7fa").unwrap(), "a");
        assert!(typed(b"abc\x03").is_err());
    }
}
