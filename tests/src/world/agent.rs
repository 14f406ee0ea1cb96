//! `freehold-agent`, both halves, on a host whose folders, web server and certificate authority
//! are a test's own.

use super::disk::Disk;
use super::programs::{Outcome, agent_program, run};
use super::{PORTS, Portal, Setup};
use crate::{acme::Acme, nginx::Nginx, process::Daemon, scratch::Scratch};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(90);
/// The library that shows another clock; the loader knows what `$LIB` is on this machine.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// One of the agent's two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The one with network.
    Poller,
    /// The one with root's rights.
    Executor,
}

/// An agent with its folders.
#[derive(Debug)]
pub struct Agent {
    daemon: Option<Daemon>,
    folder: PathBuf,
    setup: Setup,
    // Taken away in this order: one lies in the other.
    tenants_disk: Option<Disk>,
    disk: Option<Disk>,
}

impl Agent {
    /// Writes its configuration; it is neither enrolled nor started.
    pub(super) fn prepare(
        scratch: &Scratch,
        (portal, nginx, acme): (&Portal, &Nginx, &Acme),
        first_port: u16,
        setup: &Setup,
    ) -> Self {
        let folder = scratch.folder("agent");
        for name in
            ["state", "certbot/config", "certbot/work", "certbot/logs", "webroot", "certificates"]
        {
            std::fs::create_dir_all(folder.join(name)).expect("a folder for the agent");
        }
        let disk = setup.state_disk_kib.map(|kib| Disk::mount(&folder.join("state"), kib));
        let tenants_disk = setup.tenants_disk_kib.map(|kib| {
            let tenants = folder.join("state/tenants");
            std::fs::create_dir_all(&tenants).expect("a folder for tenants");
            Disk::mount(&tenants, kib)
        });
        let text = configuration(&folder, (portal, nginx, acme), first_port);
        std::fs::write(folder.join("agent.toml"), text).expect("agent.toml");
        Self { daemon: None, folder, setup: setup.clone(), tenants_disk, disk }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.setup.agent_clock {
            Some(offset) => {
                // What the program `faketime` does, which would fork: the agent would outlive its end.
                // Set for the agent alone: of programs that become others the library leaves traces.
                let mut command = Command::new("env");
                command.arg(format!("LD_PRELOAD={FAKETIME}")).arg(format!("FAKETIME={offset}"));
                command.arg("FAKETIME_DONT_FAKE_MONOTONIC=1").arg(agent_program());
                command
            }
            None => Command::new(agent_program()),
        };
        command.args(args).arg("--config").arg(self.folder.join("agent.toml"));
        for set in &self.setup.agent {
            command.arg("--set").arg(set);
        }
        command.envs(self.setup.agent_env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs one of its commands.
    pub fn cli(&self, args: &[&str]) -> Outcome {
        run(self.command(args), None)
    }

    /// Enrolls the host by a token.
    pub fn enroll(&self, token: &str, args: &[&str]) -> Outcome {
        let all: Vec<&str> = ["enroll"].iter().chain(args).copied().collect();
        run(self.command(&all), Some(&format!("{token}\n")))
    }

    /// Starts both halves.
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.daemon.is_none(), "the agent runs already");
        let command = self.command(&["run"]);
        let mut daemon = Daemon::start("freehold-agent run", &command, &self.log_file());
        let socket = self.folder.join("executor.sock");
        daemon.wait_until("has its socket", START, || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        self.daemon = Some(daemon);
    }

    /// Ends both halves as an operator would.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.stop();
        }
    }

    /// Ends both halves and the process that watches over them as a crash would, until `start`.
    pub fn kill(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let halves: Vec<_> = [Half::Executor, Half::Poller]
            .into_iter()
            .filter_map(|half| pid_of(daemon.pid(), half))
            .collect();
        // The parent stands still, so that it neither asks them to stop nor starts them again.
        if let Some(parent) = i32::try_from(daemon.pid()).ok().and_then(Pid::from_raw) {
            kill_process(parent, Signal::STOP).expect("a running parent can be stopped");
        }
        for half in halves {
            end(half);
        }
        daemon.kill();
    }

    /// Ends one half as a crash would; it is started again after a moment. One that is just being
    /// started again is waited for.
    #[track_caller]
    pub fn kill_half(&self, half: Half) {
        end(self.pid(half));
    }

    /// The same, and it is not started again before `look` has looked.
    #[track_caller]
    pub fn kill_half_and<T>(&self, half: Half, look: impl FnOnce() -> T) -> T {
        let parent = self.daemon.as_ref().expect("the agent runs").pid();
        let parent = i32::try_from(parent).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(parent, Signal::STOP).expect("a running parent can be stopped");
        end(self.pid(half));
        let seen = look();
        Held(parent).release();
        seen
    }

    /// Makes one half stand still, all its threads, until what is returned is released or the half
    /// is ended. One that is just being started again is waited for.
    #[track_caller]
    pub fn hold(&self, half: Half) -> Held {
        let pid = self.pid(half);
        kill_process(pid, Signal::STOP).expect("a running half can be stopped");
        let began = Instant::now();
        // A thread in the middle of a write to the disk stands still after it.
        while !stands_still(pid) {
            assert!(began.elapsed() < START, "the {half:?} does not stand still");
            std::thread::sleep(Duration::from_micros(100));
        }
        Held(pid)
    }

    /// The process of one half.
    #[track_caller]
    fn pid(&self, half: Half) -> Pid {
        let parent = self.daemon.as_ref().expect("the agent runs").pid();
        let began = Instant::now();
        loop {
            if let Some(pid) = pid_of(parent, half) {
                return pid;
            }
            assert!(began.elapsed() < START, "the {half:?} does not run");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Changes what `--set` and the environment say from the next start on.
    pub fn setup(&mut self) -> &mut Setup {
        &mut self.setup
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The executor's folder.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The folder of tenants' files.
    pub fn tenants(&self) -> PathBuf {
        self.state().join("tenants")
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.state().join("journal.db")
    }

    /// The folder of certbot's configuration.
    pub fn certbot(&self) -> PathBuf {
        self.folder.join("certbot/config")
    }

    /// The state folder's own disk.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("the setup asked for a disk")
    }

    /// The tenants' folder's own disk.
    pub fn tenants_disk(&self) -> &Disk {
        self.tenants_disk.as_ref().expect("the setup asked for a disk")
    }

    /// What both halves wrote.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("run.log")
    }
}

/// The child of `parent` that is this half.
fn pid_of(parent: u32, half: Half) -> Option<Pid> {
    let role = match half {
        Half::Poller => "poll",
        Half::Executor => "execute",
    };
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    list.split_whitespace().find_map(|child| {
        let line = std::fs::read(format!("/proc/{child}/cmdline")).ok()?;
        let is_it = line.split(|byte| *byte == 0).any(|word| word == role.as_bytes());
        is_it.then(|| child.parse().ok().and_then(Pid::from_raw)).flatten()
    })
}

/// A half that stands still.
#[derive(Debug)]
pub struct Held(Pid);

impl Held {
    /// Lets it go on.
    pub fn release(self) {
        kill_process(self.0, Signal::CONT).expect("what stands still is there");
    }
}

/// Whether every thread of a process is stopped.
fn stands_still(pid: Pid) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in brackets and may itself hold some.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}

/// Ends a process with SIGKILL and waits until it is gone.
fn end(pid: Pid) {
    if kill_process(pid, Signal::KILL).is_err() {
        // Gone already is as good.
        return;
    }
    let began = Instant::now();
    let place = format!("/proc/{}/exe", pid.as_raw_nonzero());
    while std::fs::read_link(&place).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(60), "{pid:?} outlives SIGKILL");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn configuration(
    folder: &Path,
    (portal, nginx, acme): (&Portal, &Nginx, &Acme),
    first_port: u16,
) -> String {
    let portal_ca = portal.tls().map(|tls| tls.ca.display().to_string()).unwrap_or_default();
    let at = |name: &str| folder.join(name).display().to_string();
    let list = nginx.args().iter().map(|arg| format!("\"{arg}\"")).collect::<Vec<_>>().join(", ");
    let half = PORTS / 2;
    let ranges = [("backend", first_port), ("frontend", first_port + half)]
        .map(|(role, first)| format!("{role} = \"{first}-{}\"\n", first + half - 1))
        .concat();
    let mut text = String::new();
    write!(
        text,
        "state_dir = \"{state}\"
poller_dir = \"{poller}\"
socket = \"{socket}\"
poller_user = \"\"
stop_grace_secs = 5
log = \"info\"

[portal]
ca_file = \"{portal_ca}\"
max_backoff_secs = 5

[nginx]
args = [{list}]
include_dir = \"{sites}\"
listen = \"{listen}\"
http_port = {http}
https_port = {https}
reload = \"nginx\"

[certbot]
server = \"{directory}\"
config_dir = \"{config}\"
work_dir = \"{work}\"
logs_dir = \"{logs}\"
ca_file = \"{server_ca}\"
webroot = \"{webroot}\"

[certificates]
dir = \"{certificates}\"

[probe]
ca_file = \"{issuer_ca}\"
address = \"127.0.0.1\"

[ports]
{ranges}
# The machine that runs tests is busy, and its disk may be nearly full.
[thresholds]
memory_percent = 100
cpu_percent = 100000
disk_percent = 99

[inventory]
interval_secs = 10
",
        state = at("state"),
        poller = at("poller"),
        socket = at("executor.sock"),
        sites = nginx.sites().display(),
        listen = Nginx::LISTEN,
        http = nginx.http_port(),
        https = nginx.https_port(),
        directory = acme.directory_url(),
        config = at("certbot/config"),
        work = at("certbot/work"),
        logs = at("certbot/logs"),
        server_ca = acme.server_ca().display(),
        webroot = at("webroot"),
        certificates = at("certificates"),
        issuer_ca = acme.issuer_ca().display(),
    )
    .expect("a String takes everything");
    text
}
