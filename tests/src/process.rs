//! Programs that run while a test does.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// How long a program may take to end after SIGTERM.
const END: Duration = Duration::from_secs(60);

/// A running program. Dropping it ends it; so does the end of the test process, however that
/// comes, because each program asks the kernel for a SIGTERM when its parent is gone.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`, its output going to `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("a log file");
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program());
        guarded.args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        guarded.stdin(Stdio::null());
        guarded.stdout(output.try_clone().expect("a log file")).stderr(output);
        let child =
            spawn(guarded).unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Waits until something listens on the loopback `port`.
    pub fn wait_for_port(&mut self, port: u16, limit: Duration) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.wait_until(&format!("listens on port {port}"), limit, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        });
    }

    /// Waits until `condition` holds; panics with the log when the program ends before that.
    pub fn wait_until(&mut self, what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
        let began = Instant::now();
        while !condition() {
            if let Some(status) = self.exit_status() {
                // setpriv's own code, as a shell's.
                let missing = status.code() == Some(127);
                let advice =
                    if missing { "is it installed? script/bootstrap --test\n" } else { "" };
                panic!("{} ended ({status}) before it {what}:\n{advice}{}", self.name, self.log());
            }
            if began.elapsed() > limit {
                panic!("{}: not in {limit:?}: it {what}; its log:\n{}", self.name, self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How it ended, when it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends it a signal; false when it has ended already.
    pub fn signal(&self, signal: Signal) -> bool {
        kill_process(Pid::from_child(&self.child), signal).is_ok()
    }

    /// Ends it as an operator would, and returns how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let began = Instant::now();
        loop {
            if let Some(status) = self.exit_status() {
                return status;
            }
            if began.elapsed() > END {
                eprintln!("{} did not end in {END:?} after SIGTERM: killed", self.name);
                return self.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> ExitStatus {
        // Gone already is as good.
        drop(self.child.kill());
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts programs from one thread that never ends: the kernel's "parent is gone" means the
/// thread, and the thread of a test ends while a program that several tests share goes on.
fn spawn(command: Command) -> std::io::Result<Child> {
    static ORDERS: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                // Whoever asked waits for the answer.
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(sender)
    });
    let (answer, child) = mpsc::channel();
    let orders = orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    orders.send((command, answer)).expect("the spawning thread runs");
    child.recv().expect("the spawning thread answers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_ends_when_dropped() {
        let folder = crate::scratch::Scratch::new("process");
        let mut command = Command::new("sleep");
        command.arg("600");
        let daemon = Daemon::start("sleep", &command, &folder.path().join("log"));
        let proc = PathBuf::from(format!("/proc/{}", daemon.pid()));
        assert!(proc.exists());
        drop(daemon);
        assert!(!proc.exists());
    }

    #[test]
    #[should_panic(expected = "ended")]
    fn a_daemon_that_ends_early_is_told() {
        let folder = crate::scratch::Scratch::new("process");
        let mut daemon = Daemon::start("false", &Command::new("false"), &folder.path().join("log"));
        daemon.wait_for_port(crate::ports::free(), Duration::from_secs(20));
    }
}
