//! Commands as real processes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use zeroize::Zeroizing;

use super::output::{Capture, LINE_BYTES, redact};
use super::reap::{self, MARKER};
use super::{
    Argv, CommandError, Destination, Limits, Output, Program, Programs, Runner, Stdin, Stream,
    Watch, printable,
};

/// How often a running command's token and deadline are looked at.
const TICK: Duration = Duration::from_millis(25);
/// How long a process group may take to end itself after TERM, before KILL.
const GRACE: Duration = Duration::from_secs(5);
/// The same after a cancellation, which must be felt within a second.
const GRACE_CANCELLED: Duration = Duration::from_millis(400);
/// How long to wait for the last output once everything was killed.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs commands as processes, by the absolute paths of a table.
#[derive(Debug, Clone)]
pub struct System {
    programs: Programs,
    home: PathBuf,
    docker_config: PathBuf,
}

impl System {
    /// `home` becomes the children's `HOME`; `docker_config` is the folder with the registry logins.
    #[must_use]
    pub const fn new(programs: Programs, home: PathBuf, docker_config: PathBuf) -> Self {
        Self { programs, home, docker_config }
    }

    /// Where the programs are.
    #[must_use]
    pub const fn programs(&self) -> &Programs {
        &self.programs
    }
}

impl Runner for System {
    fn has(&self, program: Program) -> bool {
        self.programs.path(program).is_file()
    }

    fn run(&self, argv: &Argv, limits: Limits, watch: Watch<'_>) -> Result<Output, CommandError> {
        let command = redact(&argv.to_string(), watch.secrets);
        if let Some(defect) = argv.defect() {
            return Err(CommandError::BadArgument { command, defect: defect.to_owned() });
        }
        if watch.cancel.is_cancelled() {
            return Err(CommandError::Cancelled { command, output: Box::default() });
        }
        let marker = marker().map_err(|source| CommandError::Io {
            command: command.clone(),
            doing: "draw a random number",
            source,
        })?;
        let begun = Instant::now();
        let mut running = self.start(argv, limits, &command, &marker)?;
        let outcome = running.follow(begun + limits.deadline, watch);
        running.end_the_rest(&marker);
        let (stdout, stderr) = running.finish(watch);
        let (end, status) = outcome.map_err(|source| CommandError::Io {
            command: command.clone(),
            doing: "wait for it",
            source,
        })?;
        let output = Output { code: status.code(), signal: status.signal(), stdout, stderr };
        tracing::debug!(%command, code = output.code, ms = begun.elapsed().as_millis() as u64, "command ended");
        match end {
            End::Cancelled => Err(CommandError::Cancelled { command, output: Box::new(output) }),
            End::Deadline => Err(CommandError::TimedOut {
                command,
                limit: limits.deadline,
                output: Box::new(output),
            }),
            End::Itself if output.code == Some(0) => Ok(output),
            End::Itself => Err(CommandError::NonZero { command, output: Box::new(output) }),
        }
    }
}

/// Why the following of a process ended.
enum End {
    Itself,
    Deadline,
    Cancelled,
}

struct Running {
    handle: duct::Handle,
    leader: Pid,
    chunks: Receiver<(Stream, Vec<u8>)>,
    open: bool,
    stdout: Capture,
    stderr: Capture,
}

impl System {
    fn start(
        &self,
        argv: &Argv,
        limits: Limits,
        command: &str,
        marker: &str,
    ) -> Result<Running, CommandError> {
        let io = |doing: &'static str| {
            let command = command.to_owned();
            move |source| CommandError::Io { command, doing, source }
        };
        let path = self.programs.path(argv.program());
        // Chunks wait in a short queue, so that a program that prints faster than we read is
        // slowed down by its pipe instead of filling our memory.
        let (sender, chunks) = mpsc::sync_channel(16);
        let mut expression = duct::cmd(path, argv.parts())
            .full_env(self.environment(argv, marker))
            .dir(argv.working_directory())
            .before_spawn(|child| {
                child.process_group(0);
                Ok(())
            })
            .unchecked();

        let (errors, errors_end) = os_pipe::pipe().map_err(io("open a pipe"))?;
        expression = expression.stderr_file(errors_end);
        let printed = match argv.destination() {
            Destination::Capture => {
                let (printed, printed_end) = os_pipe::pipe().map_err(io("open a pipe"))?;
                expression = expression.stdout_file(printed_end);
                Some(printed)
            }
            Destination::NewFile(path) => {
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                expression = expression.stdout_file(file.map_err(io("create the output file"))?);
                None
            }
        };
        let mut feed = None;
        expression = match argv.input() {
            Stdin::Null => expression.stdin_null(),
            Stdin::File(path) => {
                expression.stdin_file(File::open(path).map_err(io("open the input file"))?)
            }
            Stdin::Bytes(bytes) => {
                let (end, writer) = os_pipe::pipe().map_err(io("open a pipe"))?;
                feed = Some((writer, Zeroizing::new(bytes.clone())));
                expression.stdin_file(end)
            }
            Stdin::Secret(secret) => {
                let (end, writer) = os_pipe::pipe().map_err(io("open a pipe"))?;
                feed = Some((writer, Zeroizing::new(secret.expose().as_bytes().to_vec())));
                expression.stdin_file(end)
            }
        };

        let started = expression.start();
        // The expression holds our copies of the child's pipe ends: without this, no end of file.
        drop(expression);
        let handle = match started {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => {
                return Err(CommandError::NotFound {
                    program: argv.program(),
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(io("start it")(error)),
        };
        let leader = handle
            .pids()
            .first()
            .and_then(|pid| i32::try_from(*pid).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io("learn its process id")(io::ErrorKind::Other.into()))?;

        // These threads end when their pipe closes or the receiver is gone; they are not joined,
        // since a process in an uninterruptible sleep can hold a pipe open beyond its KILL.
        if let Some((mut writer, bytes)) = feed {
            std::thread::spawn(move || {
                if let Err(error) = writer.write_all(&bytes)
                    && error.kind() != io::ErrorKind::BrokenPipe
                {
                    tracing::warn!(%error, "cannot write to a command");
                }
            });
        }
        if let Some(printed) = printed {
            let sender = sender.clone();
            std::thread::spawn(move || read_into(printed, Stream::Stdout, &sender));
        }
        std::thread::spawn(move || read_into(errors, Stream::Stderr, &sender));
        Ok(Running {
            handle,
            leader,
            chunks,
            open: true,
            stdout: Capture::new(limits.output_bytes),
            stderr: Capture::new(limits.output_bytes),
        })
    }

    fn environment(&self, argv: &Argv, marker: &str) -> Vec<(String, std::ffi::OsString)> {
        let mut environment = vec![
            (
                "PATH".to_owned(),
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            ),
            ("LC_ALL".to_owned(), "C.UTF-8".into()),
            ("HOME".to_owned(), self.home.clone().into()),
            ("DOCKER_CONFIG".to_owned(), self.docker_config.clone().into()),
            (MARKER.to_owned(), marker.into()),
        ];
        environment.extend(argv.environment().iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        environment
    }
}

impl Running {
    /// Takes output in until the leader has ended, by itself or by us.
    fn follow(
        &mut self,
        deadline: Instant,
        watch: Watch<'_>,
    ) -> io::Result<(End, std::process::ExitStatus)> {
        loop {
            self.take_one(TICK, watch);
            if let Some(output) = self.handle.try_wait()? {
                return Ok((End::Itself, output.status));
            }
            if watch.cancel.is_cancelled() {
                return Ok((End::Cancelled, self.stop(GRACE_CANCELLED, watch)?));
            }
            if Instant::now() >= deadline {
                return Ok((End::Deadline, self.stop(GRACE, watch)?));
            }
        }
    }

    /// TERM, a grace, KILL.
    fn stop(&mut self, grace: Duration, watch: Watch<'_>) -> io::Result<std::process::ExitStatus> {
        reap::signal_group(self.leader, Signal::TERM);
        let end = Instant::now() + grace;
        while Instant::now() < end {
            self.take_one(TICK, watch);
            if let Some(output) = self.handle.try_wait()? {
                return Ok(output.status);
            }
        }
        reap::signal_group(self.leader, Signal::KILL);
        Ok(self.handle.wait()?.status)
    }

    /// The leader is gone; whatever it started goes too, or it would hold the pipes open.
    fn end_the_rest(&self, marker: &str) {
        reap::signal_group(self.leader, Signal::KILL);
        let escaped = reap::kill_marked(marker);
        if escaped > 0 {
            tracing::warn!(escaped, "killed processes that outlived their command");
        }
    }

    /// Waits up to `wait` for a piece of output, or for the end of the process when all pipes are
    /// closed.
    fn take_one(&mut self, wait: Duration, watch: Watch<'_>) {
        if !self.open {
            // An error shows again at the `try_wait` that follows.
            if let Err(error) = self.handle.wait_timeout(wait) {
                tracing::debug!(%error, "cannot wait for a command");
            }
            return;
        }
        match self.chunks.recv_timeout(wait) {
            Ok((stream, bytes)) => {
                watch.activity.touch();
                let capture = match stream {
                    Stream::Stdout => &mut self.stdout,
                    Stream::Stderr => &mut self.stderr,
                };
                capture.push(&bytes, |line| tell(watch, stream, line));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.open = false,
        }
    }

    fn finish(mut self, watch: Watch<'_>) -> (super::Text, super::Text) {
        let end = Instant::now() + DRAIN;
        while self.open && Instant::now() < end {
            self.take_one(TICK, watch);
        }
        let stdout = self.stdout.finish(watch.secrets, |line| tell(watch, Stream::Stdout, line));
        let stderr = self.stderr.finish(watch.secrets, |line| tell(watch, Stream::Stderr, line));
        (stdout, stderr)
    }
}

fn tell(watch: Watch<'_>, stream: Stream, line: &[u8]) {
    // A line that was cut may end in the middle of a secret.
    let edge = if line.len() < LINE_BYTES {
        0
    } else {
        watch.secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or(0)
    };
    let line = &line[..line.len().saturating_sub(edge)];
    let line = redact(&printable(line), watch.secrets);
    if !line.trim().is_empty() {
        (watch.on_line)(stream, &line);
    }
}

fn read_into(
    mut pipe: os_pipe::PipeReader,
    stream: Stream,
    sender: &SyncSender<(Stream, Vec<u8>)>,
) {
    let mut buffer = [0u8; 16 << 10];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                if sender.send((stream, buffer[..n].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot read a command's output");
                return;
            }
        }
    }
}

fn marker() -> io::Result<String> {
    let mut bytes = [0u8; 12];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
