//! The asking side: the poller and the local commands.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ErrorCode, FrameError, Reply, Request, read_frame, write_frame};

/// How long an answer may take beyond the wait that was asked for: time for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// Why the executor did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens.
    #[error("the executor does not listen on {path:?}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket belongs to somebody else than root or ourselves.
    #[error("the socket {path:?} is served by user {uid}, not by root")]
    Impostor {
        /// The socket.
        path: PathBuf,
        /// Who.
        uid: u32,
    },
    /// The conversation broke.
    #[error("the executor did not answer")]
    Frame(#[source] FrameError),
    /// The executor refused.
    #[error("{message}")]
    Refused {
        /// Its code.
        code: ErrorCode,
        /// Its words.
        message: String,
    },
    /// The answer is not one to this question.
    #[error("the executor answered something else than was asked; is it another version?")]
    OtherReply,
}

/// Asks the executor, one connection a question.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// Asks on this socket.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// See [`CallError`]; an error reply is [`CallError::Refused`].
    pub fn call(&self, request: &Request) -> Result<Reply, CallError> {
        ask(&mut self.connect(wait_of(request))?, request)
    }

    /// Asks over a connection that is kept for the next question, if that comes at once: the executor
    /// closes it soon. One that was kept and does not work is replaced.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_over(
        &self,
        kept: &mut Option<UnixStream>,
        request: &Request,
    ) -> Result<Reply, CallError> {
        if let Some(mut stream) = kept.take()
            && let answered @ (Ok(_) | Err(CallError::Refused { .. })) = ask(&mut stream, request)
        {
            *kept = Some(stream);
            return answered;
        }
        let mut stream = self.connect(wait_of(request))?;
        let reply = ask(&mut stream, request)?;
        *kept = Some(stream);
        Ok(reply)
    }

    fn connect(&self, wait: Duration) -> Result<UnixStream, CallError> {
        let failed = |source| CallError::Connect { path: self.path.clone(), source };
        let stream = UnixStream::connect(&self.path).map_err(failed)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT + wait)).map_err(failed)?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(failed)?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)
            .map_err(|error| failed(error.into()))?
            .uid;
        if !(peer.is_root() || peer == rustix::process::geteuid()) {
            return Err(CallError::Impostor { path: self.path.clone(), uid: peer.as_raw() });
        }
        Ok(stream)
    }

    /// Asks for the status, for people.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn status(&self) -> Result<Box<super::StatusView>, CallError> {
        match self.call(&Request::Status { for_poll: false })? {
            Reply::Status(view) => Ok(view),
            _ => Err(CallError::OtherReply),
        }
    }
}

/// How long the executor may hold a question.
fn wait_of(request: &Request) -> Duration {
    match request {
        Request::NextReport { wait_ms } => Duration::from_millis((*wait_ms).into()),
        _ => Duration::ZERO,
    }
}

fn ask(stream: &mut UnixStream, request: &Request) -> Result<Reply, CallError> {
    write_frame(stream, request).map_err(CallError::Frame)?;
    match read_frame(stream).map_err(CallError::Frame)? {
        Reply::Error { code, message } => Err(CallError::Refused { code, message }),
        reply => Ok(reply),
    }
}
