//! Bytes to and from one client, plain or through TLS, under total deadlines.
//!
//! A socket timeout alone restarts with every byte, which is all that a slow client needs. So each
//! read carries the moment at which the whole message must be there, and the socket's timeout is only
//! what is left until then.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

use super::config::{LINGER, LINGER_BYTES, MIN_WRITE_BYTES_PER_SEC};
use super::shutdown::close;

/// Timeouts are rounded up to this, so that the same wait needs no new system call each time.
const STEP: Duration = Duration::from_millis(50);

/// Most that is handed to the kernel in one call, so that a call that blocks is one that makes no
/// progress.
const WRITE_BYTES: usize = 256 * 1024;

/// How long a client may let an answer wait: an allowance that grows with what it has taken, and never
/// longer than the first allowance without taking anything.
///
/// Both are needed. What fills the kernel's buffers counts as taken, so that the rate alone would give
/// a client that reads nothing of a large answer many minutes; and a client that reads a few bytes now
/// and then is making progress.
#[derive(Debug)]
pub(super) struct Patience {
    allowance: Duration,
    sent: u64,
    waited: Duration,
}

impl Patience {
    pub(super) fn new(allowance: Duration) -> Self {
        Self { allowance, sent: 0, waited: Duration::ZERO }
    }

    fn left(&self) -> Duration {
        let earned =
            Duration::from_millis(self.sent.saturating_mul(1000) / MIN_WRITE_BYTES_PER_SEC);
        (self.allowance + earned).saturating_sub(self.waited)
    }
}

/// One client's socket.
pub(super) struct Wire {
    socket: Arc<TcpStream>,
    tls: Option<Box<ServerConnection>>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Wire {
    pub(super) fn new(socket: Arc<TcpStream>) -> Self {
        Self { socket, tls: None, read_timeout: None, write_timeout: None }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns the first byte that the client sends, without taking it; `None` when it closed.
    pub(super) fn peek(&mut self, deadline: Instant) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let mut raw = RawRead { socket: &self.socket, cached: &mut self.read_timeout, deadline };
        let length = raw.wait_with(|socket| socket.peek(&mut byte))?;
        Ok((length > 0).then_some(byte[0]))
    }

    /// Does the TLS handshake; from then on everything is encrypted.
    pub(super) fn handshake(
        &mut self,
        config: &Arc<ServerConfig>,
        deadline: Instant,
        patience: &mut Patience,
    ) -> io::Result<()> {
        let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        self.tls = Some(Box::new(tls));
        loop {
            let Some(tls) = &mut self.tls else { return Ok(()) };
            if tls.wants_write() {
                self.flush_tls(patience)?;
            } else if !tls.is_handshaking() {
                return Ok(());
            } else if self.read_records(deadline)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Appends up to `most` bytes to `into`; 0 when the client has closed, `TimedOut` at the deadline.
    pub(super) fn read(
        &mut self,
        into: &mut Vec<u8>,
        most: usize,
        deadline: Instant,
    ) -> io::Result<usize> {
        let before = into.len();
        into.resize(before + most, 0);
        let result = self.read_slice(&mut into[before..], deadline);
        into.truncate(before + *result.as_ref().unwrap_or(&0));
        result
    }

    fn read_slice(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            let Some(tls) = &mut self.tls else {
                let cached = &mut self.read_timeout;
                return RawRead { socket: &self.socket, cached, deadline }.read(buffer);
            };
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A client that closes without saying so in TLS: closed is closed.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if self.read_records(deadline)? == 0 {
                return Ok(0);
            }
        }
    }

    /// Takes one read's worth of TLS records from the socket.
    fn read_records(&mut self, deadline: Instant) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let cached = &mut self.read_timeout;
        let length = tls.read_tls(&mut RawRead { socket: &self.socket, cached, deadline })?;
        let processed = tls.process_new_packets().map(drop);
        if tls.wants_write() {
            // Alerts, tickets and key updates; a client that does not take these few bytes is cut.
            self.flush_tls(&mut Patience::new(LINGER))?;
        }
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(length)
    }

    /// Sends all of `data`.
    pub(super) fn write_all(&mut self, mut data: &[u8], patience: &mut Patience) -> io::Result<()> {
        while !data.is_empty() {
            let Some(tls) = &mut self.tls else {
                let cached = &mut self.write_timeout;
                return RawWrite { socket: &self.socket, cached, patience }.write_all(data);
            };
            let taken = tls.writer().write(data)?;
            self.flush_tls(patience)?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            data = &data[taken..];
        }
        Ok(())
    }

    fn flush_tls(&mut self, patience: &mut Patience) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let cached = &mut self.write_timeout;
        let mut raw = RawWrite { socket: &self.socket, cached, patience };
        while tls.wants_write() {
            if tls.write_tls(&mut raw)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Ends the connection. With `Unread::Discard` what the client still sends is thrown away for a
    /// moment: closing a socket with unread bytes makes TCP drop the answer on its way.
    pub(super) fn end(mut self, unread: Unread) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            if let Err(error) = self.flush_tls(&mut Patience::new(LINGER)) {
                tracing::trace!(%error, "the client was gone before the end of TLS");
            }
        }
        close(&self.socket, Shutdown::Write);
        if unread == Unread::Discard {
            let deadline = Instant::now() + LINGER;
            let cached = &mut self.read_timeout;
            let mut raw = RawRead { socket: &self.socket, cached, deadline };
            let mut scrap = vec![0; 4096];
            let mut total = 0;
            while let Ok(length @ 1..) = raw.read(&mut scrap) {
                total += length;
                if total > LINGER_BYTES {
                    break;
                }
            }
        }
    }
}

/// Whether the client may have sent more than was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    Nothing,
    Discard,
}

/// Reads the socket until a deadline.
struct RawRead<'a> {
    socket: &'a TcpStream,
    cached: &'a mut Option<Duration>,
    deadline: Instant,
}

impl RawRead<'_> {
    fn wait_with(
        &mut self,
        mut take: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let timeout = Some(round_up(left));
            if *self.cached != timeout {
                self.socket.set_read_timeout(timeout)?;
                *self.cached = timeout;
            }
            match take(self.socket) {
                Err(error) if is_wait(&error) => {}
                result => return result,
            }
        }
    }
}

impl Read for RawRead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_with(|mut socket| socket.read(buffer))
    }
}

/// Writes to the socket for as long as the patience lasts.
struct RawWrite<'a> {
    socket: &'a TcpStream,
    cached: &'a mut Option<Duration>,
    patience: &'a mut Patience,
}

impl RawWrite<'_> {
    fn wait_with(&mut self, put: impl Fn(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        let mut stalled = Duration::ZERO;
        loop {
            let left = self.patience.left().min(self.patience.allowance.saturating_sub(stalled));
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let timeout = Some(round_up(left));
            if *self.cached != timeout {
                self.socket.set_write_timeout(timeout)?;
                *self.cached = timeout;
            }
            let began = Instant::now();
            let result = put(self.socket);
            let took = began.elapsed();
            self.patience.waited += took;
            stalled += took;
            match result {
                Err(error) if is_wait(&error) => {}
                Ok(length) => {
                    self.patience.sent += length as u64;
                    return Ok(length);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Write for RawWrite<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let part = &data[..data.len().min(WRITE_BYTES)];
        self.wait_with(|mut socket| socket.write(part))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.wait_with(|mut socket| socket.write_vectored(parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_wait(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

fn round_up(time: Duration) -> Duration {
    let steps = time.as_nanos().div_ceil(STEP.as_nanos());
    STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}
