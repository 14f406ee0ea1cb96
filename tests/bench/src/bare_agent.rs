//! The baseline of an idle agent: it signs and sends one long poll after the other, and does nothing
//! with the answers.

use std::{path::PathBuf, thread, time::Duration};

use freehold_agent::{
    config::PortalConfig,
    poller::portal::{Portal, Signer},
};
use freehold_portal::clock::{Clock as _, SystemClock};
use freehold_protocol::{
    ids::{AgentId, Nonce},
    wire::{Head, PollAnswer},
};

use crate::agent::{POLL, keys_of, poll_request};

/// How long a poll is held, as the portal's default is.
const WAIT_SECS: u32 = 25;

/// Polls until it is ended.
pub fn run(url: &str, id: AgentId, ca: Option<PathBuf>) {
    let config = PortalConfig { ca_file: ca.unwrap_or_default(), ..PortalConfig::default() };
    let address = url.parse().expect("the portal's address");
    let portal = Portal::new(&config, address).expect("a client");
    let signer = Signer { key: keys_of(0).0, agent_id: id };
    loop {
        let now = SystemClock.now();
        let request = poll_request(&Nonce::from_bytes([3; 16]), Head::start_of(1), WAIT_SECS, 0);
        let wait = Duration::from_secs(WAIT_SECS.into());
        if portal.post::<PollAnswer>(POLL, &request, Some((&signer, now)), wait).is_err() {
            thread::sleep(Duration::from_secs(1));
        }
    }
}
