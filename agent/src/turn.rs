//! Everything the agent ever does, from top to bottom.
//!
//! The poller ([`poll`]) repeats: ask the executor how it stands → ask the portal → offer the answer
//! to the executor; and on a second thread: fetch what is to be told → tell the portal → say so.
//!
//! The executor ([`execute`]) answers the poller, works on what it accepted, looks at the host now
//! and then, and renews certificates. A stop lets the steps that run end; the journal says where the
//! next start goes on.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
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

/// How long the last answers on the socket may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
/// How often the main threads look around when nothing wakes them. Whatever concerns them does; each
/// further wake-up of an idle host costs its processor more than what is done then.
const LOOK: Duration = Duration::from_secs(600);
/// How often an executor that is not enrolled looks whether it is by now.
const ENROLLMENT_LOOK: Duration = Duration::from_secs(2);

/// The poller's life.
///
/// # Errors
/// When its files or settings cannot be used.
pub fn poll(config: &Config) -> Result<(), CliError> {
    let poller = Poller::new(config, Arc::new(SystemClock));
    let signalled = Arc::clone(&poller);
    on_stop_signal(move || {
        tracing::info!("stopping");
        notify(&[NotifyState::Stopping]);
        signalled.stop();
    })?;
    let watched = Arc::clone(&poller);
    let watcher = thread::Builder::new()
        .name("watch".into())
        .spawn(move || {
            notify(&[NotifyState::Ready]);
            let mut watchdog = Watchdog::new();
            loop {
                watchdog.feed();
                if watched.pause(watchdog.within(LOOK)) {
                    break;
                }
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
    stop_grace: Duration,
) -> Result<(), CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, signalled) = (Arc::clone(&stop), Arc::clone(executor));
    on_stop_signal(move || {
        flag.store(true, Ordering::SeqCst);
        signalled.nudge();
    })?;
    let bell = listener.bell();
    let spawn = |name: String, work: Box<dyn FnOnce() + Send>| {
        let watched = Arc::clone(executor);
        let life = {
            let name = name.clone();
            move || {
                // A defect must not leave a job behind that nobody drives: the process ends, and the
                // next start counts the open step as tried once more.
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    watched.end_with(format!("the thread {name} met a defect of this program"));
                }
            }
        };
        thread::Builder::new().name(name).spawn(life).map_err(CliError::thread)
    };
    for number in 1..=workers {
        let worker = Arc::clone(executor);
        spawn(format!("worker-{number}"), Box::new(move || worker.work()))?;
    }
    let looker = Arc::clone(executor);
    spawn("inventory".into(), Box::new(move || looker.keep_inventory()))?;
    let keeper = Arc::clone(executor);
    spawn("upkeep".into(), Box::new(move || keeper.keep_up()))?;
    let measurer = Arc::clone(executor);
    spawn("disk".into(), Box::new(move || measurer.keep_measuring()))?;
    let server = Arc::clone(executor);
    let accepting = spawn(
        "accept".into(),
        Box::new(move || {
            let answerer: Arc<dyn Answerer> = Arc::clone(&server) as Arc<dyn Answerer>;
            if let Err(error) = listener.serve(peers, &answerer, &server.closed_flag()) {
                server.end_with(format!("the socket does not work: {error}"));
            }
        }),
    )?;
    notify(&[NotifyState::Ready]);
    tracing::info!(workers, "the executor is ready");
    let mut watchdog = Watchdog::new();
    watch(executor, &stop, stop_grace, &mut watchdog);
    rest(executor, stop_grace, &mut watchdog);
    executor.close();
    bell.ring();
    let begun = Instant::now();
    while !accepting.is_finished() && begun.elapsed() < CLOSE_LIMIT {
        thread::sleep(Duration::from_millis(20));
    }
    match executor.broken() {
        Some(why) => Err(CliError::executor_broke(&why)),
        None => Ok(()),
    }
}

/// Until a stop is ordered or the journal breaks.
fn watch(
    executor: &Arc<Executor>,
    stop: &AtomicBool,
    stop_grace: Duration,
    watchdog: &mut Watchdog,
) {
    loop {
        // `busy` takes the lock that every thread needs: a deadlock would starve the watchdog.
        let busy = executor.busy();
        watchdog.feed();
        if stop.load(Ordering::SeqCst) {
            tracing::info!(
                busy,
                "stopping; the steps that run have {} s to end, a second signal ends them at once",
                stop_grace.as_secs()
            );
            notify(&[NotifyState::Stopping]);
            executor.stop();
        }
        let enrolled = executor.load_enrollment().unwrap_or_else(|error| {
            tracing::error!(%error, "the enrollment cannot be used");
            false
        });
        let look = if enrolled { LOOK } else { ENROLLMENT_LOOK };
        if executor.pause(watchdog.within(look), || stop.load(Ordering::SeqCst)) {
            return;
        }
    }
}

/// Lets the steps that run end. One that takes too long is left behind: the process ends, systemd
/// ends its children with it, and the next start runs the step again.
fn rest(executor: &Arc<Executor>, stop_grace: Duration, watchdog: &mut Watchdog) {
    let begun = Instant::now();
    while executor.busy() > 0 && begun.elapsed() < stop_grace && executor.broken().is_none() {
        watchdog.feed();
        thread::sleep(Duration::from_millis(100));
    }
    if executor.busy() > 0 {
        tracing::warn!(
            jobs = executor.busy(),
            "stopped within a step; the next start goes on from the journal"
        );
    }
}

/// Calls `stop` at SIGTERM or SIGINT, on a thread that sleeps until then. A second signal ends the
/// process at once.
fn on_stop_signal(stop: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let told = Arc::new(AtomicBool::new(false));
    let signals = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT];
    for signal in signals {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&told))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&told)))
            .map_err(CliError::signal)?;
    }
    let mut signals = signal_hook::iterator::Signals::new(signals).map_err(CliError::signal)?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_some() {
                stop();
            }
        })
        .map(drop)
        .map_err(CliError::thread)
}

/// Tells systemd that we are alive, as often as it wants to hear it.
struct Watchdog {
    every: Option<Duration>,
    last: Instant,
}

impl Watchdog {
    fn new() -> Self {
        Self {
            // As sd_watchdog_enabled(3) wants it.
            every: sd_notify::watchdog_enabled().map(|timeout| timeout / 2),
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

    /// How long a thread that feeds it may sleep that would sleep as long as `longest`. What woke it
    /// early has not fed it: with a whole interval from then on it could come as late as systemd's limit.
    fn within(&self, longest: Duration) -> Duration {
        self.every.map_or(longest, |every| every.saturating_sub(self.last.elapsed()).min(longest))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_woken_early_still_feeds_the_watchdog_in_time() {
        let every = Duration::from_secs(45);
        let fed = |ago| Watchdog { every: Some(every), last: Instant::now() - ago };
        let just_before = fed(every - Duration::from_millis(500));
        assert!(just_before.within(LOOK) <= Duration::from_millis(500));
        assert_eq!(fed(every * 3).within(LOOK), Duration::ZERO);
        assert_eq!(fed(Duration::ZERO).within(ENROLLMENT_LOOK), ENROLLMENT_LOOK);
        assert_eq!(Watchdog { every: None, last: Instant::now() }.within(LOOK), LOOK);
    }
}
