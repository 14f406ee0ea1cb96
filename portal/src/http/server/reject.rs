//! Tells clients that the server is full, without holding up the thread that accepts.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Handler;
use super::config::{Config, LINGER, MAX_REJECTING};
use super::connection::panic_message;
use super::refusal::Refusal;
use super::request::RequestId;
use super::shutdown::close;

/// How often sockets that were told are read empty.
const SWEEP_EVERY: Duration = Duration::from_millis(50);

/// The thread that turns clients away.
pub(super) struct Rejector {
    queue: Option<SyncSender<TcpStream>>,
    thread: Option<JoinHandle<()>>,
    tls: bool,
}

impl Rejector {
    pub(super) fn start(config: &Config, handler: Arc<dyn Handler>) -> Self {
        let (queue, sockets) = sync_channel(MAX_REJECTING);
        let retry_after_secs = config.limits.retry_after_secs;
        let thread = thread::spawn(move || turn_all_away(&sockets, retry_after_secs, &*handler));
        Self { queue: Some(queue), thread: Some(thread), tls: config.tls.is_some() }
    }

    /// Answers 503 and closes. A TLS client cannot be told anything before a handshake, which costs
    /// more than serving it: it is closed at once, and so is everybody when too many are being told.
    pub(super) fn turn_away(&self, socket: TcpStream) {
        if self.tls {
            return;
        }
        if let Some(queue) = &self.queue
            && queue.try_send(socket).is_err()
        {
            tracing::debug!("a connection over the cap was dropped without an answer");
        }
    }
}

impl Drop for Rejector {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!(panic = panic_message(&*panic), "the thread that says 503 panicked");
        }
    }
}

fn turn_all_away(sockets: &Receiver<TcpStream>, retry_after_secs: u32, handler: &dyn Handler) {
    let mut told: VecDeque<(Instant, TcpStream)> = VecDeque::new();
    let mut swept = Instant::now();
    loop {
        match sockets.recv_timeout(SWEEP_EVERY) {
            Ok(socket) => match tell(&socket, retry_after_secs, handler) {
                Ok(()) => told.push_back((Instant::now() + LINGER, socket)),
                Err(error) => tracing::trace!(%error, "the client over the cap was gone"),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if told.len() > MAX_REJECTING {
            told.pop_front();
        }
        if swept.elapsed() >= SWEEP_EVERY {
            swept = Instant::now();
            told.retain(|(until, socket)| swept < *until && still_sends(socket));
        }
    }
}

fn tell(mut socket: &TcpStream, retry_after_secs: u32, handler: &dyn Handler) -> io::Result<()> {
    let id = RequestId::fresh();
    let response = Refusal::too_many_connections(retry_after_secs).into_response(&id);
    let bytes = super::send::render_closing(handler.finish(response, None), &id)?;
    socket.set_nonblocking(true)?;
    socket.write_all(&bytes)?;
    close(socket, Shutdown::Write);
    Ok(())
}

/// Reads a socket empty, so that closing it does not destroy the answer; false when the client closed.
fn still_sends(mut socket: &TcpStream) -> bool {
    let mut scrap = [0; 1024];
    for _ in 0..16 {
        match socket.read(&mut scrap) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}
