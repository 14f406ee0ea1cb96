//! Frames: four bytes of length, big end first, then JSON.

use std::io::{self, Read, Write};

use freehold_protocol::shape;
use serde::{Serialize, de::DeserializeOwned};

/// Largest frame.
///
/// The largest thing that crosses the socket is a poll's answer. One job envelope is at most
/// 342 KiB (256 KiB in base64), the signed answer 86 KiB, a trust document 22 KiB; so the limit
/// takes any single job with everything around it, and dozens of ordinary ones (a few KiB each). The
/// poller refuses larger answers before it reads them, and the portal keeps its answers under it.
pub const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// Why a frame was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed the connection between two frames.
    #[error("the connection was closed")]
    Closed,
    /// The connection failed, or closed inside a frame.
    #[error("the connection failed")]
    Io(#[source] io::Error),
    /// The frame is larger than it may be, or empty.
    #[error("a frame of {bytes} bytes is not within 1 to {MAX_FRAME_BYTES}")]
    Size {
        /// The claimed size.
        bytes: usize,
    },
    /// The frame is not the JSON that belongs here.
    #[error("the frame is malformed: {0}")]
    Malformed(String),
}

/// Reads one frame.
///
/// # Errors
/// [`FrameError::Closed`] when there is no further frame; otherwise what is wrong with it. After any
/// error the connection cannot be used any more.
pub fn read_frame<T: Serialize + DeserializeOwned>(from: &mut impl Read) -> Result<T, FrameError> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < length.len() {
        match from.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Err(FrameError::Closed),
            Ok(0) => return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError::Io(error)),
        }
    }
    let bytes = u32::from_be_bytes(length) as usize;
    // Judged before any memory is reserved for it.
    if bytes == 0 || bytes > MAX_FRAME_BYTES {
        return Err(FrameError::Size { bytes });
    }
    let mut body = Vec::new();
    from.take(bytes as u64).read_to_end(&mut body).map_err(FrameError::Io)?;
    if body.len() < bytes {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    shape::from_slice(&body).map_err(|error| FrameError::Malformed(error.to_string()))
}

/// Writes one frame.
///
/// # Errors
/// [`FrameError::Size`] when the value is too large; nothing was written then.
pub fn write_frame<T: Serialize>(to: &mut impl Write, value: &T) -> Result<(), FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    let bytes = frame.len() - 4;
    if bytes > MAX_FRAME_BYTES {
        return Err(FrameError::Size { bytes });
    }
    let length = u32::try_from(bytes).map_err(|_| FrameError::Size { bytes })?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    to.write_all(&frame).and_then(|()| to.flush()).map_err(FrameError::Io)
}
