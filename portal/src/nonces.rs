//! Nonces of signed requests, so that a request cannot be sent again while its signature is fresh.
//!
//! In memory only: every call of the agent API is idempotent, so a replay right after a restart of
//! the portal changes nothing.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Mutex,
};

use freehold_protocol::{
    httpsig::NONCE_MEMORY_SECS,
    ids::{AgentId, Nonce},
    time::Timestamp,
};

use crate::db::lock;

/// Most nonces per agent: a request a second for the whole memory, with room.
const MAX_PER_AGENT: usize = 2000;
/// How many new nonces go by before agents without any are forgotten.
const SWEEP_EVERY: usize = 4096;

/// The nonces of every agent.
#[derive(Default)]
pub struct NonceCache(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    agents: HashMap<AgentId, VecDeque<(Timestamp, Nonce)>>,
    since_sweep: usize,
}

impl fmt::Debug for NonceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceCache")
    }
}

/// Why a nonce was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceRefused {
    /// It was used before.
    Repeated,
    /// The agent sends more requests than it may.
    TooMany,
}

impl NonceCache {
    /// Notes a nonce whose signature held. Call it only then: a stranger must not fill the memory.
    ///
    /// # Errors
    /// See [`NonceRefused`].
    pub fn note(&self, agent: AgentId, nonce: &Nonce, now: Timestamp) -> Result<(), NonceRefused> {
        let oldest = now.plus_secs(-NONCE_MEMORY_SECS);
        let mut seen = lock(&self.0);
        seen.since_sweep += 1;
        if seen.since_sweep >= SWEEP_EVERY {
            seen.since_sweep = 0;
            seen.agents.retain(|_, nonces| nonces.back().is_some_and(|(at, _)| *at >= oldest));
        }
        let nonces = seen.agents.entry(agent).or_default();
        while nonces.front().is_some_and(|(at, _)| *at < oldest) {
            nonces.pop_front();
        }
        if nonces.iter().any(|(_, known)| known == nonce) {
            return Err(NonceRefused::Repeated);
        }
        if nonces.len() >= MAX_PER_AGENT {
            return Err(NonceRefused::TooMany);
        }
        nonces.push_back((now, nonce.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_passes_once_per_agent_until_it_is_forgotten() {
        let cache = NonceCache::default();
        let agent = |n| AgentId::from_uuid(uuid::Uuid::from_bytes([n; 16]));
        let at = |secs: i64| Timestamp::from_millis(secs * 1000);
        let nonce = Nonce::from_bytes([7; 16]);
        assert_eq!(cache.note(agent(1), &nonce, at(0)), Ok(()));
        assert_eq!(cache.note(agent(1), &nonce, at(600)), Err(NonceRefused::Repeated));
        assert_eq!(cache.note(agent(2), &nonce, at(0)), Ok(()));
        assert_eq!(cache.note(agent(1), &nonce, at(601)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let cache = NonceCache::default();
        let agent = AgentId::from_uuid(uuid::Uuid::from_bytes([1; 16]));
        let nonce = |n: u16| {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            Nonce::from_bytes(bytes)
        };
        let now = Timestamp::from_millis(0);
        for n in 0..u16::try_from(MAX_PER_AGENT).unwrap() {
            assert_eq!(cache.note(agent, &nonce(n), now), Ok(()));
        }
        assert_eq!(cache.note(agent, &nonce(60_000), now), Err(NonceRefused::TooMany));
    }
}
