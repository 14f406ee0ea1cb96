//! What tenants have on the disk beside what their plans give: shown, told once, and acted upon.

use freehold_protocol::{
    disk::{ByteCount, DiskUse},
    ids::TenantId,
    report::{HealthStatus, TenantHealth},
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::{
    agents_edge::Agent,
    harness::{Answer, SHOP, World, acme},
    licensing::{license, with_customer},
};

const GIB: u64 = 1 << 30;
const ACME: &str = "/api/v1/tenants/acme";

/// Two tenants on one host, of which `acme` has a license of the plan `pro`: 20 GiB, which is what its
/// release wants.
struct Disk {
    world: World,
    agent: Agent,
    acme: TenantId,
}

impl Disk {
    fn new() -> Self {
        let world = World::new();
        let agent = Agent::enroll(&world);
        world.post("/api/v1/blueprints", json!({ "source": SHOP })).expect(201);
        let customer = with_customer(&world);
        let (license, _) = license(&world, &customer, json!({}));
        let mut body = acme();
        body["license"] = json!(license);
        let made = world.post("/api/v1/tenants", body).expect(201);
        let acme = made["tenant"]["id"].as_str().unwrap().parse().unwrap();
        let mut other = crate::harness::acme();
        other["slug"] = json!("other");
        other["domain"] = json!("other.example.com");
        world.post("/api/v1/tenants", other).expect(201);
        Self { world, agent, acme }
    }

    /// The host's agent sends its inventory, with what it has counted for `acme`.
    fn tell(&self, counted: Option<(u64, Timestamp)>) {
        self.world.clock.advance_secs(60);
        let disk =
            counted.map(|(used, at)| DiskUse { used_bytes: ByteCount::saturating(used), at });
        let health = TenantHealth {
            tenant: self.acme,
            at: self.world.portal.db.now(),
            status: HealthStatus::Healthy,
            containers: Vec::new(),
            backend: None,
            public: None,
            certificate_expires: None,
            disk,
            problems: Vec::new(),
        };
        assert_eq!(self.agent.inventory(&self.world, vec![health]).status, 204);
    }

    /// It has counted just now.
    fn has(&self, used: u64) -> Timestamp {
        let now = self.world.portal.db.now();
        self.tell(Some((used, now)));
        now
    }

    fn shown(&self) -> Value {
        self.world.get(ACME).expect(200)["disk"].clone()
    }

    fn plan_gives(&self, gib: u64) {
        let change = json!({ "diskGb": gib });
        let call = self.world.as_owner("PATCH", "/api/v1/plans/pro").header("if-match", "*");
        call.json(&change).send().expect(200);
    }

    fn figure(&self) -> String {
        let page = self.world.as_owner("GET", "/metrics").send().text;
        let line = page.lines().find(|line| line.starts_with("freehold_tenants_over_disk "));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    }

    fn deploy(&self, release: u32) -> Answer {
        self.world.post("/api/v1/tenants/acme/deploy", json!({ "release": release }))
    }

    /// Queued, and taken back, so that the next can be.
    #[track_caller]
    fn is_queued(&self, answer: &Answer) {
        let job = answer.expect(202)["id"].as_str().unwrap().to_owned();
        self.world.post(&format!("/api/v1/jobs/{job}/cancel"), json!({})).expect(202);
    }
}

#[test]
fn what_a_tenant_has_is_shown_with_its_limit_to_whoever_may_see_the_tenant() {
    let disk = Disk::new();
    assert_eq!(disk.shown(), Value::Null);
    disk.tell(None);
    assert_eq!(disk.shown(), Value::Null);
    let at = disk.has(5 * GIB);
    let five =
        json!({ "usedBytes": 5 * GIB, "measuredAt": at, "limitBytes": 20 * GIB, "over": false });
    assert_eq!(disk.shown(), five);
    // An agent that stops counting, a count that comes late and one of the future take nothing back.
    disk.tell(None);
    disk.tell(Some((GIB, at.plus_secs(-1))));
    disk.tell(Some((GIB, at.plus_secs(86_400))));
    assert_eq!(disk.shown(), five);
    let tenant = disk.world.get(ACME).expect(200);
    assert_eq!(tenant["health"].get("disk"), None, "the count is shown in one place");
    let listed = disk.world.get("/api/v1/tenants").expect(200);
    assert_eq!(listed["items"][0]["disk"], five);
    assert_eq!(listed["items"][1].get("disk"), None);

    // Just the limit is within it.
    disk.has(20 * GIB);
    assert_eq!((&disk.shown()["over"], disk.figure().as_str()), (&json!(false), "0"));
    disk.has(20 * GIB + 1);
    assert_eq!((&disk.shown()["over"], disk.figure().as_str()), (&json!(true), "1"));
    disk.plan_gives(0);
    assert_eq!(disk.figure(), "0");
    let shown = disk.shown();
    assert_eq!((shown.get("limitBytes"), &shown["over"]), (None, &json!(false)));

    let limited = |tenant: &str| {
        let body = json!({ "name": tenant, "role": "viewer", "tenant": tenant });
        let made = disk.world.post("/api/v1/tokens", body).expect(201);
        disk.world.call("GET", ACME).bearer(made["secret"].as_str().unwrap()).send()
    };
    assert_eq!(limited("acme").expect(200)["disk"]["usedBytes"], 20 * GIB + 1);
    limited("other").refused(404, "not_found");
}

#[test]
fn passing_the_limit_is_told_once_each_way() {
    let disk = Disk::new();
    let told = || {
        let of = |action| disk.world.audited(action).len();
        (of("tenant.disk_over"), of("tenant.disk_within"))
    };
    let later = || disk.world.clock.advance_secs(600);
    disk.has(19 * GIB);
    assert_eq!(told(), (0, 0));
    disk.has(21 * GIB);
    // A host that says now this and now that does not fill the log.
    for _ in 0..4 {
        disk.has(GIB);
        disk.has(22 * GIB);
    }
    later();
    disk.tell(None);
    assert_eq!(told(), (1, 0));
    let entry = &disk.world.audited("tenant.disk_over")[0];
    assert_eq!(entry["actor"], "agent:vps-1");
    let detail = &entry["detail"];
    assert_eq!((&detail["slug"], &detail["plan"]), (&json!("acme"), &json!("pro")));
    assert_eq!((&detail["usedBytes"], &detail["diskGb"]), (&json!(21 * GIB), &json!(20)));

    // A plan that changes is noticed although nothing new was counted.
    disk.plan_gives(23);
    disk.tell(None);
    disk.tell(None);
    assert_eq!(told(), (1, 1));
    later();
    disk.plan_gives(20);
    disk.tell(None);
    assert_eq!(told(), (2, 1));
    later();
    disk.has(GIB);
    assert_eq!(told(), (2, 2));
}

#[test]
fn a_tenant_that_has_outgrown_its_plan_gets_no_other_release_and_can_be_mended() {
    let disk = Disk::new();
    let second = SHOP.replace("image: ", "read_only: true\n    image: ");
    assert_ne!(second, SHOP);
    disk.world.post("/api/v1/blueprints", json!({ "source": second })).expect(201);
    disk.has(20 * GIB + GIB / 2);
    // A first deployment is none of what runs.
    assert_eq!(disk.deploy(1).pointers(), ["/blueprint/resources/diskGb"]);
    let db = rusqlite::Connection::open(disk.world.portal.db.path()).unwrap();
    db.execute(
        "UPDATE tenants SET release_deployed = 1, status = 'active' WHERE slug = 'acme'",
        [],
    )
    .unwrap();

    let refused = disk.deploy(2);
    refused.refused(422, "invalid");
    assert_eq!(refused.pointers(), ["/blueprint/resources/diskGb"]);
    for part in [
        "the tenant has 20.5 GiB on the disk, and the plan pro gives 20 GiB",
        "freehold tenant check acme",
        "freehold plan update pro --disk-gb",
    ] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    // What is needed to mend it stays possible.
    disk.is_queued(&disk.deploy(1));
    disk.is_queued(&disk.world.as_owner("POST", "/api/v1/tenants/acme/check").send());
    disk.is_queued(&disk.world.post("/api/v1/tenants/acme/remove", json!({ "data": "keep" })));
    // What a release wants is weighed as ever, whatever is used, and said instead.
    disk.plan_gives(19);
    let refused = disk.deploy(1);
    assert!(refused.text.contains("wants 20 GiB of disk"), "{}", refused.text);
    assert_eq!(disk.deploy(2).pointers(), ["/blueprint/resources/diskGb"]);

    disk.plan_gives(21);
    disk.is_queued(&disk.deploy(2));
    disk.plan_gives(20);
    disk.deploy(2).refused(422, "invalid");
    disk.has(GIB);
    disk.is_queued(&disk.deploy(2));
}

#[test]
fn a_deploy_that_waits_while_its_tenant_outgrows_the_plan_is_not_given_to_the_host() {
    let disk = Disk::new();
    disk.has(19 * GIB);
    let queue = || disk.deploy(1).expect(202)["id"].as_str().unwrap().to_owned();
    let job = |id: &str| disk.world.get(&format!("/api/v1/jobs/{id}")).expect(200);
    let first = queue();
    disk.has(21 * GIB);
    disk.agent.poll(&disk.world).expect(200);
    let failed = job(&first);
    assert_eq!(failed["state"], "failed", "{failed}");
    let failure = &failed["failure"];
    assert_eq!(failure["class"], "request", "{failed}");
    let (what, advice) = (failure["what"].as_str().unwrap(), failure["advice"].as_str().unwrap());
    assert!(what.contains("the tenant has 21 GiB on the disk"), "{what}");
    assert!(advice.contains("freehold plan update pro --disk-gb"), "{advice}");

    // What is mended in time is given to it.
    disk.plan_gives(30);
    let second = queue();
    disk.plan_gives(20);
    disk.has(20 * GIB);
    disk.agent.poll(&disk.world).expect(200);
    assert_eq!(job(&second)["state"], "leased");
}
