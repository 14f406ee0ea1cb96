//! The real agent: `freehold-agent execute` and `freehold-agent poll` as two processes, enrolled by a
//! token. Where a measurement must see the moment at which a job is in the journal, a relay stands
//! between the two, which hands every question and answer on and looks at the clock.

use std::{
    io::Write as _,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use freehold_agent::socket::{Client, FrameError, Reply, Request, read_frame, write_frame};
use freehold_tests::{process::Daemon, scratch::Scratch, world::agent_program};

use crate::{http::Connection, portal::Portal};

const START: Duration = Duration::from_secs(30);
/// Longest time of one job.
const JOB: Duration = Duration::from_secs(60);
/// How long the agent needs to be parked again after a job rests.
const CALM: Duration = Duration::from_millis(150);

/// See the module.
pub struct RealAgent {
    // Ended in this order.
    poller: Daemon,
    executor: Daemon,
    host: String,
    accepted: Receiver<Instant>,
}

/// An agent that is enrolled and does not run.
pub struct Prepared {
    folder: PathBuf,
    host: String,
}

impl Prepared {
    /// Adds the host `name` and enrolls an agent as it.
    #[track_caller]
    pub fn new(scratch: &Scratch, portal: &Portal, name: &str) -> Self {
        let folder = scratch.folder(name);
        let ca = portal.authority().map(|authority| authority.ca().display().to_string());
        let text = format!(
            "state_dir = \"{0}/state\"\npoller_dir = \"{0}/poller\"\nsocket = \"{0}/executor.sock\"\n\
             poller_user = \"\"\nstop_grace_secs = 5\nlog = \"warn\"\n[portal]\nca_file = \"{1}\"\n",
            folder.display(),
            ca.unwrap_or_default(),
        );
        std::fs::create_dir_all(folder.join("state")).expect("a folder");
        std::fs::write(folder.join("agent.toml"), text).expect("agent.toml");
        portal.ask("POST", "/api/v1/hosts", &format!("{{\"name\":\"{name}\"}}"), 201);
        let path = format!("/api/v1/hosts/{name}/enrollment-tokens");
        let token = portal.ask("POST", &path, "{}", 201)["token"].as_str().map(str::to_owned);
        let prepared = Self { folder, host: name.to_owned() };
        let mut enroll = prepared.command("enroll");
        enroll.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = enroll.spawn().expect("freehold-agent enroll");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(token.expect("a token").as_bytes()).expect("the token is taken");
        drop(stdin);
        assert!(child.wait().expect("it ends").success(), "the agent does not enroll");
        prepared
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(agent_program());
        command.arg(what).arg("--config").arg(self.folder.join("agent.toml"));
        command
    }

    /// The executor's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("executor.sock")
    }

    /// Starts the executor, and says how long it took until it answered.
    #[track_caller]
    pub fn executor(&self) -> (Daemon, Duration) {
        let client = Client::new(&self.socket());
        let began = Instant::now();
        let daemon =
            Daemon::start("executor", &self.command("execute"), &self.folder.join("execute.log"));
        while client.status().is_err() {
            assert!(began.elapsed() < START, "the executor does not answer: {}", daemon.log());
            thread::sleep(Duration::from_millis(1));
        }
        (daemon, began.elapsed())
    }

    /// Starts the poller, asking on this socket.
    pub fn poller(&self, socket: &Path) -> Daemon {
        let mut command = self.command("poll");
        command.arg("--set").arg(format!("socket={}", socket.display()));
        Daemon::start("poller", &command, &self.folder.join("poll.log"))
    }

    /// Waits until the portal says that it is there.
    #[track_caller]
    pub fn wait_online(&self, portal: &Portal) {
        let path = format!("/api/v1/hosts/{}", self.host);
        let began = Instant::now();
        while portal.ask("GET", &path, "", 200)["presence"] != "online" {
            assert!(began.elapsed() < START, "the agent does not come online");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl RealAgent {
    /// Enrolls an agent as the host `name` and starts both halves, with a relay between them if asked.
    #[track_caller]
    pub fn start(scratch: &Scratch, portal: &Portal, name: &str, relayed: bool) -> Self {
        let prepared = Prepared::new(scratch, portal, name);
        let (executor, _) = prepared.executor();
        let (sender, accepted) = channel();
        let mut socket = prepared.socket();
        if relayed {
            socket = prepared.folder.join("relay.sock");
            relay(&socket, prepared.socket(), sender);
        }
        let poller = prepared.poller(&socket);
        prepared.wait_online(portal);
        Self { poller, executor, host: prepared.host, accepted }
    }

    /// Process ids of poller and executor.
    pub fn pids(&self) -> [u32; 2] {
        [self.poller.pid(), self.executor.pid()]
    }

    /// Queues a job and waits until it rests: when the request left, and when the relay saw the executor
    /// say that the job is in its journal.
    #[track_caller]
    pub fn accept_a_job(&self, portal: &Portal, admin: &mut Connection) -> (Instant, Instant) {
        let queue = portal.owner("POST", &format!("/api/v1/hosts/{}/probe", self.host), b"");
        thread::sleep(CALM);
        let sent = Instant::now();
        admin.send(&queue);
        let journaled = self.accepted.recv_timeout(JOB).expect("the agent takes the job");
        let job: serde_json::Value =
            serde_json::from_slice(&admin.receive().expect(202)).expect("a job");
        let path = format!("/api/v1/jobs/{}", job["id"].as_str().expect("its id"));
        while portal.ask("GET", &path, "", 200)["rested"] != true {
            assert!(sent.elapsed() < JOB, "the job does not rest");
            thread::sleep(Duration::from_millis(20));
        }
        (sent, journaled)
    }
}

/// Hands on what the poller asks and the executor answers, and tells when jobs were recorded.
fn relay(here: &Path, there: PathBuf, accepted: Sender<Instant>) {
    let listener = UnixListener::bind(here).expect("the relay's socket");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (there, accepted) = (there.clone(), accepted.clone());
            thread::spawn(move || {
                if let Err(error) = hand_on(stream, &there, &accepted) {
                    // A poller that is being ended leaves its question open.
                    drop(error);
                }
            });
        }
    });
}

fn hand_on(
    mut poller: UnixStream,
    there: &Path,
    accepted: &Sender<Instant>,
) -> Result<(), FrameError> {
    let question: Request = read_frame(&mut poller)?;
    let mut executor = UnixStream::connect(there).map_err(FrameError::Io)?;
    write_frame(&mut executor, &question)?;
    let answer: Reply = read_frame(&mut executor)?;
    let now = Instant::now();
    if let Reply::Offered(offered) = &answer
        && offered.accepted > 0
    {
        // Nobody listens any more once the measurement is over.
        accepted.send(now).unwrap_or_default();
    }
    write_frame(&mut poller, &answer)
}
