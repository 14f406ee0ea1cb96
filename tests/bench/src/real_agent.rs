//! The real agent: `freehold-agent execute` and `freehold-agent poll` as two processes, enrolled by a
//! token. The moment at which a job is in the journal is the one that the executor's log names.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use freehold_agent::socket::Client;
use freehold_tests::{process::Daemon, scratch::Scratch, world::agent_program};
use jiff::Timestamp;

use crate::{http::Connection, portal::Portal};

const START: Duration = Duration::from_secs(30);
/// Longest time of one job.
const JOB: Duration = Duration::from_secs(60);
/// How long the agent needs to be parked again after a job rests.
const CALM: Duration = Duration::from_millis(150);
/// What the executor's log says when jobs are in its journal.
const ACCEPTED: &str = "jobs accepted";

/// See the module.
pub struct RealAgent {
    // Ended in this order.
    poller: Daemon,
    executor: Daemon,
    host: String,
    /// What the executor writes.
    log: PathBuf,
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
             poller_user = \"\"\nstop_grace_secs = 5\n[portal]\nca_file = \"{1}\"\n",
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

    fn executor_log(&self) -> PathBuf {
        self.folder.join("execute.log")
    }

    /// The executor's socket.
    fn socket(&self) -> PathBuf {
        self.folder.join("executor.sock")
    }

    /// Starts the executor, and says how long it took until it answered.
    #[track_caller]
    pub fn executor(&self) -> (Daemon, Duration) {
        let client = Client::new(&self.socket());
        let began = Instant::now();
        let daemon = Daemon::start("executor", &self.command("execute"), &self.executor_log());
        while client.status().is_err() {
            assert!(began.elapsed() < START, "the executor does not answer: {}", daemon.log());
            thread::sleep(Duration::from_millis(1));
        }
        (daemon, began.elapsed())
    }

    /// Starts the poller.
    pub fn poller(&self) -> Daemon {
        Daemon::start("poller", &self.command("poll"), &self.folder.join("poll.log"))
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
    /// Enrolls an agent as the host `name` and starts both halves.
    #[track_caller]
    pub fn start(scratch: &Scratch, portal: &Portal, name: &str) -> Self {
        let prepared = Prepared::new(scratch, portal, name);
        let (executor, _) = prepared.executor();
        let poller = prepared.poller();
        prepared.wait_online(portal);
        Self { poller, executor, log: prepared.executor_log(), host: prepared.host }
    }

    /// Process ids of poller and executor.
    pub fn pids(&self) -> [u32; 2] {
        [self.poller.pid(), self.executor.pid()]
    }

    /// Queues a job and waits until it rests: how long it took from the moment before the request left
    /// until the executor had it in its journal.
    #[track_caller]
    pub fn accept_a_job(&self, portal: &Portal, admin: &mut Connection) -> Duration {
        let queue = portal.owner("POST", &format!("/api/v1/hosts/{}/probe", self.host), b"");
        let known = self.written().len();
        thread::sleep(CALM);
        let (began, sent) = (Instant::now(), Timestamp::now());
        admin.send(&queue);
        let job: serde_json::Value =
            serde_json::from_slice(&admin.receive().expect(202)).expect("a job");
        let path = format!("/api/v1/jobs/{}", job["id"].as_str().expect("its id"));
        while portal.ask("GET", &path, "", 200)["rested"] != true {
            assert!(began.elapsed() < JOB, "the job does not rest");
            thread::sleep(Duration::from_millis(20));
        }
        let written = self.written();
        let line = written[known..].lines().find(|line| line.contains(ACCEPTED));
        let stamp = line.and_then(|line| line.split_whitespace().next());
        let journaled: Timestamp =
            stamp.expect("the executor says so").parse().expect("a line of the log");
        journaled.duration_since(sent).try_into().expect("it comes afterwards")
    }

    fn written(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the executor's log")
    }
}
