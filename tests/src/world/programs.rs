//! Our programs, and running one to its end.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program left when it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Whether it ended well.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Its standard output, when it ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.success(), "{self}");
        self.stdout
    }

    /// Standard output as JSON, when it ended well.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exit code {:?}\nstandard output:\n{}\nstandard error:\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// Runs a program to its end, `input` on its standard input.
pub fn run(mut command: Command, input: Option<&str>) -> Outcome {
    let shown = format!("{command:?}");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // A program that refuses before it reads closes the pipe; its exit code tells.
        drop(stdin.write_all(text.as_bytes()));
    }
    let output = child.wait_with_output().expect("a child can be waited for");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `freehold`, built beside this test program.
pub fn portal_program() -> PathBuf {
    beside("freehold")
}

/// `freehold-agent`, built beside this test program.
pub fn agent_program() -> PathBuf {
    beside("freehold-agent")
}

fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    // target/debug/deps/e2e-0123 → target/debug; a program of ours lies there itself.
    let folder = own.parent().expect("a program lies in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run  cargo build --workspace --bins", path.display());
    path
}

/// Fails with the remedy when something is missing on the machine.
pub(super) fn check() {
    portal_program();
    agent_program();
    for (program, place) in [
        ("nginx", "/usr/sbin/nginx"),
        ("certbot", "/usr/bin/certbot"),
        ("pebble", "/usr/bin/pebble"),
        ("docker", "/usr/bin/docker"),
        ("faketime", "/usr/bin/faketime"),
    ] {
        assert!(
            Path::new(place).exists() || on_path(program),
            "{program} is missing: run  script/bootstrap --test"
        );
    }
    let image =
        super::docker(["image", "inspect", "--format", "{{.Id}}", "freehold-sample/backend:1"]);
    assert!(
        image.success(),
        "the engine does not answer or has no sample images: run  script/bootstrap --test  and  tests/images/build\n{image}"
    );
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}
