//! Host ports on disk: which tenant holds which, so that two jobs never take the same one.

use std::collections::{BTreeMap, BTreeSet};

use freehold_protocol::blueprint::names::RoleName;
use freehold_protocol::ids::{Port, PortRange, TenantId};
use rusqlite::{Transaction, params};

use super::sagas::SagaId;
use super::{Journal, JournalError, parse};

/// A port that a tenant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRow {
    /// The port.
    pub port: Port,
    /// The tenant.
    pub tenant: TenantId,
    /// What it is for.
    pub role: RoleName,
}

/// Ports of a tenant by role.
pub type TenantPorts = BTreeMap<RoleName, Port>;

/// Why no port could be reserved.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Every port of the range is taken.
    #[error("every port from {range} for {role} is taken")]
    Exhausted {
        /// The role.
        role: RoleName,
        /// Where was looked.
        range: PortRange,
    },
    /// The journal did not work.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Journal {
    /// Gives the tenant a port for every wanted role: the one it holds already, unless it is to be
    /// avoided or lies outside the range; else the lowest one that nobody holds and that is not in
    /// `taken`. What it held and no longer needs is marked as leaving.
    ///
    /// # Errors
    /// When a range is used up, or the journal cannot be written.
    pub fn reserve_ports(
        &self,
        saga: SagaId,
        tenant: TenantId,
        wanted: &BTreeMap<RoleName, PortRange>,
        taken: &BTreeSet<Port>,
        avoid: &BTreeSet<Port>,
    ) -> Result<TenantPorts, ReserveError> {
        let mut exhausted = None;
        let reserved = self.write("reserve ports", |tx| {
            let held = held(tx, tenant)?;
            let mut spoken_for: BTreeSet<Port> = all(tx)?.into_iter().map(|row| row.port).collect();
            let mut reserved = TenantPorts::new();
            for (role, range) in wanted {
                let kept = held
                    .get(role)
                    .copied()
                    .filter(|port| range.contains(*port) && !avoid.contains(port));
                if let Some(port) = kept {
                    reserved.insert(role.clone(), port);
                    continue;
                }
                let free = range.iter().find(|port| {
                    !spoken_for.contains(port) && !taken.contains(port) && !avoid.contains(port)
                });
                let Some(port) = free else {
                    exhausted = Some(ReserveError::Exhausted { role: role.clone(), range: *range });
                    // Nothing of a partial reservation may stay.
                    return Err(JournalError::Unreadable {
                        what: "a range of ports".to_owned(),
                        why: "it is used up".to_owned(),
                    });
                };
                leave(tx, saga, tenant, role)?;
                tx.execute(
                    "INSERT INTO ports (port, tenant, role, state, saga)
                     VALUES (?1, ?2, ?3, 'held', ?4)",
                    params![port.get(), tenant.to_string(), role.as_str(), saga.get()],
                )
                .map_err(JournalError::sql("reserve a port"))?;
                spoken_for.insert(port);
                reserved.insert(role.clone(), port);
            }
            for role in held.keys().filter(|role| !wanted.contains_key(*role)) {
                leave(tx, saga, tenant, role)?;
            }
            Ok(reserved)
        });
        match (reserved, exhausted) {
            (Ok(ports), _) => Ok(ports),
            (Err(_), Some(exhausted)) => Err(exhausted),
            (Err(error), None) => Err(error.into()),
        }
    }

    /// The ports that a tenant holds.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn tenant_ports(&self, tenant: TenantId) -> Result<TenantPorts, JournalError> {
        self.read("read ports", |tx| held(tx, tenant))
    }

    /// Every port that is spoken for, lowest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn all_ports(&self) -> Result<Vec<PortRow>, JournalError> {
        self.read("read ports", all)
    }

    /// Undoes what a saga reserved: its ports are free again, and those that were leaving stay.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn unreserve_ports(&self, saga: SagaId, tenant: TenantId) -> Result<(), JournalError> {
        let doing = "give ports back";
        self.write(doing, |tx| {
            tx.execute(
                "DELETE FROM ports WHERE tenant = ?1 AND saga = ?2 AND state = 'held'",
                params![tenant.to_string(), saga.get()],
            )
            .map_err(JournalError::sql(doing))?;
            tx.execute(
                "UPDATE ports SET state = 'held' WHERE tenant = ?1 AND state = 'leaving'",
                [tenant.to_string()],
            )
            .map_err(JournalError::sql(doing))?;
            Ok(())
        })
    }
}

/// Frees the ports that a tenant is leaving; part of its job's success.
pub(super) fn settle(tx: &Transaction<'_>, tenant: TenantId) -> Result<(), JournalError> {
    tx.execute("DELETE FROM ports WHERE tenant = ?1 AND state = 'leaving'", [tenant.to_string()])
        .map_err(JournalError::sql("give ports back"))?;
    Ok(())
}

/// Frees all ports of a tenant; part of its removal's success.
pub(super) fn free(tx: &Transaction<'_>, tenant: TenantId) -> Result<(), JournalError> {
    tx.execute("DELETE FROM ports WHERE tenant = ?1", [tenant.to_string()])
        .map_err(JournalError::sql("give ports back"))?;
    Ok(())
}

/// Lets a role's port go: one of this saga's own at once, an older one when the saga succeeds.
fn leave(
    tx: &Transaction<'_>,
    saga: SagaId,
    tenant: TenantId,
    role: &RoleName,
) -> Result<(), JournalError> {
    let doing = "give a port back";
    tx.execute(
        "DELETE FROM ports WHERE tenant = ?1 AND role = ?2 AND state = 'held' AND saga = ?3",
        params![tenant.to_string(), role.as_str(), saga.get()],
    )
    .map_err(JournalError::sql(doing))?;
    tx.execute(
        "UPDATE ports SET state = 'leaving' WHERE tenant = ?1 AND role = ?2 AND state = 'held'",
        params![tenant.to_string(), role.as_str()],
    )
    .map_err(JournalError::sql(doing))?;
    Ok(())
}

fn held(tx: &Transaction<'_>, tenant: TenantId) -> Result<TenantPorts, JournalError> {
    let rows = rows(tx, "state = 'held' AND tenant = ?1", [tenant.to_string()])?;
    Ok(rows.into_iter().map(|row| (row.role, row.port)).collect())
}

fn all(tx: &Transaction<'_>) -> Result<Vec<PortRow>, JournalError> {
    rows(tx, "TRUE", [])
}

fn rows(
    tx: &Transaction<'_>,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<PortRow>, JournalError> {
    let doing = "read ports";
    let mut statement = tx
        .prepare(&format!("SELECT port, tenant, role FROM ports WHERE {condition} ORDER BY port"))
        .map_err(JournalError::sql(doing))?;
    let raw = statement
        .query_map(parameters, |row| {
            Ok((row.get::<_, u16>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(JournalError::sql(doing))?;
    raw.into_iter()
        .map(|(port, tenant, role)| {
            let what = format!("port {port}");
            let unreadable = |why: freehold_protocol::ids::ParseIdError| JournalError::Unreadable {
                what: what.clone(),
                why: why.to_string(),
            };
            Ok(PortRow {
                port: Port::try_from(port).map_err(unreadable)?,
                tenant: parse(&tenant, &what)?,
                role: parse(&role, &what)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use freehold_protocol::time::Timestamp;

    use super::*;
    use crate::journal::Missing;
    use crate::journal::sagas::Begun;
    use crate::plan::tests_support::{plan_of, tenant_id};

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db"), Missing::Create).unwrap();
        (dir, journal)
    }

    fn saga(journal: &Journal, tenant: u8, job: u8) -> SagaId {
        let begun = journal.begin_saga(&plan_of(tenant, job), Timestamp::from_millis(1)).unwrap();
        let Begun::New(saga) = begun else { panic!("{begun:?}") };
        saga
    }

    fn wanted(range: &str) -> BTreeMap<RoleName, PortRange> {
        BTreeMap::from([
            ("backend".parse().unwrap(), range.parse().unwrap()),
            ("frontend".parse().unwrap(), range.parse().unwrap()),
        ])
    }

    fn numbers(ports: &TenantPorts) -> Vec<u16> {
        ports.values().map(|port| port.get()).collect()
    }

    fn ports(numbers: &[u16]) -> BTreeSet<Port> {
        numbers.iter().map(|n| Port::try_from(*n).unwrap()).collect()
    }

    #[test]
    fn two_tenants_never_share_and_a_redeploy_keeps() {
        let (_dir, journal) = journal();
        let none = BTreeSet::new();
        let (first, second) = (saga(&journal, 1, 1), saga(&journal, 2, 2));
        let reserve = |saga, tenant, range, taken: &BTreeSet<Port>| {
            journal.reserve_ports(saga, tenant_id(tenant), &wanted(range), taken, &none)
        };
        let taken = ports(&[3001]);
        assert_eq!(numbers(&reserve(first, 1, "3001-3005", &taken).unwrap()), [3002, 3003]);
        assert_eq!(numbers(&reserve(second, 2, "3001-3005", &taken).unwrap()), [3004, 3005]);
        // Its own port being in use by itself does not matter.
        let taken = ports(&[3001, 3002, 3003]);
        assert_eq!(numbers(&reserve(first, 1, "3001-3005", &taken).unwrap()), [3002, 3003]);
        let third = saga(&journal, 3, 3);
        let error = reserve(third, 3, "3001-3005", &none).unwrap_err();
        assert!(matches!(error, ReserveError::Exhausted { .. }), "{error}");
        assert!(journal.tenant_ports(tenant_id(3)).unwrap().is_empty());
    }

    #[test]
    fn a_replaced_port_stays_spoken_for_until_the_job_succeeds() {
        let (_dir, journal) = journal();
        let none = BTreeSet::new();
        let first = saga(&journal, 1, 1);
        let wanted = wanted("3001-3009");
        journal.reserve_ports(first, tenant_id(1), &wanted, &none, &none).unwrap();
        // A later job of the tenant finds 3001 taken by something else.
        journal
            .write("end", |tx| {
                tx.execute("UPDATE sagas SET status = 'done'", []).map_err(JournalError::sql("end"))
            })
            .unwrap();
        let later = saga(&journal, 1, 2);
        let avoid = ports(&[3001]);
        let got = journal.reserve_ports(later, tenant_id(1), &wanted, &none, &avoid).unwrap();
        assert_eq!(numbers(&got), [3003, 3002]);
        assert_eq!(journal.all_ports().unwrap().len(), 3);
        journal.unreserve_ports(later, tenant_id(1)).unwrap();
        assert_eq!(numbers(&journal.tenant_ports(tenant_id(1)).unwrap()), [3001, 3002]);
        assert_eq!(journal.all_ports().unwrap().len(), 2);
    }
}
