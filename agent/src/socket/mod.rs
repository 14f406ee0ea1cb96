//! The Unix socket between poller and executor: frames, verbs, and who may say what.
//!
//! The executor is root and the poller talks to the internet, so everything that comes in here is
//! judged as hostile: the peer's credentials, the frame's length, unknown fields, and every envelope.

mod client;
mod failed_poll;
mod frame;
mod server;
#[cfg(test)]
mod tests;
mod verbs;

pub use client::{CallError, Client};
pub use failed_poll::{FailedPoll, PollFailure, PollFault};
pub use frame::{FrameError, MAX_FRAME_BYTES, read_frame, write_frame};
pub use server::{Answerer, Bell, Caller, ListenError, Listener, Peers};
pub use verbs::{
    Ack, Contact, ErrorCode, JobView, MAX_REPORT_WAIT_MS, Offered, OutItem, OutWork, Reply,
    Request, StatusView,
};
