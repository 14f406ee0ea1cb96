//! What the portal is told on its own: the host's facts, tenants' health, reserved ports. On a
//! schedule, and soon after something has changed.

use std::{fmt, time::Duration};

use freehold_protocol::{
    failure::{Failure, FailureClass},
    report::{HealthStatus, HostFacts, TenantHealth},
    wire::{Inventory, ReservedPort},
};

use super::Executor;
use crate::{clock::Clock, journal::JournalError, poller::backoff::jittered};

/// Least time between two looks at the host, whatever changes.
const LEAST_PAUSE: Duration = Duration::from_secs(15);
/// Longest time between two looks at the clock since boot.
const LONGEST_LOOK: Duration = Duration::from_secs(300);
/// Least time between two looks at the clock.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);
/// How often the health of tenants is looked at between two inventories.
const LOOKS_PER_INTERVAL: u32 = 5;

/// Looks at the host.
pub trait Survey: fmt::Debug + Send + Sync {
    /// What the host is and has free.
    fn facts(&self) -> HostFacts;
    /// Every deployed tenant.
    ///
    /// # Errors
    /// When the journal, which knows them, does not work.
    fn tenants(&self) -> Result<Vec<TenantHealth>, JournalError>;
}

impl Executor {
    /// Takes inventories until the executor stops.
    pub fn keep_inventory(&self) {
        let mut number = 0;
        let mut told: Option<(Duration, Vec<(String, HealthStatus)>)> = None;
        loop {
            let Some(changed) = self.wait_for_look(told.is_none()) else { return };
            let tenants = match self.survey.tenants() {
                Ok(tenants) => tenants,
                Err(error) => return self.break_down(&error),
            };
            let states: Vec<_> =
                tenants.iter().map(|health| (health.tenant.to_string(), health.status)).collect();
            let due = told.as_ref().is_none_or(|(at, last)| {
                let age = self.clock.since_boot().saturating_sub(*at);
                changed || *last != states || age >= self.inventory_interval
            });
            if !due {
                continue;
            }
            match self.take_inventory(tenants) {
                Ok(inventory) => {
                    number += 1;
                    self.live().inventory = Some((number, Box::new(inventory)));
                    self.changed.notify_all();
                    told = Some((self.clock.since_boot(), states));
                }
                Err(error) => self.break_down(&error),
            }
        }
    }

    /// Waits until it is time to look. Says whether something has changed; nothing when stopping.
    fn wait_for_look(&self, first: bool) -> Option<bool> {
        let pause = jittered((self.inventory_interval / LOOKS_PER_INTERVAL).max(LEAST_PAUSE));
        let begun = self.clock.since_boot();
        let mut live = self.live();
        loop {
            if self.is_stopping() {
                return None;
            }
            let waited = self.clock.since_boot().saturating_sub(begun);
            // Certificates are looked at too, and their dates judged: that takes a time to be sure of,
            // which comes with the first answer of the portal.
            let able = live.enrolled.is_some() && self.clock.certain().is_some();
            if able && (first || (live.look_again && waited >= LEAST_PAUSE) || waited >= pause) {
                return Some(std::mem::take(&mut live.look_again));
            }
            // The clock since boot goes on while the machine sleeps, a wait does not: hence the bound.
            let due = if live.look_again { LEAST_PAUSE } else { pause };
            let left = due.saturating_sub(waited).clamp(SHORTEST_LOOK, LONGEST_LOOK);
            live = self
                .changed
                .wait_timeout(live, left)
                .map(|(live, _)| live)
                .unwrap_or_else(|poisoned| poisoned.into_inner().0);
        }
    }

    pub(super) fn take_inventory(
        &self,
        mut tenants: Vec<TenantHealth>,
    ) -> Result<Inventory, JournalError> {
        let mut facts = self.survey.facts();
        self.tell_certificates(&mut tenants, &mut facts)?;
        self.tell_disk(&mut tenants, &mut facts)?;
        let day_ago = self.clock.now().plus_secs(-86_400);
        for (code, message, times) in self.journal.refusals_since(day_ago)? {
            facts.problems.push(Failure::new(
                FailureClass::Refused,
                format!("the host refused an answer of its portal ({code}), {times} times in all: {message}"),
                "see what stands between host and portal; if the portal was restored or moved, see docs/agent.md",
            ));
        }
        let ports = self
            .journal
            .all_ports()?
            .into_iter()
            .map(|row| ReservedPort {
                tenant: row.tenant,
                role: row.role.to_string(),
                port: row.port,
            })
            .collect();
        Ok(Inventory { facts, tenants, ports })
    }
}
