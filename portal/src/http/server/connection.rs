//! One connection from its first byte to its last, on its own thread.

use std::any::Any;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use rustls::ServerConfig;

use super::Handler;
use super::budget::Share;
use super::chunked::Chunked;
use super::config::{BODY_READ_BYTES, Forwarded, HEAD_READ_BYTES, Limits};
use super::framing::{Framing, expects_continue};
use super::head::Head;
use super::method::{Method, Version};
use super::refusal::Refusal;
use super::request::{Request, RequestId, Signals, origin};
use super::response::Response;
use super::send::{Context, SendError, send};
use super::shutdown::{Entry, ShutdownSignal};
use super::stats::{Held, ServerStats, count};
use super::wire::{Patience, Unread, Wire};

/// What all connections of a server share.
pub(super) struct Service {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) limits: Limits,
    pub(super) forwarded: Forwarded,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) stats: Arc<ServerStats>,
    pub(super) shutdown: ShutdownSignal,
}

/// Why a connection ends.
enum Stop {
    /// In good order, or the client has gone: there is nobody to tell.
    Closed,
    /// The client is told why, if it still listens. With the head of the request, if it was read: boxed, since
    /// hardly any connection ends so.
    Refused(Refusal, Option<Box<Head>>),
    /// The socket failed, or the client did not take an answer in time.
    Failed(io::Error),
}

/// Serves one connection until it ends.
pub(super) fn serve(service: &Service, entry: &Entry, socket: Arc<TcpStream>, peer: IpAddr) {
    let signals = Signals { socket: Some(Arc::clone(&socket)), shutdown: service.shutdown.clone() };
    let wire = Wire::new(socket);
    let mut connection = Connection { service, entry, wire, peer, signals, buffer: Vec::new() };
    let stop = match connection.run() {
        Stop::Refused(refusal, head) => match connection.refuse(refusal, head.as_deref()) {
            Ok(()) => return connection.wire.end(Unread::Discard),
            Err(error) => Stop::Failed(error),
        },
        stop => stop,
    };
    if let Stop::Failed(error) = stop {
        if error.kind() == io::ErrorKind::TimedOut {
            count(&service.stats.timeouts_total);
        }
        tracing::debug!(%peer, %error, "connection failed");
        return;
    }
    connection.wire.end(Unread::Nothing);
}

struct Connection<'a> {
    service: &'a Service,
    entry: &'a Entry,
    wire: Wire,
    peer: IpAddr,
    signals: Signals,
    /// Bytes read and not used yet: part of a head, or the start of pipelined requests.
    buffer: Vec<u8>,
}

// A long poll waits below `answer`, and each of thousands keeps the stack that it has touched. What is over
// before the handler is called, or comes after it, is therefore never made a part of what calls it.
impl Connection<'_> {
    fn run(&mut self) -> Stop {
        if let Some(config) = self.service.tls.clone()
            && let Err(stop) = self.start_tls(&config)
        {
            return stop;
        }
        let mut first_wait = self.service.limits.head;
        loop {
            match self.one_request(first_wait) {
                Ok(true) => first_wait = self.service.limits.idle,
                Ok(false) => return Stop::Closed,
                Err(stop) => return stop,
            }
        }
    }

    /// Takes one request and answers it; true when the connection may carry another.
    fn one_request(&mut self, first_wait: std::time::Duration) -> Result<bool, Stop> {
        let head = self.next_head(Instant::now() + first_wait)?;
        let limits = &self.service.limits;
        let mut share = Share::none(&self.service.stats.body_bytes, limits.body_memory);
        match self.read_body(&head, &mut share) {
            Ok(body) => self.answer(head, body),
            Err(Stop::Refused(refusal, _)) => Err(Stop::Refused(refusal, Some(Box::new(head)))),
            Err(stop) => Err(stop),
        }
    }

    #[inline(never)]
    fn start_tls(&mut self, config: &Arc<ServerConfig>) -> Result<(), Stop> {
        let deadline = Instant::now() + self.service.limits.handshake;
        self.entry.set_idle(true);
        let first = match self.service.shutdown.is_set() {
            true => return Err(Stop::Closed),
            false => self.wire.peek(deadline).map_err(Stop::Failed)?,
        };
        match first {
            None => return Err(Stop::Closed),
            // No TLS record starts with a letter, every request line does: a person who typed http://.
            Some(byte) if byte.is_ascii_uppercase() => {
                return Err(refused(Refusal::plain_on_tls()));
            }
            Some(_) => {}
        }
        let mut patience = Patience::new(self.service.limits.handshake);
        let done = self.wire.handshake(config, deadline, &mut patience);
        self.entry.set_idle(false);
        done.map_err(|error| {
            count(&self.service.stats.failed_handshakes_total);
            Stop::Failed(error)
        })
    }

    /// Waits for a request until `first_deadline`, and reads its head.
    #[inline(never)]
    fn next_head(&mut self, first_deadline: Instant) -> Result<Head, Stop> {
        let mut deadline = match self.buffer.is_empty() {
            true => first_deadline,
            false => Instant::now() + self.service.limits.head,
        };
        let mut looked_at = 0;
        loop {
            // A head that trickles in is not parsed anew for each of its bytes.
            if !self.buffer.is_empty() && (looked_at == 0 || has_end(&self.buffer, looked_at)) {
                match Head::parse(&self.buffer) {
                    Ok(None) => {}
                    Ok(Some((head, length))) => {
                        self.buffer.drain(..length);
                        return Ok(head);
                    }
                    Err(refusal) => return Err(refused(refusal)),
                }
            }
            if self.buffer.len() >= super::MAX_HEAD_BYTES {
                return Err(refused(Refusal::head_too_large()));
            }
            looked_at = self.buffer.len();
            if self.buffer.is_empty() {
                self.entry.set_idle(true);
                if self.service.shutdown.is_set() {
                    return Err(Stop::Closed);
                }
            }
            let read = self.wire.read(&mut self.buffer, HEAD_READ_BYTES, deadline);
            self.entry.set_idle(false);
            match read {
                Ok(0) => return Err(Stop::Closed),
                Ok(_) if looked_at == 0 => deadline = Instant::now() + self.service.limits.head,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(match looked_at {
                        0 => Stop::Closed,
                        _ => refused(Refusal::head_timed_out()),
                    });
                }
                Err(error) => return Err(Stop::Failed(error)),
            }
        }
    }

    #[inline(never)]
    fn read_body(&mut self, head: &Head, share: &mut Share<'_>) -> Result<Vec<u8>, Stop> {
        let framing = Framing::of(head).map_err(refused)?;
        let expects_continue = expects_continue(head).map_err(refused)?;
        if framing == Framing::None {
            return Ok(Vec::new());
        }
        let limit = self.service.handler.body_limit(head);
        if matches!(framing, Framing::Length(length) if length > limit) {
            return Err(refused(Refusal::body_too_large(limit)));
        }
        if expects_continue && self.buffer.is_empty() {
            let mut patience = Patience::new(self.service.limits.write);
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.wire.write_all(go_on, &mut patience).map_err(Stop::Failed)?;
        }
        let time = self.service.handler.body_deadline(head).unwrap_or(self.service.limits.body);
        let deadline = Instant::now() + time;
        let stop_of = |read: io::Result<usize>| match read {
            Ok(0) => Err(Stop::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(refused(Refusal::body_timed_out()))
            }
            Err(error) => Err(Stop::Failed(error)),
        };
        let retry_after_secs = self.service.limits.retry_after_secs;
        let mut reserve = |bytes| match share.grow_to(bytes) {
            true => Ok(()),
            false => Err(refused(Refusal::too_many_bodies(retry_after_secs))),
        };
        let mut body = Vec::new();
        if let Framing::Length(length) = framing {
            let too_large = |_| refused(Refusal::body_too_large(limit));
            let length = usize::try_from(length).map_err(too_large)?;
            body.extend(self.buffer.drain(..length.min(self.buffer.len())));
            while body.len() < length {
                let most = (length - body.len()).min(BODY_READ_BYTES);
                reserve(body.len() + most)?;
                stop_of(self.wire.read(&mut body, most, deadline))?;
            }
            return Ok(body);
        }
        let mut chunked = Chunked::new(limit);
        loop {
            reserve(body.len() + self.buffer.len())?;
            let used = chunked.feed(&self.buffer, &mut body).map_err(refused)?;
            self.buffer.drain(..used);
            if chunked.is_done() {
                return Ok(body);
            }
            stop_of(self.wire.read(&mut self.buffer, HEAD_READ_BYTES, deadline))?;
        }
    }

    /// Hands the request to the handler and sends what it answers.
    fn answer(&mut self, head: Head, body: Vec<u8>) -> Result<bool, Stop> {
        let service = self.service;
        let (method, version) = (head.method(), head.version());
        let client_keeps = version == Version::Http11 && !head.has_token("connection", "close");
        let (peer, secure) = origin(&head, self.peer, self.wire.is_tls(), service.forwarded);
        let id = RequestId::fresh();
        let _in_hand = Held::one_more(&service.stats.requests_in_flight);
        count(&service.stats.requests_total);
        if self.buffer.is_empty() {
            // A parked long poll holds no read buffer.
            self.buffer = Vec::new();
        }
        let span = tracing::info_span!("request", %id, %method, path = head.path());
        let _inside = span.enter();
        let signals = self.signals.clone();
        let request = Request { head, body, peer, secure, id, signals };
        let response = catch_unwind(AssertUnwindSafe(|| service.handler.handle(&request)))
            .unwrap_or_else(|panic| self.panicked(&id, &*panic));
        let head = request.head;
        // Nobody needs it while the client takes the answer.
        drop(request.body);
        // Looked at after the handler: a request that was in hand when the shutdown began says close.
        let keep_alive = client_keeps && !service.shutdown.is_set();
        let context = Context { id: &id, method, version, keep_alive };
        match catch_unwind(AssertUnwindSafe(|| self.send(response, Some(&head), context))) {
            Ok(Ok(keep_alive)) => Ok(keep_alive),
            Ok(Err(SendError::Io(error))) => Err(Stop::Failed(error)),
            Ok(Err(SendError::Bad(error))) => {
                tracing::error!(%error, "a handler made an answer that cannot be sent");
                let response = Refusal::internal_error().into_response(&id);
                self.send(response, Some(&head), context)
                    .map_err(|error| Stop::Failed(io::Error::other(error)))
            }
            // The head of the answer is gone already; a cut connection is all that can be said.
            Err(panic) => {
                self.panicked(&id, &*panic);
                Err(Stop::Failed(io::Error::other("a streamed answer panicked")))
            }
        }
    }

    /// The one place where an answer leaves a connection.
    #[inline(never)]
    fn send(
        &mut self,
        response: Response,
        head: Option<&Head>,
        context: Context<'_>,
    ) -> Result<bool, SendError> {
        let mut response = self.service.handler.finish(response, head);
        if self.service.tls.is_some() && !self.wire.is_tls() {
            // It is for answers over TLS alone (RFC 6797 section 7.2), and this client has come without.
            response.remove_header("strict-transport-security");
        }
        let patience = Patience::new(self.service.limits.write);
        send(&mut self.wire, response, context, &self.signals, patience)
    }

    #[inline(never)]
    fn panicked(&self, id: &RequestId, panic: &(dyn Any + Send)) -> Response {
        count(&self.service.stats.panics_total);
        tracing::error!(%id, panic = panic_message(panic), "a handler panicked");
        Refusal::internal_error().into_response(id)
    }

    #[inline(never)]
    fn refuse(&mut self, refusal: Refusal, head: Option<&Head>) -> io::Result<()> {
        count(&self.service.stats.refused_requests_total);
        if refusal.status() == 408 {
            count(&self.service.stats.timeouts_total);
        }
        let id = RequestId::fresh();
        tracing::debug!(%id, peer = %self.peer, %refusal, "request refused");
        let (method, version) = (head.map_or(Method::Get, Head::method), Version::Http11);
        let context = Context { id: &id, method, version, keep_alive: false };
        match self.send(refusal.into_response(&id), head, context) {
            Ok(_closing) => Ok(()),
            Err(SendError::Io(error)) => Err(error),
            Err(SendError::Bad(error)) => Err(io::Error::other(error)),
        }
    }
}

/// A refusal of a request whose head is not there, or is added by who has it.
fn refused(refusal: Refusal) -> Stop {
    Stop::Refused(refusal, None)
}

/// Looks for the empty line that ends a head, in what was added after `looked_at` bytes.
fn has_end(buffer: &[u8], looked_at: usize) -> bool {
    buffer[looked_at.saturating_sub(3)..].windows(4).any(|window| window == b"\r\n\r\n")
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "a value that is not text",
    }
}
