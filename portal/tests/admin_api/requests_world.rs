//! What the tests of provision requests stand on.

use std::collections::BTreeMap;

use freehold_portal::{config::Config, db};
use freehold_protocol::{
    ids::{AgentId, HostName},
    report::HostFacts,
    time::Timestamp,
    wire::Inventory,
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, World, acme},
    licensing::{license, with_customer},
};

pub const REQUESTS: &str = "/api/v1/requests";
/// What the blueprint of these tests takes of a host.
pub const MEMORY: u64 = 4096;

/// A machine of this size that does nothing.
pub fn facts(memory: u64, cpus: u32, disk_gb: u64) -> HostFacts {
    HostFacts {
        at: Timestamp::from_millis(1),
        os: "Debian".into(),
        kernel: "6".into(),
        arch: "x86_64".into(),
        memory_total_mib: memory,
        memory_available_mib: memory,
        cpus,
        load_percent: 0,
        disk_total_mib: disk_gb * 1024,
        disk_available_mib: disk_gb * 1024,
        tools: BTreeMap::new(),
        problems: Vec::new(),
    }
}

/// A world with a host of known size, a customer with a license, and people.
pub struct Shop {
    pub world: World,
    pub customer: String,
    pub license: String,
    pub operator: String,
    pub approver: String,
}

impl Shop {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let world = World::with(change);
        world.add_host_and_blueprint();
        let customer = with_customer(&world);
        let (license, _) = license(&world, &customer, json!({}));
        for (login, role) in [("olga@example.com", "operator"), ("paul@example.com", "approver")] {
            world.user(login, role);
        }
        let access = |login: &str| world.session(login)["accessToken"].as_str().unwrap().to_owned();
        let (operator, approver) = (access("olga@example.com"), access("paul@example.com"));
        let shop = Self { world, customer, license, operator, approver };
        shop.report_capacity(16_384, 8, 200);
        shop
    }

    /// What the host's agent says of its machine.
    pub fn report_capacity(&self, memory: u64, cpus: u32, disk_gb: u64) {
        let facts = facts(memory, cpus, disk_gb);
        let inventory = Inventory { facts, tenants: Vec::new(), ports: Vec::new() };
        let put = move |tx: &db::Tx<'_>| {
            let name: HostName = "vps-1".parse().unwrap();
            let host = db::hosts::by_name(tx, &name)?.unwrap();
            let agent = AgentId::from_uuid(host.id.as_uuid());
            db::inventory::put(tx, host.id, agent, &inventory)
        };
        self.world.portal.db.write(put).unwrap();
    }

    pub fn body(&self) -> Value {
        let mut body = acme();
        body["customer"] = json!(self.customer);
        body["license"] = json!(self.license);
        body["justification"] = json!("Acme has signed.\nOrder 4711.");
        body
    }

    pub fn ask(&self, who: &str, method: &str, path: &str, body: &Value) -> Answer {
        let call = self.world.call(method, path).bearer(who).header("if-match", "*");
        if body.is_null() { call.send() } else { call.json(body).send() }
    }

    /// What the operator has asked for.
    pub fn requested(&self) -> String {
        self.requested_with(&self.body())
    }

    pub fn requested_with(&self, body: &Value) -> String {
        let made = self.ask(&self.operator, "POST", REQUESTS, body).expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    pub fn decide(&self, who: &str, id: &str, what: &str, body: &Value) -> Answer {
        self.ask(who, "POST", &format!("{REQUESTS}/{id}/{what}"), body)
    }

    pub fn approve(&self, id: &str) -> Answer {
        self.decide(&self.approver, id, "approve", &json!({ "comment": "fine" }))
    }

    pub fn show(&self, id: &str) -> Value {
        self.world.get(&format!("{REQUESTS}/{id}")).expect(200)
    }

    pub fn status(&self, id: &str) -> String {
        self.show(id)["status"].as_str().unwrap().to_owned()
    }

    pub fn sql(&self, text: &str) {
        rusqlite::Connection::open(self.world.portal.db.path())
            .unwrap()
            .execute_batch(text)
            .unwrap();
    }

    pub fn tenants(&self) -> usize {
        self.world.get("/api/v1/tenants").expect(200)["items"].as_array().unwrap().len()
    }
}
