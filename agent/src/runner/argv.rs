//! Argument lists in which data cannot become an option, and a secret cannot appear.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use freehold_protocol::ids::{Domain, ImageRef, JobId, Port, Sha256Digest, TenantId, TenantSlug};
use freehold_protocol::secret::Secret;

use super::Program;

/// A value whose text never starts with `-`, so that it may stand alone as a word.
///
/// Implement it for types that only parse, and for nothing that is plain text.
pub trait Word: fmt::Display {}

impl Word for Domain {}
impl Word for ImageRef {}
impl Word for JobId {}
impl Word for Port {}
impl Word for Sha256Digest {}
impl Word for TenantId {}
impl Word for TenantSlug {}
impl<W: Word + ?Sized> Word for &W {}

/// What a command reads.
#[derive(Debug, Clone, Default)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Null,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A secret text.
    Secret(Secret),
    /// A file of ours.
    File(PathBuf),
}

/// Where a command's standard output goes.
#[derive(Debug, Clone, Default)]
pub enum Destination {
    /// Into [`super::Output::stdout`], within the limits.
    #[default]
    Capture,
    /// Into a new file (mode 0600) that must not exist yet; nothing of it is kept in memory.
    NewFile(PathBuf),
}

/// A command: a program of the table, its words, what it reads and where it works.
///
/// `Display` shows the words for logs and plans. There is no way to put a [`Secret`] among them.
#[derive(Debug, Clone)]
pub struct Argv {
    program: Program,
    words: Vec<OsString>,
    defect: Option<String>,
    stdin: Stdin,
    destination: Destination,
    directory: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Argv {
    /// A command without words.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self {
            program,
            words: Vec::new(),
            defect: None,
            stdin: Stdin::Null,
            destination: Destination::Capture,
            directory: PathBuf::from("/"),
            environment: Vec::new(),
        }
    }

    /// Adds a literal word.
    #[must_use]
    pub fn word(mut self, word: &'static str) -> Self {
        self.words.push(word.into());
        self
    }

    /// Adds literal words.
    #[must_use]
    pub fn words<const N: usize>(mut self, words: [&'static str; N]) -> Self {
        self.words.extend(words.map(OsString::from));
        self
    }

    /// Adds `NAME=VALUE` as one word, so that the value stays a value whatever it starts with.
    #[must_use]
    pub fn flag(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.words.push(format!("{name}={value}").into());
        self
    }

    /// Adds `NAME=PATH` as one word.
    #[must_use]
    pub fn flag_path(mut self, name: &'static str, path: &Path) -> Self {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(path);
        self.words.push(word);
        self
    }

    /// Adds a value as a word of its own.
    #[must_use]
    pub fn arg(mut self, value: impl Word) -> Self {
        let word = value.to_string();
        if word.is_empty() || word.starts_with('-') {
            self.defect = Some(format!("the argument {word:?} would be read as an option"));
        }
        self.words.push(word.into());
        self
    }

    /// Adds a path as a word of its own; it must be absolute.
    #[must_use]
    pub fn path(mut self, path: &Path) -> Self {
        if !path.is_absolute() {
            self.defect = Some(format!("the path {:?} is not absolute", path.display()));
        }
        self.words.push(path.into());
        self
    }

    /// Adds the words of a command that the program passes on as they are (`docker compose exec`
    /// stops reading options at the service's name). Call it last.
    #[must_use]
    pub fn passed_on<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Sets what the command reads.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets where the standard output goes.
    #[must_use]
    pub fn stdout(mut self, destination: Destination) -> Self {
        self.destination = destination;
        self
    }

    /// Sets the working directory; `/` otherwise.
    #[must_use]
    pub fn directory(mut self, path: &Path) -> Self {
        self.directory = path.to_owned();
        self
    }

    /// Adds a variable to the clean environment. Never a secret: `/proc` shows environments.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The program.
    #[must_use]
    pub const fn program(&self) -> Program {
        self.program
    }

    pub(super) fn parts(&self) -> &[OsString] {
        &self.words
    }
    pub(super) fn defect(&self) -> Option<&str> {
        self.defect.as_deref()
    }
    pub(super) const fn input(&self) -> &Stdin {
        &self.stdin
    }
    pub(super) const fn destination(&self) -> &Destination {
        &self.destination
    }
    pub(super) fn working_directory(&self) -> &Path {
        &self.directory
    }
    pub(super) fn environment(&self) -> &[(&'static str, OsString)] {
        &self.environment
    }
}

impl fmt::Display for Argv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        for word in &self.words {
            let word = word.to_string_lossy();
            let plain = !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=./:@,+%{}".contains(&b));
            if plain {
                write!(f, " {word}")?;
            } else {
                write!(f, " '{}'", word.escape_debug().to_string().replace('\'', "'\\''"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_flags_and_values() {
        let slug: TenantSlug = "acme".parse().unwrap();
        let argv = Argv::new(Program::Docker)
            .words(["compose", "up"])
            .flag("--project-name", &slug)
            .flag_path("--file", Path::new("/var/a b"))
            .arg(&slug)
            .passed_on(["--x", ""]);
        assert_eq!(
            argv.to_string(),
            "docker compose up --project-name=acme '--file=/var/a b' acme --x ''"
        );
        assert!(argv.defect().is_none());
    }

    #[test]
    fn a_value_that_looks_like_an_option_is_a_defect() {
        #[derive(Debug)]
        struct Careless;
        impl fmt::Display for Careless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("--rm")
            }
        }
        impl Word for Careless {}
        assert!(Argv::new(Program::Docker).arg(Careless).defect().is_some());
        assert!(Argv::new(Program::Docker).path(Path::new("-x")).defect().is_some());
    }
}
