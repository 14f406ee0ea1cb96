//! What only one job at a time may do on a host. The locks are arguments of what needs them, so
//! that the compiler asks for them.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};

use crate::runner::{Activity, CancelToken};

/// How often a waiting job looks again.
const PAUSE: Duration = Duration::from_millis(20);

/// The locks of a host.
#[derive(Debug, Default)]
pub struct Locks {
    nginx: Mutex<()>,
    certbot: Mutex<()>,
    ports: Mutex<()>,
}

/// Proof that nobody else changes sites or reloads nginx.
#[derive(Debug)]
pub struct NginxLock<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

/// Proof that nobody else runs certbot.
#[derive(Debug)]
pub struct CertbotLock<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

/// Proof that nobody else looks for free ports.
#[derive(Debug)]
pub struct PortsLock<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

impl Locks {
    /// Waits for the web server.
    ///
    /// # Errors
    /// When the wait was cancelled.
    pub fn nginx(
        &self,
        cancel: &CancelToken,
        activity: &Activity,
    ) -> Result<NginxLock<'_>, Failure> {
        wait(&self.nginx, "nginx", cancel, activity).map(NginxLock)
    }

    /// Waits for the certificate client.
    ///
    /// # Errors
    /// When the wait was cancelled.
    pub fn certbot(
        &self,
        cancel: &CancelToken,
        activity: &Activity,
    ) -> Result<CertbotLock<'_>, Failure> {
        wait(&self.certbot, "certbot", cancel, activity).map(CertbotLock)
    }

    /// Waits for the right to choose ports.
    ///
    /// # Errors
    /// When the wait was cancelled.
    pub fn ports(
        &self,
        cancel: &CancelToken,
        activity: &Activity,
    ) -> Result<PortsLock<'_>, Failure> {
        wait(&self.ports, "the port table", cancel, activity).map(PortsLock)
    }
}

fn wait<'a>(
    lock: &'a Mutex<()>,
    what: &str,
    cancel: &CancelToken,
    activity: &Activity,
) -> Result<MutexGuard<'a, ()>, Failure> {
    loop {
        match lock.try_lock() {
            Ok(guard) => return Ok(guard),
            // A holder that panicked leaves nothing half-made in here: the lock guards no data.
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        // Another job at work is a sign of life of this one.
        activity.touch();
        if cancel.sleep(PAUSE) {
            return Err(Failure::new(
                FailureClass::Host,
                format!("the job was stopped while it waited for {what}"),
                "queue the job again",
            ));
        }
    }
}

/// Tenants that a job is at work on in this process.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<std::collections::BTreeSet<i64>>);

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
