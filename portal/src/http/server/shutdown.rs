//! Graceful end: who is connected, who is idle, and how everybody learns that it is over.

use std::collections::HashMap;
use std::fmt;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tells whether the server is shutting down. Cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct ShutdownSignal(Arc<AtomicBool>);

impl ShutdownSignal {
    /// Says whether the shutdown has begun.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns a signal that is never set, for tests.
    pub fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }
}

/// Ends a running server from another thread.
#[derive(Debug, Clone)]
pub struct ShutdownHandle(pub(super) Arc<Control>);

impl ShutdownHandle {
    /// Begins the shutdown and returns at once: nothing more is accepted, idle connections are closed,
    /// and the callbacks run. `Server::run` returns when the requests in hand are done or the grace is
    /// over. A second call does nothing.
    pub fn shutdown(&self) {
        self.0.begin();
    }

    /// Runs `callback` when the shutdown begins (at once if it has begun): to wake threads that are
    /// parked on a condition variable and would not look at the signal soon enough.
    pub fn on_shutdown(&self, callback: impl Fn() + Send + Sync + 'static) {
        let callback: Callback = Arc::new(callback);
        self.0.lock().callbacks.push(Arc::clone(&callback));
        if self.signal().is_set() {
            callback();
        }
    }

    /// Returns the signal to ask.
    pub fn signal(&self) -> ShutdownSignal {
        self.0.signal()
    }
}

type Callback = Arc<dyn Fn() + Send + Sync>;

/// A connection that has been idle for so long may be closed in favour of a new one.
const SPARE_AFTER: Duration = Duration::from_secs(1);
/// The mark of a connection that is not idle.
const BUSY: u64 = 0;

/// One connection, as the shutdown sees it.
#[derive(Debug)]
pub(super) struct Entry {
    socket: Arc<TcpStream>,
    accepted: Instant,
    /// Milliseconds from `accepted` to the moment since which it waits for a request, plus one; or
    /// [`BUSY`].
    idle_since: AtomicU64,
}

impl Entry {
    /// Marks whether the connection waits for a request. Both this and the signal are sequentially
    /// consistent, so that either `begin` sees the idle mark or the caller sees the signal after it.
    pub(super) fn set_idle(&self, idle: bool) {
        let mark = if idle { self.age_millis() + 1 } else { BUSY };
        self.idle_since.store(mark, Ordering::SeqCst);
    }

    fn age_millis(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// How long the connection has waited for a request; `None` while it has one in hand.
    fn idle_for(&self) -> Option<Duration> {
        match self.idle_since.load(Ordering::SeqCst) {
            BUSY => None,
            mark => Some(Duration::from_millis(self.age_millis().saturating_sub(mark - 1))),
        }
    }
}

#[derive(Default)]
struct State {
    connections: HashMap<u64, Arc<Entry>>,
    next: u64,
    callbacks: Vec<Callback>,
    listener: Option<Arc<TcpListener>>,
}

/// What server, connections and handle share.
pub(super) struct Control {
    stopping: Arc<AtomicBool>,
    state: Mutex<State>,
    changed: Condvar,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("stopping", &self.stopping).finish_non_exhaustive()
    }
}

impl Control {
    pub(super) fn new(listener: Arc<TcpListener>) -> Arc<Self> {
        let state = State { listener: Some(listener), ..State::default() };
        Arc::new(Self {
            stopping: Arc::new(AtomicBool::new(false)),
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    pub(super) fn signal(&self) -> ShutdownSignal {
        ShutdownSignal(Arc::clone(&self.stopping))
    }

    pub(super) fn add(&self, socket: Arc<TcpStream>) -> (u64, Arc<Entry>) {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let idle_since = AtomicU64::new(BUSY);
        let entry = Arc::new(Entry { socket, accepted: Instant::now(), idle_since });
        state.connections.insert(id, Arc::clone(&entry));
        (id, entry)
    }

    pub(super) fn remove(&self, id: u64) {
        let mut state = self.lock();
        state.connections.remove(&id);
        if state.connections.is_empty() {
            self.changed.notify_all();
        }
    }

    /// Waits until the shutdown begins; false when the time is over first.
    pub(super) fn wait_for_begin(&self, at_most: Duration) -> bool {
        let state = self.lock();
        let running = |_: &mut State| !self.stopping.load(Ordering::SeqCst);
        let waited = self.changed.wait_timeout_while(state, at_most, running);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.stopping.load(Ordering::SeqCst)
    }

    /// Waits until no connection is left, and returns how many are when the time is over.
    pub(super) fn wait_for_end(&self, at_most: Duration) -> usize {
        let busy = |state: &mut State| !state.connections.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), at_most, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.connections.len()
    }

    /// Closes every socket that is left, which ends its thread at its next read or write.
    pub(super) fn close_all(&self) {
        for entry in self.lock().connections.values() {
            close(&entry.socket, Shutdown::Both);
        }
    }

    /// Makes room for a new connection by closing the one that has been idle for longest; false when
    /// none has been idle for a second. Somebody who opens connections and says nothing can so keep
    /// nobody out; a parked long poll is a request in hand, and is never closed.
    pub(super) fn close_longest_idle(&self) -> bool {
        let state = self.lock();
        let longest = state
            .connections
            .values()
            .filter_map(|entry| Some((entry.idle_for()?, entry)))
            .filter(|(idle, _)| *idle >= SPARE_AFTER)
            .max_by_key(|(idle, _)| *idle);
        let Some((_, entry)) = longest else { return false };
        // Its thread takes a moment to end; until then it must not be chosen again.
        entry.idle_since.store(BUSY, Ordering::SeqCst);
        close(&entry.socket, Shutdown::Read);
        true
    }

    fn begin(&self) {
        if self.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        let began = Instant::now();
        let mut state = self.lock();
        if let Some(listener) = state.listener.take() {
            // On Linux this wakes a blocked accept with EINVAL and refuses new connections.
            if let Err(error) = rustix::net::shutdown(&*listener, rustix::net::Shutdown::Both) {
                tracing::debug!(%error, "the listening socket was closed already");
            }
        }
        // Only the reading side: a request that arrived this moment is still answered.
        for entry in state.connections.values() {
            if entry.idle_for().is_some() {
                close(&entry.socket, Shutdown::Read);
            }
        }
        let open = state.connections.len();
        let callbacks = state.callbacks.clone();
        drop(state);
        self.changed.notify_all();
        for callback in callbacks {
            callback();
        }
        tracing::info!(open, took = ?began.elapsed(), "HTTP server is shutting down");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shuts a socket down; one that the client has closed already needs nothing.
pub(super) fn close(socket: &TcpStream, how: Shutdown) {
    if let Err(error) = socket.shutdown(how) {
        tracing::trace!(%error, "the socket was closed already");
    }
}
