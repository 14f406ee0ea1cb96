//! A report moves job, tenant, license, request and the host's balance together or not at all.

use super::*;
use crate::{
    app::{record_inventory::RecordInventory, request_capacity},
    db::audit,
};
use freehold_protocol::wire::Inventory;

/// Memory that the tests' blueprint wants, and that [`facts`] have free, in MiB.
const WANTS: u64 = 512;
const FREE: i64 = 6000;

impl Approved {
    /// What the agent says of its host.
    fn shows(&self, tenants: Vec<TenantHealth>) {
        let inventory = Inventory { facts: facts(), tenants, ports: Vec::new() };
        let record = RecordInventory { agent: self.agent.id(), inventory };
        self.world.portal.db.write(move |tx| record.apply(tx)).unwrap();
    }

    /// Memory that is promised on the host, and what one more tenant like this one would leave.
    fn memory(&self) -> (u64, i64) {
        let row = self.row();
        let capacity = self.world.portal.db.read(|read| request_capacity::of(read, &row)).unwrap();
        let (balance, _) = capacity.known.unwrap();
        (balance.memory_mb.promised, balance.memory_mb.left)
    }

    fn entries(&self) -> u64 {
        self.world.portal.db.read(audit::head).unwrap().n
    }
}

#[test]
fn what_is_approved_stays_promised_until_its_job_has_failed() {
    use {LicenseStatus as L, RequestStatus as R, TenantStatus as T};
    let twice = FREE - 2 * WANTS.cast_signed();
    let mut approved = Approved::new();
    approved.shows(Vec::new());
    assert_eq!(approved.memory(), (WANTS, twice), "on its way, and not in the agent's figures");
    approved.report(Outcome::Succeeded, None);
    assert_eq!(approved.standing(), (R::Deployed, L::Active, T::Active));
    assert_eq!(approved.memory(), (WANTS, twice), "there, and not in the agent's figures yet");
    let JobResult::Deployed(there) = approved.deployed() else { panic!("no deployment") };
    approved.shows(vec![there.health]);
    assert_eq!(approved.memory(), (WANTS, FREE - WANTS.cast_signed()), "what is free shows it");

    let mut failed = Approved::new();
    failed.shows(Vec::new());
    let failure = Failure::new(FailureClass::App, "the container is unhealthy", "fix it");
    failed.report(Outcome::RolledBack, Some(failure));
    assert_eq!(failed.standing(), (R::Failed, L::PendingDeployment, T::Failed));
    assert_eq!(failed.memory(), (0, FREE - WANTS.cast_signed()), "nothing is promised any more");
}

#[test]
fn a_report_that_cannot_be_written_whole_changes_nothing_and_is_taken_when_it_comes_again() {
    use {LicenseStatus as L, RequestStatus as R, TenantStatus as T};
    let mut approved = Approved::new();
    approved.shows(Vec::new());
    let id = approved.job.0.job_id;
    let stands = |approved: &Approved| {
        (approved.standing(), approved.world.state(id), approved.memory(), approved.entries())
    };
    let before = stands(&approved);
    assert_eq!(before.0, (R::Approved, L::PendingDeployment, T::Provisioning));
    for (change, table) in [
        ("UPDATE", "jobs"),
        ("UPDATE", "tenants"),
        ("UPDATE", "licenses"),
        ("UPDATE", "requests"),
        ("INSERT", "audit"),
    ] {
        let refuse = format!(
            "CREATE TRIGGER refuse BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        );
        sql(&approved.world, refuse);
        let done = Some(approved.deployed());
        let Approved { world, agent, job, .. } = &mut approved;
        agent.report(world, job, Outcome::Succeeded, None, done).expect_err(table);
        assert_eq!(stands(&approved), before, "{table}");
        sql(&approved.world, "DROP TRIGGER refuse");
    }
    approved.report(Outcome::Succeeded, None);
    assert_eq!(approved.standing(), (R::Deployed, L::Active, T::Active));
    assert_eq!(approved.world.state(id), JobState::Succeeded);
}
