//! Counts what tenants have on the disk, once in a while: nothing holds a volume to a size, so what a
//! tenant writes is measured, and the portal acts upon it.

use std::time::Duration;

use freehold_protocol::{
    failure::Failure,
    report::{HostFacts, TenantHealth},
};

use super::{Executor, build::with_commands_until};
use crate::{
    clock::Clock,
    host::docker,
    journal::{JournalError, disk::Measured, tenants::TenantState},
    poller::backoff::jittered,
};

/// Longest time of a count: hosts hold millions of files.
const LONGEST: Duration = Duration::from_secs(1800);
/// From the start to the first look: jobs that were left open go first.
const FIRST: Duration = Duration::from_secs(300);
/// Least pause between two looks at whether it is time.
const LEAST_PAUSE: Duration = Duration::from_secs(60);
/// Before a count that did not work is tried again.
const RETRY: Duration = Duration::from_secs(900);

impl Executor {
    /// Counts until the executor stops; not at all when that is turned off.
    pub fn keep_measuring(&self) {
        let Some(every) = self.measure_every else { return };
        let mut pause = jittered(FIRST);
        while !self.halt.sleep(pause) {
            match self.measure_when_due(every) {
                Ok(next) => pause = jittered(next.max(LEAST_PAUSE)),
                Err(error) => return self.break_down(&error),
            }
        }
    }

    /// Counts, if the last count is old enough. Returns how long the next look may wait.
    ///
    /// # Errors
    /// When the journal does not work.
    pub fn measure_when_due(&self, every: Duration) -> Result<Duration, JournalError> {
        if self.clock.certain().is_none() {
            return Ok(LEAST_PAUSE);
        }
        let now = self.clock.now();
        // A count from the future is one of another time: the portal would go by it for ever.
        let age = self.journal.disk_measured()?.and_then(|last| {
            u64::try_from(now.millis_since(last.at)).ok().map(Duration::from_millis)
        });
        if let Some(left) =
            age.and_then(|age| every.checked_sub(age)).filter(|left| !left.is_zero())
        {
            return Ok(left);
        }
        if !self.journal.tenants()?.iter().any(|tenant| tenant.state == TenantState::Deployed) {
            return Ok(every);
        }
        let host = self.engine.host();
        let Some(_turn) = host.locks.counting() else {
            // A check counts; it is the last count a moment later.
            return Ok(LEAST_PAUSE);
        };
        let counted = with_commands_until(host.runner.as_ref(), &self.halt, |commands| {
            docker::disk_used(commands, LONGEST)
        });
        match counted {
            Ok(used) => {
                self.journal.keep_disk_measured(&Measured { at: now, used })?;
                let mut live = self.live();
                live.not_measured = None;
                live.look_again = true;
                drop(live);
                self.changed.notify_all();
                Ok(every)
            }
            Err(_) if self.is_stopping() => Ok(every),
            Err(error) => {
                let mut failure = Failure::from(error);
                failure.advice.push_str("; it is tried again by itself");
                tracing::warn!(what = %failure.what, detail = %failure.detail, "what tenants have on the disk is not known");
                self.live().not_measured = Some(failure);
                Ok(RETRY.min(every))
            }
        }
    }

    /// Adds the last count to what the portal is told.
    pub(super) fn tell_disk(
        &self,
        tenants: &mut [TenantHealth],
        facts: &mut HostFacts,
    ) -> Result<(), JournalError> {
        if self.measure_every.is_none() {
            return Ok(());
        }
        if let Some(measured) = self.journal.disk_measured()? {
            for health in tenants {
                health.disk = measured.of(health.tenant);
            }
        }
        facts.problems.extend(self.live().not_measured.clone());
        Ok(())
    }
}
