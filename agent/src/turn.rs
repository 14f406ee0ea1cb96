//! Everything the agent ever does, from top to bottom.
//!
//! The poller ([`poll`]) repeats: ask the executor how it stands → ask the portal → offer the answer
//! to the executor; and on a second thread: fetch what is to be told → tell the portal → say so.
//!
//! The executor ([`execute`]) answers the poller, works on what it accepted, and looks at the host
//! now and then. A stop ends both at any time; the journal says where the next start goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

use crate::{
    cli::CliError,
    clock::{Clock, SystemClock},
    config::Config,
    executor::Executor,
    poller::Poller,
    socket::{Answerer, Listener, Peers},
};

/// How long running jobs may go on after a stop was ordered. What does not rest by then goes on from
/// the journal at the next start; systemd ends the children with us.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// How often the main threads look around.
const TICK: Duration = Duration::from_millis(500);
/// How often an executor that is not enrolled looks whether it is by now.
const ENROLLMENT_TICKS: u32 = 4;

/// The poller's life.
///
/// # Errors
/// When its files or settings cannot be used.
pub fn poll(config: &Config) -> Result<(), CliError> {
    let stop = stop_signal()?;
    let poller = Poller::new(config, Arc::new(SystemClock));
    let watched = Arc::clone(&poller);
    let watcher = thread::Builder::new()
        .name("watch".into())
        .spawn(move || {
            notify(&[NotifyState::Ready]);
            let mut watchdog = Watchdog::new();
            while !watched.is_stopping() {
                watchdog.feed();
                if stop.load(Ordering::SeqCst) {
                    tracing::info!("stopping");
                    notify(&[NotifyState::Stopping]);
                    watched.stop();
                }
                thread::sleep(TICK);
            }
        })
        .map_err(CliError::thread)?;
    let ended = poller.run(config);
    poller.stop();
    if watcher.join().is_err() {
        tracing::error!("the watching thread has panicked");
    }
    ended.map_err(CliError::from)
}

/// The executor's life.
///
/// # Errors
/// When the journal does not work any more; the next start goes on from it.
pub fn execute(
    executor: &Arc<Executor>,
    listener: Listener,
    peers: Peers,
    workers: u32,
) -> Result<(), CliError> {
    let stop = stop_signal()?;
    let mut threads = Vec::new();
    let mut spawn = |name: String, work: Box<dyn FnOnce() + Send>| {
        thread::Builder::new()
            .name(name)
            .spawn(work)
            .map(|t| threads.push(t))
            .map_err(CliError::thread)
    };
    for number in 1..=workers {
        let worker = Arc::clone(executor);
        spawn(format!("worker-{number}"), Box::new(move || worker.work()))?;
    }
    let looker = Arc::clone(executor);
    spawn("inventory".into(), Box::new(move || looker.keep_inventory()))?;
    let server = Arc::clone(executor);
    spawn(
        "accept".into(),
        Box::new(move || {
            let answerer: Arc<dyn Answerer> = Arc::clone(&server) as Arc<dyn Answerer>;
            if let Err(error) = listener.serve(peers, &answerer, &server.stop_flag()) {
                tracing::error!(%error, "the socket does not work");
                server.stop();
            }
        }),
    )?;
    notify(&[NotifyState::Ready]);
    tracing::info!(workers, "the executor is ready");
    watch(executor, &stop);
    rest(executor);
    match executor.broken() {
        Some(why) => Err(CliError::journal_broke(&why)),
        None => Ok(()),
    }
}

/// Until a stop is ordered or the journal breaks.
fn watch(executor: &Arc<Executor>, stop: &AtomicBool) {
    let mut watchdog = Watchdog::new();
    let mut ticks = 0u32;
    while !executor.is_stopping() {
        // `busy` takes the lock that every thread needs: a deadlock would starve the watchdog.
        let busy = executor.busy();
        watchdog.feed();
        if stop.load(Ordering::SeqCst) {
            tracing::info!(busy, "stopping; running jobs have {} s", STOP_GRACE.as_secs());
            notify(&[NotifyState::Stopping]);
            executor.stop();
        }
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(ENROLLMENT_TICKS)
            && let Err(error) = executor.load_enrollment()
        {
            tracing::error!(%error, "the enrollment cannot be used");
        }
        thread::sleep(TICK);
    }
}

/// Gives running jobs their grace. A thread that does not end is left behind: the process ends, and
/// the journal knows.
fn rest(executor: &Arc<Executor>) {
    let begun = Instant::now();
    while executor.busy() > 0 && begun.elapsed() < STOP_GRACE && executor.broken().is_none() {
        thread::sleep(Duration::from_millis(100));
    }
    if executor.busy() > 0 {
        tracing::warn!(
            jobs = executor.busy(),
            "stopped within a job; the next start goes on from the journal"
        );
    }
}

/// Set by SIGTERM and SIGINT. A second signal ends the process at once.
fn stop_signal() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(CliError::signal)?;
    }
    Ok(stop)
}

/// Tells systemd that we are alive, as often as it wants to hear it.
struct Watchdog {
    every: Option<Duration>,
    last: Instant,
}

impl Watchdog {
    fn new() -> Self {
        Self {
            every: sd_notify::watchdog_enabled().map(|timeout| timeout / 3),
            last: Instant::now(),
        }
    }

    fn feed(&mut self) {
        if let Some(every) = self.every
            && self.last.elapsed() >= every
        {
            notify(&[NotifyState::Watchdog]);
            self.last = Instant::now();
        }
    }
}

/// Shows a line in `systemctl status`.
pub fn notify_status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Time as the machine knows it, for commands.
#[must_use]
pub fn host_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
