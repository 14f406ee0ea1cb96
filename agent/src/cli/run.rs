//! `freehold-agent run`, and what all long-running commands begin with.

use std::{
    os::unix::{net::UnixStream, process::CommandExt},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt::layer, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{CliError, Common};
use crate::{
    config::{Config, LogFormat},
    exit::Exit,
};

/// Pause before a half that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// How long the halves may take to stop beyond the executor's own grace.
const STOP_SLACK: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(100);
/// How long the poller's start waits for the executor's socket.
const SOCKET_WAIT: Duration = Duration::from_secs(10);
const SOCKET_TICK: Duration = Duration::from_millis(5);

/// Runs both halves as two processes over the socket and starts a half again that ends. For
/// development; under systemd each half is a service of its own.
#[derive(Debug, Args)]
pub struct Run {}

/// One half.
struct Half {
    name: &'static str,
    child: Child,
    ended_at: Option<Instant>,
}

impl Run {
    pub(super) fn run(&self, config: &Config, common: &Common) -> Result<Exit, CliError> {
        start_logging(config)?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // A second signal ends this process at once, and so, by their parent's end, both halves.
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
                .map_err(CliError::signal)?;
        }
        // The executor first: it makes the socket, without which the first poll would fail. systemd makes
        // it itself, before either half.
        let mut executor = Half::start("execute", common)?;
        executor.await_socket(config, &stop)?;
        let mut halves = [executor, Half::start("poll", common)?];
        while !stop.load(Ordering::SeqCst) {
            for half in &mut halves {
                half.look_after(common)?;
            }
            thread::sleep(TICK);
        }
        tracing::info!("stopping both halves");
        for half in &halves {
            half.terminate();
        }
        let grace = Duration::from_secs(config.stop_grace_secs.into());
        let until = Instant::now() + grace + STOP_SLACK;
        for half in &mut halves {
            half.wait(until)?;
        }
        Ok(Exit::Ok)
    }
}

impl Half {
    fn start(name: &'static str, common: &Common) -> Result<Self, CliError> {
        Ok(Self { name, child: spawn(name, common)?, ended_at: None })
    }

    /// Waits until the executor listens. One that has ended or takes too long is not waited for: the
    /// poller says what is wrong.
    fn await_socket(&mut self, config: &Config, stop: &AtomicBool) -> Result<(), CliError> {
        let until = Instant::now() + SOCKET_WAIT;
        while UnixStream::connect(&config.socket).is_err()
            && !stop.load(Ordering::SeqCst)
            && self.child.try_wait().map_err(child_error)?.is_none()
            && Instant::now() < until
        {
            thread::sleep(SOCKET_TICK);
        }
        Ok(())
    }

    fn look_after(&mut self, common: &Common) -> Result<(), CliError> {
        match self.ended_at {
            None => {
                if let Some(status) = self.child.try_wait().map_err(child_error)? {
                    tracing::error!(half = self.name, %status, "a half ended; it is started again");
                    self.ended_at = Some(Instant::now());
                }
            }
            Some(at) if at.elapsed() >= RESTART_PAUSE => {
                self.child = spawn(self.name, common)?;
                self.ended_at = None;
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn terminate(&self) {
        if self.ended_at.is_none()
            && let Some(pid) = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0))
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            tracing::debug!(half = self.name, %error, "already gone");
        }
    }

    fn wait(&mut self, until: Instant) -> Result<(), CliError> {
        while self.ended_at.is_none() && self.child.try_wait().map_err(child_error)?.is_none() {
            if Instant::now() >= until {
                tracing::warn!(half = self.name, "did not stop in time and is killed");
                self.child.kill().map_err(child_error)?;
            }
            thread::sleep(TICK);
        }
        Ok(())
    }
}

/// Our own program in another role. The one process that is not a host command, and so does not go
/// through the runner.
fn spawn(role: &str, common: &Common) -> Result<Child, CliError> {
    let own = std::env::current_exe().map_err(child_error)?;
    let mut command = Command::new(own);
    command.arg(role).arg("--with-parent").stdin(Stdio::null());
    if let Some(config) = &common.config {
        command.arg("--config").arg(config);
    }
    for set in &common.set {
        command.arg("--set").arg(set);
    }
    // Of its own group: a Ctrl-C in the terminal must not reach a half besides our own order, or it
    // would be its second signal.
    command.process_group(0);
    command.spawn().map_err(child_error)
}

fn child_error(source: std::io::Error) -> CliError {
    CliError::new(
        Exit::Failed,
        format!("a half of the agent cannot be run: {source}"),
        "look at the limits of processes and memory",
    )
}

/// Has the kernel end this process when its parent ends, so that `run` leaves nothing behind even
/// when it is killed.
pub(super) fn end_with_parent() -> Result<(), CliError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| CliError::signal(error.into()))
}

/// Starts the log on standard error, from where journald takes it.
pub(super) fn start_logging(config: &Config) -> Result<(), CliError> {
    let filter: Targets = config.log.parse().map_err(|error| {
        CliError::new(
            Exit::Usage,
            format!("log: \"{}\" is not a log filter: {error}", config.log),
            "use for example info, or info,freehold_agent::poller=debug",
        )
    })?;
    let lines = layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Json => lines.json().boxed(),
        // journald stamps lines itself, and shows no colours.
        LogFormat::Text if std::env::var_os("JOURNAL_STREAM").is_some() => {
            lines.without_time().with_ansi(false).boxed()
        }
        LogFormat::Text => lines.with_ansi(rustix::termios::isatty(std::io::stderr())).boxed(),
    };
    let started = Registry::default().with(lines).with(filter).try_init();
    started.map_err(|error| CliError::new(Exit::Failed, error.to_string(), "please report this"))
}
