//! What a check has counted is kept, and forgotten when nothing of the tenant is left.

use std::collections::BTreeMap;

use freehold_protocol::{
    disk::{ByteCount, DiskUse},
    ids::TenantId,
    job::{CheckTenant, Work},
    report::{HealthStatus, JobResult, Outcome, Removed, TenantHealth},
    wire::Inventory,
};

use super::world::{ACTOR, Agent, World, facts, removal};
use crate::{
    api::hosts::CreateHost as CreateHostBody,
    app::hosts_admin::CreateHost,
    clock::Clock as _,
    db::{Tx, tenants},
    http::route::AgentRoute,
};

fn health(world: &World, tenant: TenantId, used: u64) -> TenantHealth {
    let at = world.clock.now();
    TenantHealth {
        tenant,
        at,
        status: HealthStatus::Healthy,
        containers: Vec::new(),
        backend: None,
        public: None,
        certificate_expires: None,
        disk: Some(DiskUse { used_bytes: ByteCount::saturating(used), at }),
        problems: Vec::new(),
    }
}

fn known(world: &World, tenant: TenantId) -> Option<u64> {
    let row = world.portal.db.read(|read| tenants::by_id(read, tenant)).unwrap().unwrap();
    row.disk.map(|disk| disk.used_bytes.get())
}

fn tell(world: &World, agent: &mut Agent, tenants: Vec<TenantHealth>) {
    let inventory = Inventory { facts: facts(), tenants, ports: Vec::new() };
    agent.post::<Option<()>>(world, &AgentRoute::Inventory, &inventory).unwrap();
}

fn remove(world: &World, agent: &mut Agent, tenant: TenantId, kept: &[&str]) {
    world.queue(removal(tenant));
    let (_, jobs) = agent.poll(world);
    let kept_volumes = kept.iter().map(ToString::to_string).collect();
    let removed = Removed { kept_volumes, deleted_volumes: Vec::new() };
    let result = Some(JobResult::Removed(removed));
    agent.report(world, &jobs[0], Outcome::Succeeded, None, result).unwrap();
}

#[test]
fn a_check_counts_and_a_removal_of_everything_forgets() {
    let world = World::new();
    let mut agent = world.agent();
    let (tenant, other) = (world.tenant("active", Some(1)), world.tenant("active", Some(1)));
    let check = CheckTenant { tenant, slug: "acme".parse().unwrap() };
    world.queue(Work::CheckTenant(check));
    let (_, jobs) = agent.poll(&world);
    let found = JobResult::Checked(health(&world, tenant, 7_000));
    agent.report(&world, &jobs[0], Outcome::Succeeded, None, Some(found)).unwrap();
    assert_eq!((known(&world, tenant), known(&world, other)), (Some(7_000), None));

    // Kept data is still there.
    remove(&world, &mut agent, tenant, &["acme_shop_data"]);
    assert_eq!(known(&world, tenant), Some(7_000));
    remove(&world, &mut agent, tenant, &[]);
    assert_eq!(known(&world, tenant), None);
    // An inventory that was on its way brings nothing of it back.
    world.clock.advance_secs(60);
    let late = vec![health(&world, tenant, 7_000), health(&world, other, 9)];
    tell(&world, &mut agent, late);
    assert_eq!((known(&world, tenant), known(&world, other)), (None, Some(9)));
}

#[test]
fn a_host_tells_of_its_own_tenants_only() {
    let world = World::new();
    let mut agent = world.agent();
    let tenant = world.tenant("active", Some(1));
    let elsewhere = world.tenant("active", Some(1));
    let request =
        CreateHostBody { name: "vps-2".into(), labels: BTreeMap::new(), tenant_limit: None };
    let create = CreateHost { request, actor: ACTOR.into() };
    let moved = move |tx: &Tx<'_>| {
        let host = create.apply(tx)?.id.to_string();
        let sql = "UPDATE tenants SET host_id = ?2 WHERE id = ?1";
        Ok(tx.sql().execute(sql, [elsewhere.to_string(), host])?)
    };
    world.portal.db.write(moved).unwrap();
    let told = vec![health(&world, tenant, 5), health(&world, elsewhere, 6)];
    tell(&world, &mut agent, told);
    assert_eq!((known(&world, tenant), known(&world, elsewhere)), (Some(5), None));
}
