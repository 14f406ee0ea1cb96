//! A portal that answers from a list and keeps what it was asked, and the program in a sealed world.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and target.
    pub line: String,
    /// Header lines in lower case.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
}

/// One answer; status 0 closes the connection without any.
pub type Answer = (u16, String);

/// The portal.
pub struct Fake {
    /// Its address.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Starts one that gives these answers in turn and then 500.
    pub fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if let Some(request) = read(&stream) {
                    seen.lock().unwrap().push(request);
                    let (status, body) = answers.next().unwrap_or((500, "{}".into()));
                    if status != 0 {
                        write!(
                            stream,
                            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                            body.len()
                        )
                        .unwrap();
                    }
                }
            }
        });
        Self { url, asked }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    if line.is_empty() {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        headers.push(header.trim().to_ascii_lowercase());
    }
    let length = headers
        .iter()
        .find_map(|header| header.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Some(Asked { line: line.trim().into(), headers, body: String::from_utf8(body).unwrap() })
}

/// Writes a program's whole input.
pub fn tell(child: &mut Child, stdin: &str) {
    // One that refuses its arguments may be gone before it was told anything.
    match child.stdin.take().unwrap().write_all(stdin.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => panic!("{error}"),
        Ok(()) | Err(_) => {}
    }
}

/// The program in an environment that has nothing but a home.
pub fn program(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
    command
        .args(args)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for the end of a run.
pub fn ended(child: Child) -> Ran {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ran {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// The program with a home of its own.
pub struct World {
    /// The home folder.
    pub home: tempfile::TempDir,
}

impl World {
    /// An empty home.
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// Runs the program; `portal` is given with its token in the environment.
    #[must_use = "look at what it printed and how it ended"]
    pub fn run(&self, portal: Option<&Fake>, args: &[&str], stdin: &str) -> Ran {
        let mut command = program(self.home.path(), args);
        if let Some(portal) = portal {
            command.env("FREEHOLD_URL", &portal.url).env("FREEHOLD_TOKEN", "fhk_test");
        }
        let mut child = command.spawn().unwrap();
        tell(&mut child, stdin);
        ended(child)
    }
}

/// What a run left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}
