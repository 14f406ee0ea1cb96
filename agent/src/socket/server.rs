//! The answering side: the listener, the peer check, one thread per connection.

use std::{
    fs, io,
    os::{
        fd::AsFd,
        unix::{
            fs::{FileTypeExt, PermissionsExt, chown},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{ErrorCode, FrameError, Reply, Request, read_frame, write_frame};

/// Most connections of the poller at the same time: its two threads, and what is left of those before
/// a restart.
const MAX_POLLER_CONNECTIONS: usize = 8;
/// Most connections of the operator at the same time. Counted apart: a poller that was taken over must
/// not be able to keep the operator from looking.
const MAX_OPERATOR_CONNECTIONS: usize = 16;
/// How long a question may take to arrive in full, silence before it included, and an answer to leave.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the accepting thread looks whether it shall stop when nobody rings its [`Bell`]. An idle
/// host must not be woken for it.
const ACCEPT_TICK: Duration = Duration::from_secs(600);
/// Pause when descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Root, or the user that the executor itself runs as.
    Operator,
    /// The poller's account.
    Poller,
}

/// Which accounts may ask.
#[derive(Debug, Clone, Copy)]
pub struct Peers {
    /// The poller's account, when it is another one than the executor's.
    pub poller: Option<u32>,
}

impl Peers {
    /// What a peer with these credentials may be, if anything.
    #[must_use]
    pub fn judge(self, uid: u32) -> Option<Caller> {
        if uid == 0 || uid == rustix::process::geteuid().as_raw() {
            Some(Caller::Operator)
        } else if self.poller == Some(uid) {
            Some(Caller::Poller)
        } else {
            None
        }
    }
}

/// Answers questions; called from several threads.
pub trait Answerer: Send + Sync {
    /// Answers one.
    fn answer(&self, caller: Caller, request: Request) -> Reply;
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket could not be made.
    #[error("cannot listen on {path:?}")]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another executor listens there.
    #[error("another executor already listens on {path:?}")]
    Busy {
        /// Where.
        path: PathBuf,
    },
    /// Standard input was to be the socket and is not.
    #[error("systemd passed no listening socket as standard input")]
    Passed(#[source] io::Error),
}

/// The listening socket.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    /// Removed at the end, when we made it.
    own_path: Option<PathBuf>,
}

impl Listener {
    /// Takes the socket that systemd passes as standard input (`StandardInput=socket`): that way it
    /// comes as an owned descriptor, where `LISTEN_FDS` would need `unsafe` to claim number 3.
    ///
    /// # Errors
    /// [`ListenError::Passed`] when standard input is not a listening socket.
    pub fn passed() -> Result<Self, ListenError> {
        let stdin = io::stdin();
        let listening = rustix::net::sockopt::socket_acceptconn(&stdin)
            .map_err(|error| ListenError::Passed(error.into()))?;
        if !listening {
            return Err(ListenError::Passed(io::Error::other("it does not listen")));
        }
        let owned = stdin.as_fd().try_clone_to_owned().map_err(ListenError::Passed)?;
        Ok(Self { listener: UnixListener::from(owned), own_path: None })
    }

    /// Makes the socket, for root and the poller's account.
    ///
    /// # Errors
    /// [`ListenError::Busy`] when somebody answers there; a socket that nobody serves is replaced.
    pub fn bind(path: &Path, poller: Option<u32>) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Bind { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        if let Ok(data) = fs::symlink_metadata(path) {
            if !data.file_type().is_socket() {
                return Err(failed(io::Error::other("a file that is no socket is in the way")));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(ListenError::Busy { path: path.to_owned() });
            }
            fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        if let Some(uid) = poller.filter(|_| rustix::process::geteuid().is_root()) {
            chown(path, Some(uid), None).map_err(failed)?;
        }
        Ok(Self { listener, own_path: Some(path.to_owned()) })
    }

    /// What wakes [`Self::serve`] after its `stop` was set.
    #[must_use]
    pub fn bell(&self) -> Bell {
        let address = self.listener.local_addr().ok();
        Bell(address.and_then(|address| address.as_pathname().map(Path::to_owned)))
    }

    /// Accepts and answers until `stop`, then waits for the answers that are under way.
    ///
    /// # Errors
    /// When the socket itself fails.
    pub fn serve(
        &self,
        peers: Peers,
        answerer: &Arc<dyn Answerer>,
        stop: &Arc<AtomicBool>,
    ) -> io::Result<()> {
        self.listener.set_nonblocking(true)?;
        let open = Arc::new(Open::default());
        while !stop.load(Ordering::SeqCst) {
            let mut ready =
                [rustix::event::PollFd::new(&self.listener, rustix::event::PollFlags::IN)];
            let tick =
                rustix::event::Timespec { tv_sec: ACCEPT_TICK.as_secs().cast_signed(), tv_nsec: 0 };
            match rustix::event::poll(&mut ready, Some(&tick)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => {
                    // The peer gave up, or descriptors ran out: neither ends the executor.
                    tracing::warn!(%error, "a connection was not accepted");
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                }
            };
            let caller = match caller_of(&stream, peers) {
                Ok(caller) => caller,
                Err(error) => {
                    tracing::warn!(%error, "a connection on the socket was closed");
                    continue;
                }
            };
            let Some(place) = open.take(caller) else {
                tracing::warn!(?caller, "too many connections on the socket; one was closed");
                continue;
            };
            let answerer = Arc::clone(answerer);
            let spawned = thread::Builder::new().name("socket".into()).spawn(move || {
                let _place = place;
                if let Err(error) = converse(&stream, caller, answerer.as_ref(), TRANSFER_TIMEOUT) {
                    tracing::warn!(%error, "a connection on the socket was closed");
                }
            });
            if let Err(error) = spawned {
                tracing::error!(%error, "no thread for a connection");
            }
        }
        // A `next-report` that waits sees the stop within a second; others are shorter.
        for _ in 0..20 {
            if open.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Wakes a listener, so that it sees at once that it shall stop.
#[derive(Debug)]
pub struct Bell(Option<PathBuf>);

impl Bell {
    /// Rings: a connection that says nothing.
    pub fn ring(&self) {
        if let Some(path) = &self.0
            && let Err(error) = UnixStream::connect(path)
        {
            tracing::debug!(%error, "the listener is gone already");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.own_path
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(%error, "the socket was not removed");
        }
    }
}

/// Who is at the other end, by the kernel's word.
fn caller_of(stream: &UnixStream, peers: Peers) -> Result<Caller, FrameError> {
    let uid = rustix::net::sockopt::socket_peercred(stream)
        .map_err(|error| FrameError::Io(error.into()))?
        .uid
        .as_raw();
    peers
        .judge(uid)
        .ok_or_else(|| FrameError::Malformed(format!("user {uid} may not talk to the executor")))
}

/// How many connections each side has open.
#[derive(Debug, Default)]
struct Open {
    operator: AtomicUsize,
    poller: AtomicUsize,
}

impl Open {
    const fn of(&self, caller: Caller) -> (&AtomicUsize, usize) {
        match caller {
            Caller::Operator => (&self.operator, MAX_OPERATOR_CONNECTIONS),
            Caller::Poller => (&self.poller, MAX_POLLER_CONNECTIONS),
        }
    }

    /// A place for one more, if there is any.
    fn take(self: &Arc<Self>, caller: Caller) -> Option<Place> {
        let (count, most) = self.of(caller);
        let one_more = |now: usize| (now < most).then_some(now + 1);
        count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(Place { open: Arc::clone(self), caller })
    }

    fn is_empty(&self) -> bool {
        [&self.operator, &self.poller].iter().all(|count| count.load(Ordering::SeqCst) == 0)
    }
}

/// One open connection, until it is dropped.
#[derive(Debug)]
struct Place {
    open: Arc<Open>,
    caller: Caller,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.of(self.caller).0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers one connection's questions until it closes.
fn converse(
    stream: &UnixStream,
    caller: Caller,
    answerer: &dyn Answerer,
    limit: Duration,
) -> Result<(), FrameError> {
    stream.set_nonblocking(false).map_err(FrameError::Io)?;
    loop {
        let request = match read_frame::<Request>(&mut Timed::new(stream, limit)) {
            Ok(request) => request,
            Err(FrameError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let reply = answerer.answer(caller, request);
        match write_frame(&mut Timed::new(stream, limit), &reply) {
            // Nothing was written: say so, or the peer would ask the same for ever.
            Err(FrameError::Size { bytes }) => {
                let message = format!("the answer of {bytes} bytes does not fit a frame");
                let reply = Reply::Error { code: ErrorCode::TooLarge, message };
                write_frame(&mut Timed::new(stream, limit), &reply)?;
            }
            written => written?,
        }
    }
}

/// A stream whose reads and writes must all be over by one point in time: a peer that sends a byte
/// now and then must not hold a thread for ever.
struct Timed<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl<'a> Timed<'a> {
    fn new(stream: &'a UnixStream, limit: Duration) -> Self {
        Self { stream, until: Instant::now() + limit }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl io::Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl io::Write for Timed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buffer)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    struct Large;
    impl Answerer for Large {
        fn answer(&self, _caller: Caller, _request: Request) -> Reply {
            let message = "x".repeat(super::super::MAX_FRAME_BYTES);
            Reply::Error { code: ErrorCode::NotFound, message }
        }
    }

    fn talk(limit: Duration) -> (UnixStream, thread::JoinHandle<Result<(), FrameError>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ours, thread::spawn(move || converse(&theirs, Caller::Operator, &Large, limit)))
    }

    #[test]
    fn a_peer_that_drips_is_dropped_at_one_deadline() {
        let begun = Instant::now();
        let (mut ours, served) = talk(Duration::from_millis(300));
        // Always a byte before a timeout of single reads would end it.
        while ours.write_all(&[0]).is_ok() && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(100));
        }
        assert!(served.join().unwrap().is_err());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_told() {
        let (mut ours, served) = talk(Duration::from_secs(5));
        write_frame(&mut ours, &Request::NextReport { wait_ms: 0 }).unwrap();
        let reply = read_frame::<Reply>(&mut ours).unwrap();
        assert!(matches!(reply, Reply::Error { code: ErrorCode::TooLarge, .. }));
        drop(ours);
        served.join().unwrap().unwrap();
    }

    #[test]
    fn the_poller_cannot_take_the_operators_places() {
        let open = Arc::new(Open::default());
        let places: Vec<_> = std::iter::from_fn(|| open.take(Caller::Poller)).collect();
        assert_eq!(places.len(), MAX_POLLER_CONNECTIONS);
        let own: Vec<_> = std::iter::from_fn(|| open.take(Caller::Operator)).collect();
        assert_eq!(own.len(), MAX_OPERATOR_CONNECTIONS);
        // A place is free again however its connection ended.
        drop(places);
        assert!(open.take(Caller::Poller).is_some() && open.take(Caller::Operator).is_none());
        drop(own);
        assert!(open.is_empty());
    }

    #[test]
    fn a_peer_that_never_reads_is_dropped() {
        struct Wide;
        impl Answerer for Wide {
            fn answer(&self, _caller: Caller, _request: Request) -> Reply {
                let message = "x".repeat(super::super::MAX_FRAME_BYTES - 200);
                Reply::Error { code: ErrorCode::NotFound, message }
            }
        }
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let served = thread::spawn(move || {
            converse(&theirs, Caller::Operator, &Wide, Duration::from_millis(300))
        });
        write_frame(&mut ours, &Request::NextReport { wait_ms: 0 }).unwrap();
        assert!(served.join().unwrap().is_err());
        let mut rest = Vec::new();
        // Whatever had left before, and then the end.
        assert!(ours.read_to_end(&mut rest).is_ok());
    }
}
