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
    time::Duration,
};

use super::{FrameError, Reply, Request, read_frame, write_frame};

/// Most connections at the same time: the poller's two threads and a few local commands.
const MAX_CONNECTIONS: usize = 16;
/// How long a connection may be silent before its question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the accepting thread looks whether it shall stop.
const ACCEPT_TICK: Duration = Duration::from_millis(200);

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
        let open = Arc::new(AtomicUsize::new(0));
        while !stop.load(Ordering::SeqCst) {
            let mut ready =
                [rustix::event::PollFd::new(&self.listener, rustix::event::PollFlags::IN)];
            let tick =
                rustix::event::Timespec { tv_sec: 0, tv_nsec: ACCEPT_TICK.subsec_nanos().into() };
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
                    thread::sleep(ACCEPT_TICK);
                    continue;
                }
            };
            if open.load(Ordering::SeqCst) >= MAX_CONNECTIONS {
                tracing::warn!("too many connections on the socket; one was closed");
                continue;
            }
            let (answerer, counted) = (Arc::clone(answerer), Arc::clone(&open));
            open.fetch_add(1, Ordering::SeqCst);
            let spawned = thread::Builder::new().name("socket".into()).spawn(move || {
                if let Err(error) = converse(&stream, peers, answerer.as_ref()) {
                    tracing::warn!(%error, "a connection on the socket was closed");
                }
                counted.fetch_sub(1, Ordering::SeqCst);
            });
            if let Err(error) = spawned {
                open.fetch_sub(1, Ordering::SeqCst);
                tracing::error!(%error, "no thread for a connection");
            }
        }
        // A `next-report` that waits sees the stop within a second; others are shorter.
        for _ in 0..20 {
            if open.load(Ordering::SeqCst) == 0 {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
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

/// Answers one connection's questions until it closes.
fn converse(stream: &UnixStream, peers: Peers, answerer: &dyn Answerer) -> Result<(), FrameError> {
    stream.set_nonblocking(false).map_err(FrameError::Io)?;
    stream.set_read_timeout(Some(QUESTION_TIMEOUT)).map_err(FrameError::Io)?;
    stream.set_write_timeout(Some(QUESTION_TIMEOUT)).map_err(FrameError::Io)?;
    let uid = rustix::net::sockopt::socket_peercred(stream)
        .map_err(|error| FrameError::Io(error.into()))?
        .uid
        .as_raw();
    let Some(caller) = peers.judge(uid) else {
        return Err(FrameError::Malformed(format!("user {uid} may not talk to the executor")));
    };
    let mut stream = stream;
    loop {
        let request = match read_frame::<Request>(&mut stream) {
            Ok(request) => request,
            Err(FrameError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        write_frame(&mut stream, &answerer.answer(caller, request))?;
    }
}
