//! The unprivileged half of the agent: it carries bytes between the portal and the executor.
//!
//! It holds the identity key, which signs HTTP requests, and nothing else worth stealing. Whether an
//! answer is good is judged by the executor; the poller only learns the verdict.
//!
//! | module | what it holds |
//! |---|---|
//! | [`poll`] | the long poll, on a connection of its own |
//! | [`tell`] | events, reports and inventories, on another one |
//! | [`portal`] | the HTTP client |
//! | `tls` | certificate authorities |
//! | [`address`] | the portal's address |
//! | [`backoff`] | pauses after failures |
//! | `holding` | how long a poll may be held |

pub mod address;
pub mod backoff;
mod holding;
pub mod poll;
pub mod portal;
pub mod tell;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use freehold_protocol::time::Timestamp;

use self::portal::{Portal, PortalError, Signer};
use crate::{
    clock::Clock,
    config::Config,
    identity::{self, IdentityError, Paths},
    socket::Client,
};

/// How often an agent that is not enrolled looks whether it is by now.
const ENROLLMENT_PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether both threads still work. One that ends says so.
const WATCH: Duration = Duration::from_secs(600);
/// How long requests in hand may take once the poller is to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);
const STOP_TICK: Duration = Duration::from_millis(20);
/// A clock that is further off is told to people.
const NOTABLE_SKEW_MILLIS: i64 = 30_000;

/// What both threads of the poller share.
#[derive(Debug)]
pub struct Poller {
    executor: Client,
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
    woken: (Mutex<()>, Condvar),
    /// Portal time minus the host's clock, in milliseconds: requests are signed with portal time,
    /// and the host's clock is never set.
    offset_millis: AtomicI64,
    /// What `systemctl status` shows of us, set by the polling thread.
    state: Mutex<String>,
    max_backoff: Duration,
}

/// A portal that can be talked to.
#[derive(Debug, Clone)]
pub struct Line {
    /// The HTTP client. Clones share what is known of TLS; each request has a connection of its own, so
    /// that a long poll never holds up a report.
    pub portal: Portal,
    /// Who signs.
    pub signer: Arc<Signer>,
}

/// Why the poller ended.
#[derive(Debug, thiserror::Error)]
pub enum PollerError {
    /// A key or the portal's address.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address of the enrollment is not usable.
    #[error(transparent)]
    Address(#[from] address::AddressError),
    /// The HTTP client.
    #[error(transparent)]
    Portal(#[from] PortalError),
    /// No thread.
    #[error("no thread could be started")]
    Thread(#[source] std::io::Error),
    /// A defect.
    #[error("the thread {0} has panicked")]
    Panicked(String),
}

fn start(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, PollerError> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(PollerError::Thread)
}

/// Ends the poller when its thread ends, also by a panic.
struct EndsWith(Arc<Poller>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Poller {
    /// A poller that has not begun.
    #[must_use]
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            executor: Client::new(&config.socket),
            clock,
            stop: Arc::new(AtomicBool::new(false)),
            woken: (Mutex::new(()), Condvar::new()),
            offset_millis: AtomicI64::new(0),
            state: Mutex::new("starting".into()),
            max_backoff: Duration::from_secs(config.portal.max_backoff_secs.into()),
        })
    }

    /// Polls and tells until [`Self::stop`]. Waits for the enrollment first.
    ///
    /// # Errors
    /// See [`PollerError`].
    pub fn run(self: &Arc<Self>, config: &Config) -> Result<(), PollerError> {
        let Some((polling, telling)) = self.wait_for_lines(config)? else { return Ok(()) };
        let (poller, teller) = (EndsWith(Arc::clone(self)), EndsWith(Arc::clone(self)));
        let mut threads = vec![
            start("poll", move || poller.0.poll(&polling))?,
            start("tell", move || teller.0.tell(&telling))?,
        ];
        while !self.pause(WATCH) {
            if threads.iter().any(thread::JoinHandle::is_finished) {
                break;
            }
        }
        // A long poll or a slow upload may hang in the network for longer than anybody waits for a
        // restart. What is cut off is asked or told again: nothing here is held in memory alone.
        self.stop();
        let until = Instant::now() + STOP_GRACE;
        while Instant::now() < until && !threads.iter().all(thread::JoinHandle::is_finished) {
            thread::sleep(STOP_TICK);
        }
        threads.retain(thread::JoinHandle::is_finished);
        for thread in threads {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                return Err(PollerError::Panicked(name));
            }
        }
        Ok(())
    }

    /// The two connections, once the host is enrolled; nothing when stopped before.
    fn wait_for_lines(&self, config: &Config) -> Result<Option<(Line, Line)>, PollerError> {
        let paths = Paths::of_service(config);
        let mut told = false;
        loop {
            match self.lines(config, &paths) {
                Err(PollerError::Identity(IdentityError::Missing { path })) => {
                    if !told {
                        tracing::info!(
                            ?path,
                            "not enrolled yet; waiting for `freehold-agent enroll`"
                        );
                        self.say("waiting for `freehold-agent enroll`");
                        told = true;
                    }
                }
                other => return other.map(Some),
            }
            if self.pause(ENROLLMENT_PAUSE) {
                return Ok(None);
            }
        }
    }

    fn lines(&self, config: &Config, paths: &Paths) -> Result<(Line, Line), PollerError> {
        let file = identity::read_portal(&paths.portal)?;
        let key = identity::read_signing_key(&paths.identity)?;
        let signer = Arc::new(Signer { key, agent_id: file.agent_id });
        let address = address::parse(&file.url)?;
        tracing::info!(portal = %address, host = %file.host_name, agent = %file.agent_id, "polling");
        let polling = Line { portal: Portal::new(&config.portal, address)?, signer };
        Ok((polling.clone(), polling))
    }

    /// Ends both threads soon.
    pub fn stop(&self) {
        // Under the lock, so that nobody who has just looked goes to sleep on it.
        let guard = self.woken.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.stop.store(true, Ordering::SeqCst);
        drop(guard);
        self.woken.1.notify_all();
    }

    /// Whether it is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// What the poller says of itself.
    #[must_use]
    pub fn state(&self) -> String {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sleeps; says whether it was told to stop.
    pub(crate) fn pause(&self, duration: Duration) -> bool {
        let guard = self.woken.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.woken.1.wait_timeout_while(guard, duration, |()| !self.is_stopping());
        drop(waited);
        self.is_stopping()
    }

    fn say(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != text {
            text.clone_into(&mut state);
            drop(state);
            crate::turn::notify_status(text);
        }
    }

    /// Portal time as well as it is known.
    fn now(&self) -> Timestamp {
        self.clock.now().plus_millis(self.offset_millis.load(Ordering::SeqCst))
    }

    /// Takes a time of the portal for signing. Of an unsigned one (a `Date`) nothing depends but
    /// whether our own requests are accepted.
    fn set_portal_time(&self, portal: Timestamp) {
        let offset = portal.millis_since(self.clock.now());
        let before = self.offset_millis.swap(offset, Ordering::SeqCst);
        if offset.abs() > NOTABLE_SKEW_MILLIS && before.abs() <= NOTABLE_SKEW_MILLIS {
            tracing::warn!(
                seconds = offset / 1000,
                "the host's clock differs from the portal's; set it with `timedatectl set-ntp true`"
            );
        }
    }
}

/// The folder and files that a poller needs, for `doctor`.
#[must_use]
pub fn files(config: &Config) -> [PathBuf; 2] {
    let paths = Paths::of(config);
    [paths.identity, paths.portal]
}
