//! `freehold serve`: opens the portal, answers until it is told to stop, and loses nothing on the way out.

use std::{
    fmt, io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use freehold_protocol::secret::Secret;
use sd_notify::NotifyState;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

use crate::{
    app,
    clock::SystemClock,
    config::Config,
    context::{OpenError, Portal},
    error,
    http::{
        handler::PortalHandler,
        server::{BindError, ReloadableCert, Server, ShutdownHandle},
    },
    licensing::Desk,
};

/// How often leases, expiries and stale jobs are looked at.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// How often it is written down when agents were last there; a crash loses so much of it.
const SAVE_SEEN_EVERY: Duration = Duration::from_secs(2);
/// How often old history is taken away.
const SWEEP_EVERY: Duration = Duration::from_secs(300);
/// How often old logs of tenants' apps are taken away: a flood fills a disk in minutes.
const SWEEP_LOGS_EVERY: Duration = Duration::from_secs(20);
/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the housekeeping thread looks whether it should end.
const TICK: Duration = Duration::from_millis(100);

/// Why the portal ended other than by being told to.
#[derive(Debug)]
pub enum ServeError {
    /// It did not start.
    Open(OpenError),
    /// It cannot listen.
    Bind(BindError),
    /// A thread or signal handler was not set up.
    Setup(io::Error),
    /// At the first start, nobody could be shown the owner's token.
    Unseen(io::Error),
    /// The database cannot be written any more; a restart is needed once the disk is well.
    Storage(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => f.write_str("the portal did not start"),
            Self::Bind(_) => f.write_str("the portal cannot listen"),
            Self::Setup(_) => f.write_str("the portal could not be set up"),
            Self::Unseen(_) => f.write_str(
                "the owner's token could not be printed, so it was taken back: start the portal with standard output \
                 where you can read it, and it prints a new one",
            ),
            Self::Storage(reason) => {
                write!(f, "the portal stopped because its database cannot be written: {reason}; see to the disk of the data folder, then start \
                     the portal again: nothing that was acknowledged is lost")
            }
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::Bind(error) => Some(error),
            Self::Setup(error) | Self::Unseen(error) => Some(error),
            Self::Storage(_) => None,
        }
    }
}

/// What is told once the portal listens.
#[derive(Debug)]
pub struct Started<'a> {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// How agents and admins reach it.
    pub url: String,
    /// The key folder.
    pub keys_dir: &'a Path,
    /// At the first start: the owner's token, to be shown once.
    pub owner_token: Option<Secret>,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// See [`ServeError`].
pub fn run(
    config: Config,
    started: impl FnOnce(Started<'_>) -> io::Result<()>,
) -> Result<(), ServeError> {
    let (portal, owner_token) =
        Portal::open(config, Arc::new(SystemClock)).map_err(ServeError::Open)?;
    let portal = Arc::new(portal);
    let server = Server::bind(portal.config.server()).map_err(ServeError::Bind)?;
    let shutdown = server.shutdown_handle();
    let room = Arc::clone(&portal.waiting_room);
    shutdown.on_shutdown(move || room.close());
    let signals =
        watch_signals(shutdown.clone(), server.certificate()).map_err(ServeError::Setup)?;
    let ending = Arc::new(AtomicBool::new(false));
    let housekeeping = start_housekeeping(Arc::clone(&portal), shutdown, Arc::clone(&ending))
        .map_err(ServeError::Setup)?;
    let sweeping =
        start_sweeping(Arc::clone(&portal), Arc::clone(&ending)).map_err(ServeError::Setup)?;
    let handler = PortalHandler::new(Arc::clone(&portal), server.stats());
    let first = owner_token.is_some();
    let told = started(Started {
        address: server.local_addr(),
        url: portal.config.public_url(),
        keys_dir: &portal.config.keys_dir(),
        owner_token,
    });
    match told {
        // Nobody has seen the only token: the portal would be locked for everybody.
        Err(source) if first => {
            let taken_back = portal.db.write(app::tokens::take_back_first_owner);
            ending.store(true, Ordering::SeqCst);
            portal.db.close();
            portal.ingest.close();
            taken_back.map_err(|error| ServeError::Open(OpenError::Prepare(error)))?;
            return Err(ServeError::Unseen(source));
        }
        Err(error) => tracing::warn!(%error, "standard output cannot be written"),
        Ok(()) => {}
    }
    tell_systemd(&[NotifyState::Ready, NotifyState::Status("serving")]);
    tracing::info!(address = %server.local_addr(), url = %portal.config.public_url(), "the portal serves");

    let ended = server.run(handler);

    tell_systemd(&[NotifyState::Stopping]);
    ending.store(true, Ordering::SeqCst);
    signals.close();
    for thread in [housekeeping, sweeping] {
        if thread.join().is_err() {
            tracing::error!("a housekeeping thread had panicked");
        }
    }
    // Writes that wait are finished here: what was acknowledged is on the disk.
    portal.db.close();
    portal.ingest.close();
    tracing::info!(cut = ended.cut, left = ended.left, "the portal has ended");
    portal.db.fatal().map_or(Ok(()), |reason| Err(ServeError::Storage(reason)))
}

fn tell_systemd(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell; with it, the message is a datagram that is lost at worst.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// SIGTERM and SIGINT end the portal, SIGHUP takes a renewed certificate.
fn watch_signals(
    shutdown: ShutdownHandle,
    certificate: Option<Arc<ReloadableCert>>,
) -> io::Result<Handle> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => {
                    if let Some(certificate) = &certificate {
                        certificate.reload_if_changed();
                    }
                }
                _ => {
                    tracing::info!(signal, "ending: requests in hand are finished first");
                    shutdown.shutdown();
                }
            }
        }
    })?;
    Ok(handle)
}

/// Takes old history away, apart from everything that has to happen in time.
fn start_sweeping(
    portal: Arc<Portal>,
    ending: Arc<AtomicBool>,
) -> io::Result<thread::JoinHandle<()>> {
    let limits = app::retention::Limits::of(&portal.config);
    thread::Builder::new().name("sweeping".into()).spawn(move || {
        let stop = || ending.load(Ordering::SeqCst) || portal.db.fatal().is_some();
        let mut next = Instant::now();
        let (mut looked, mut swept) = (Instant::now(), Instant::now());
        while !ending.load(Ordering::SeqCst) {
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                portal.ingest.look_after();
            }
            if swept.elapsed() >= SWEEP_LOGS_EVERY && portal.ingest.check_writable().is_ok() {
                let (db, keep) = (portal.ingest.db(), portal.ingest.keep);
                let stop = || ending.load(Ordering::SeqCst) || db.fatal().is_some();
                if let Err(error) = app::ingest_retention::sweep(&db, &keep, &stop) {
                    tracing::error!(error = error::chain(&error), "old logs were not taken away");
                }
                swept = Instant::now();
            }
            if Instant::now() >= next {
                next = Instant::now() + SWEEP_EVERY;
                if let Err(error) = app::retention::sweep(&portal.db, &limits, &stop) {
                    tracing::error!(error = error::chain(&error), "old history was not taken away");
                }
            }
            thread::sleep(TICK);
        }
    })
}

/// Leases, expiries, stale jobs, the watchdog, and the end after a storage failure.
fn start_housekeeping(
    portal: Arc<Portal>,
    shutdown: ShutdownHandle,
    ending: Arc<AtomicBool>,
) -> io::Result<thread::JoinHandle<()>> {
    let watchdog = sd_notify::watchdog_enabled().map(|every| every / 3);
    thread::Builder::new().name("housekeeping".into()).spawn(move || {
        let (mut reaped, mut saved, mut barked) = (Instant::now(), Instant::now(), Instant::now());
        while !ending.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            if portal.db.fatal().is_some() {
                shutdown.shutdown();
            }
            // What changed by another way than through this process is seen well within a second.
            portal.licensing.look(&portal.db);
            if reaped.elapsed() >= REAP_EVERY {
                reaped = Instant::now();
                let done = app::reap::run(&portal).and_then(|()| Desk::upkeep(&portal));
                if let Err(error) = done {
                    tracing::error!(
                        error = error::chain(&error),
                        "housekeeping failed; it is tried again"
                    );
                }
            }
            if saved.elapsed() >= SAVE_SEEN_EVERY && portal.db.fatal().is_none() {
                saved = Instant::now();
                if let Err(error) = portal.db.save_seen() {
                    tracing::error!(
                        error = error::chain(&error),
                        "when agents were last there was not written; it is tried again"
                    );
                }
            }
            if watchdog.is_some_and(|every| barked.elapsed() >= every) {
                barked = Instant::now();
                tell_systemd(&[NotifyState::Watchdog]);
            }
        }
    })
}
