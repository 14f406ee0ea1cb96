//! The root half of the agent: it verifies every answer of the portal itself, keeps the journal, and
//! has the engine carry the jobs out. It has no network code but the probes of deployed sites.
//!
//! | module | what it holds |
//! |---|---|
//! | [`offer`] | from a portal's answer to recorded jobs |
//! | [`workers`] | from recorded jobs to reports |
//! | [`answer`] | the verbs of the socket |
//! | [`build`] | from the configuration to an executor |
//! | [`disk`] | counting what tenants have on the disk |
//! | `failed_poll` | the last poll that failed |
//! | [`inventory`] | what the portal is told on its own |
//! | [`portal_time`] | the clock by which jobs expire |
//! | [`upkeep`] | renewing certificates |

pub mod answer;
pub mod build;
pub mod disk;
mod failed_poll;
pub mod inventory;
pub mod offer;
pub mod portal_time;
mod report;
#[cfg(test)]
mod tests;
pub mod upkeep;
pub mod workers;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use freehold_protocol::{
    failure::Failure,
    ids::{JobId, Nonce, TenantId},
    keys::SigningKey,
    time::Timestamp,
    wire::{Head, Inventory},
};

use crate::{
    clock::Clock,
    identity::{self, IdentityError},
    journal::{Journal, JournalError, chain::JobRow, trust::Enrollment},
    runner::CancelToken,
    saga::engine::Engine,
};
use failed_poll::LastFailure;
use inventory::Survey;
use portal_time::PortalClock;
use upkeep::Upkeep;

/// Setting in the journal: whether the operator has drained the host.
pub const DRAINED: &str = "drained";
/// Setting in the journal: the last signed time.
const PORTAL_TIME: &str = "portal_time";

/// What an executor is made of.
#[derive(Debug)]
pub struct Parts {
    /// The journal.
    pub journal: Journal,
    /// What carries jobs out; its clock is `clock`.
    pub engine: Engine,
    /// Portal time.
    pub clock: Arc<PortalClock>,
    /// Looks at the host.
    pub survey: Box<dyn Survey>,
    /// Where the report key is.
    pub report_key: std::path::PathBuf,
    /// How many jobs run at the same time.
    pub workers: u32,
    /// Between two inventories.
    pub inventory_interval: Duration,
    /// When certificates are looked after.
    pub upkeep: Upkeep,
    /// Between two counts of what tenants have on the disk; none: never.
    pub measure_every: Option<Duration>,
}

/// The executor. Its threads share it.
#[derive(Debug)]
pub struct Executor {
    journal: Journal,
    engine: Engine,
    clock: Arc<PortalClock>,
    survey: Box<dyn Survey>,
    report_key: std::path::PathBuf,
    workers: u32,
    inventory_interval: Duration,
    upkeep: Upkeep,
    measure_every: Option<Duration>,
    live: Mutex<Live>,
    changed: Condvar,
    /// One offer at a time.
    offering: Mutex<()>,
    /// No job is begun any more, and no further step of those that run.
    stop: AtomicBool,
    /// The socket is no longer answered.
    closed: Arc<AtomicBool>,
    /// Ends what upkeep does, when everything stops.
    halt: CancelToken,
    /// Why the process must end at once, if it must.
    broken: Mutex<Option<String>>,
}

/// What changes while it runs. Everything that must survive is in the journal.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Who we are; none before the enrollment.
    enrolled: Option<Arc<Enrolled>>,
    head: Option<Head>,
    poll: Option<OpenPoll>,
    /// Accepted jobs that no worker has taken, in order.
    queue: Vec<JobRow>,
    running: BTreeMap<JobId, Running>,
    /// What is known of certificates; a copy of the journal's.
    certificates: upkeep::record::Records,
    /// Why what tenants have on the disk is not known, if counting did not work.
    not_measured: Option<Failure>,
    /// The tenant that upkeep works on.
    tended: Option<TenantId>,
    drained: bool,
    contact: LastContact,
    /// Since when there could have been contact: the start, or the enrollment.
    enrolled_since: Duration,
    failed_poll: LastFailure,
    /// The inventory to tell, and its number.
    inventory: Option<(u64, Box<Inventory>)>,
    /// Something has changed that an inventory should tell.
    look_again: bool,
}

/// A poll whose answer has not been offered yet.
#[derive(Debug)]
pub(crate) struct OpenPoll {
    /// Which the answer must repeat.
    nonce: Nonce,
    /// When it was drawn, on the clock since the machine's start: no answer is older than this.
    drawn_at: Duration,
}

/// The enrollment with the key that signs our reports.
#[derive(Debug)]
pub(crate) struct Enrolled {
    pub(crate) by: Enrollment,
    pub(crate) key: SigningKey,
}

/// The last contact that passed every check.
#[derive(Debug)]
pub(crate) struct LastContact {
    /// When, on the clock since the machine's start.
    at: Option<Duration>,
    interval: Duration,
    conflict: bool,
    drain: bool,
    refusal: Option<String>,
}

impl Default for LastContact {
    fn default() -> Self {
        // The interval of a portal that has not said otherwise.
        let interval = Duration::from_secs(60);
        Self { at: None, interval, conflict: false, drain: false, refusal: None }
    }
}

/// A job in the hands of a worker.
#[derive(Debug)]
pub(crate) struct Running {
    row: JobRow,
    cancel: CancelToken,
    step: String,
    undoing: bool,
    done: u32,
    total: u32,
    progress_at: Timestamp,
}

/// Why there is no executor.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The report key.
    #[error(transparent)]
    Key(#[from] IdentityError),
}

impl Executor {
    /// Puts an executor together and takes up what the journal says.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(parts: Parts) -> Result<Arc<Self>, StartError> {
        let executor = Self {
            journal: parts.journal,
            engine: parts.engine,
            clock: parts.clock,
            survey: parts.survey,
            report_key: parts.report_key,
            workers: parts.workers,
            inventory_interval: parts.inventory_interval,
            upkeep: parts.upkeep,
            measure_every: parts.measure_every,
            live: Mutex::default(),
            changed: Condvar::new(),
            offering: Mutex::new(()),
            stop: AtomicBool::new(false),
            closed: Arc::new(AtomicBool::new(false)),
            halt: CancelToken::new(),
            broken: Mutex::new(None),
        };
        if let Some(text) = executor.journal.setting(PORTAL_TIME)? {
            executor.clock.restore(&text);
        }
        // Events of jobs that have rested for a month have served their purpose. How long ago that was
        // is not for the host's clock to say.
        if let Some(now) = executor.clock.certain() {
            executor.journal.prune(now.plus_secs(-30 * 86_400))?;
        }
        {
            let mut live = executor.live();
            live.certificates = upkeep::record::load(&executor.journal)?;
            live.drained = executor.journal.setting(DRAINED)?.as_deref() == Some("yes");
            live.queue = executor
                .journal
                .open_jobs()?
                .into_iter()
                .filter(|row| row.state != crate::journal::chain::JobState::Stuck)
                .collect();
        }
        executor.load_enrollment()?;
        Ok(Arc::new(executor))
    }

    /// Reads the enrollment, when there is one by now. Called again while there is none, since
    /// `enroll` is another process.
    ///
    /// # Errors
    /// When the journal or the key file cannot be used.
    pub fn load_enrollment(&self) -> Result<bool, StartError> {
        if self.live().enrolled.is_some() {
            return Ok(true);
        }
        let Some(by) = self.journal.enrollment()? else { return Ok(false) };
        let key = identity::read_signing_key(&self.report_key)?;
        let epoch = by.trust.document().epoch;
        let head = match self.journal.head(by.receipt.agent_id)? {
            Some((head, _)) if head.epoch >= epoch => head,
            _ if by.receipt.head.epoch >= epoch => by.receipt.head,
            _ => Head::start_of(epoch),
        };
        tracing::info!(host = %by.receipt.host_name, portal = %by.portal_url, seq = head.seq, "enrolled");
        let mut live = self.live();
        live.head = Some(head);
        live.enrolled_since = self.clock.since_boot();
        live.enrolled = Some(Arc::new(Enrolled { by, key }));
        live.look_again = true;
        drop(live);
        self.changed.notify_all();
        Ok(true)
    }

    /// Set when the socket is no longer to be answered. That is later than [`Self::stop`]: while the
    /// last steps end, the poller still renews the leases of their jobs and tells their events.
    #[must_use]
    pub fn closed_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closed)
    }

    /// Begins to stop: no job is begun any more, and those that run stop after their current step.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.engine.halt();
        self.halt.cancel();
        self.nudge();
    }

    /// Stops answering the socket.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.nudge();
    }

    /// Waits until something changes, for `longest` at most; says whether it is stopping. It does not
    /// wait at all when it is, or when `hurry` says so.
    #[must_use]
    pub fn pause(&self, longest: Duration, hurry: impl Fn() -> bool) -> bool {
        let live = self.live();
        if !self.is_stopping() && !hurry() {
            drop(self.changed.wait_timeout(live, longest));
        }
        self.is_stopping()
    }

    /// Makes every thread that waits look around.
    pub fn nudge(&self) {
        // Under the lock, so that nobody who has just looked goes to sleep on it.
        drop(self.live());
        self.changed.notify_all();
    }

    /// Whether it is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// How many jobs are in the hands of workers, and tenants in those of upkeep.
    #[must_use]
    pub fn busy(&self) -> usize {
        let live = self.live();
        live.running.len() + usize::from(live.tended.is_some())
    }

    /// Why it must end, if it must.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The journal does not work: nothing may be acknowledged or changed any more. The next start
    /// goes on from what is on disk.
    pub(crate) fn break_down(&self, why: &dyn std::error::Error) {
        self.end_with(format!("the journal does not work any more: {}", crate::cli::chain_of(why)));
    }

    /// Ends the process with an error, at once: what it thinks and what is on disk may differ.
    pub(crate) fn end_with(&self, why: String) {
        tracing::error!(error = %why, "the executor ends");
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.stop();
        self.close();
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
