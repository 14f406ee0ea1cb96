//! The asking side: the poller and the local commands.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ErrorCode, FrameError, Reply, Request, read_frame, write_frame};

/// How long an answer may take: the longest wait of `next-report`, and time for the disk.
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
        let failed = |source| CallError::Connect { path: self.path.clone(), source };
        let mut stream = UnixStream::connect(&self.path).map_err(failed)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(failed)?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(failed)?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)
            .map_err(|error| failed(error.into()))?
            .uid;
        if !(peer.is_root() || peer == rustix::process::geteuid()) {
            return Err(CallError::Impostor { path: self.path.clone(), uid: peer.as_raw() });
        }
        write_frame(&mut stream, request).map_err(CallError::Frame)?;
        match read_frame(&mut stream).map_err(CallError::Frame)? {
            Reply::Error { code, message } => Err(CallError::Refused { code, message }),
            reply => Ok(reply),
        }
    }

    /// Asks for the status.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn status(
        &self,
        for_poll: bool,
        poller: &str,
    ) -> Result<Box<super::StatusView>, CallError> {
        match self.call(&Request::Status { for_poll, poller: poller.to_owned() })? {
            Reply::Status(view) => Ok(view),
            _ => Err(CallError::OtherReply),
        }
    }
}
