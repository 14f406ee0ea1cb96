//! What only one job at a time may do on a host. The locks are arguments of what needs them, so
//! that the compiler asks for them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::host::certbot::CertbotMutex;
use crate::host::nginx::NginxMutex;
use crate::host::turn::{Turn, Turns};
use crate::runner::CancelToken;

/// The locks of a host.
#[derive(Debug, Default)]
pub struct Locks {
    /// Sites and reloads.
    pub nginx: NginxMutex,
    /// certbot, which fails when called twice.
    pub certbot: CertbotMutex,
    ports: Turns,
    counting: Mutex<()>,
}

/// Proof that nobody else looks for free ports.
#[derive(Debug)]
pub struct PortsLock<'a>(#[expect(dead_code, reason = "held for its drop")] Turn<'a>);

impl Locks {
    /// Waits for the right to choose ports; nothing when it was to stop first.
    #[must_use]
    pub fn ports(&self, cancel: &CancelToken) -> Option<PortsLock<'_>> {
        // It guards the time between looking and writing, not memory.
        self.ports.take(cancel).map(PortsLock)
    }

    /// The right to count what tenants have on the disk; nothing while somebody does, since the engine
    /// refuses a second count.
    pub fn counting(&self) -> Option<MutexGuard<'_, ()>> {
        match self.counting.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The sagas that threads of this process drive.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<BTreeSet<i64>>);

/// Proof that this thread alone drives a saga.
#[derive(Debug)]
pub(super) struct Driving<'a>(&'a Busy, i64);

impl Busy {
    /// Claims a saga, or nothing when another thread drives it.
    pub(super) fn claim(&self, saga: i64) -> Option<Driving<'_>> {
        let mut driven = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Not `then_some`: a claim that was never given must not be dropped, which gives it back.
        driven.insert(saga).then(|| Driving(self, saga))
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}
