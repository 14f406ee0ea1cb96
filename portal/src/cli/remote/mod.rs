//! The portal as seen from a terminal: where it is, who asks, and calls to it.

mod call;
mod client;
mod keeper;
mod session;
mod tls;

pub(crate) use call::CallError;
pub(crate) use client::{Client, Query};
pub(crate) use freehold_protocol::address::PortalAddress as Address;
pub(crate) use keeper::{StoreLock, UserTokens, forget};
pub(crate) use session::{ConnectArgs, Session, parse_url, path as session_path, resolve};
