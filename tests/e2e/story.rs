//! The whole story of a tenant: a license, a request, an approval by somebody else, a deployment, an active
//! license. Its app asks the portal for that license, sends logs and usage, goes on while the portal is away,
//! and is refused when the license is suspended.

use std::time::Duration;

use freehold_portal::api::{
    customers::CustomerView, licenses::LicenseCreated, requests::RequestView,
};
use freehold_tests::world::{HOST, Setup, Tenant, World, blueprint};
use serde_json::{Value, json};

use crate::app::{assert_valid, authority, is_refused_when_suspended, outlives_an_outage};

const PASSWORD: &str = "correct horse battery staple";
const SOON: Duration = Duration::from_secs(60);

#[test]
fn what_one_asks_for_and_another_approves_runs_under_its_license() {
    let mut world = World::start_with("story", Setup { apps: true, ..Setup::default() });
    let mut story = Story::begin(&world);
    story.is_asked_for();
    story.is_not_approved_by_whoever_asked();
    story.is_approved_and_deployed();
    story.is_under_an_active_license();
    let (tenant, license) = (story.tenant.clone(), story.license.license.id.to_string());
    assert_valid(&world, &tenant);
    outlives_an_outage(&mut world, &tenant);
    is_refused_when_suspended(&world, &tenant, &license);
}

/// A customer with a license, and two people.
struct Story<'w> {
    world: &'w World,
    tenant: Tenant,
    customer: CustomerView,
    license: LicenseCreated,
    /// Access tokens: of an owner who asks, and of an approver.
    asks: String,
    approves: String,
    request: Option<RequestView>,
}

impl<'w> Story<'w> {
    fn begin(world: &'w World) -> Self {
        world.push(&blueprint(&[]));
        let api = world.api();
        let plan = json!({ "name": "pro", "products": ["recruitiq"], "features": ["export"], "maxUsers": 25,
                           "expiryStrategy": "restrict" });
        api.call("POST", "/plans", Some(&plan)).expect(201);
        let customer = json!({ "name": "Acme GmbH", "organizationId": "acme-org" });
        let customer = api.call("POST", "/customers", Some(&customer)).expect(201);
        let customer: CustomerView = serde_json::from_value(customer).unwrap();
        let license = json!({ "customer": customer.id, "plan": "pro" });
        let license = api.call("POST", "/licenses", Some(&license)).expect(201);
        let license: LicenseCreated = serde_json::from_value(license).unwrap();
        assert_eq!(license.license.status, "pending_deployment");
        let person = |login: &str, role: &str| {
            let user =
                json!({ "login": login, "role": role, "password": PASSWORD, "keepPassword": true });
            api.call("POST", "/users", Some(&user)).expect(201);
            let login = json!({ "login": login, "password": PASSWORD });
            let session = api.call("POST", "/auth/login", Some(&login)).expect(200);
            session["accessToken"].as_str().unwrap().to_owned()
        };
        let asks = person("olga@example.com", "owner");
        let approves = person("paul@example.com", "approver");
        let tenant = world.tenant("acme");
        Self { world, tenant, customer, license, asks, approves, request: None }
    }

    /// Runs `freehold` as one of the two.
    fn json(&self, who: &str, args: &[&str]) -> Value {
        self.world.cli_as(who, args.iter().chain(&["--json"])).json()
    }

    fn shown(&self) -> RequestView {
        let id = self.id();
        serde_json::from_value(self.json(&self.approves, &["request", "show", &id])).unwrap()
    }

    fn id(&self) -> String {
        self.request.as_ref().unwrap().id.to_string()
    }

    fn is_asked_for(&mut self) {
        // The approver is to see what the host has.
        let host = format!("/hosts/{HOST}");
        let known = || self.world.api().get(&host).get("factsReceivedAt").is_some();
        let until = std::time::Instant::now() + SOON;
        while !known() {
            assert!(std::time::Instant::now() < until, "the agent reports no capacity");
            std::thread::sleep(Duration::from_millis(100));
        }
        let license = self.license.license.id.to_string();
        let authority = format!("PORTAL_CA={}", authority(self.world));
        let asked = self.json(
            &self.asks,
            &[
                "request",
                "create",
                &self.tenant.slug,
                "--name",
                "Acme & Söhne",
                "--domain",
                &self.tenant.domain,
                "--host",
                HOST,
                "--blueprint",
                "recruitiq",
                "--customer",
                "acme-org",
                "--license",
                &license,
                "--admin-email",
                &self.tenant.email,
                "--set",
                &authority,
                "--justification",
                "order 4711",
            ],
        );
        let asked: RequestView = serde_json::from_value(asked).unwrap();
        assert_eq!(
            (asked.status.as_str(), asked.requested_by.as_str(), asked.customer),
            ("pending", "user:olga@example.com", self.customer.id)
        );
        self.request = Some(asked);
        let capacity = self.shown().capacity.unwrap();
        let memory = capacity.memory_mb.unwrap();
        assert_eq!((memory.takes, memory.promised), (1024, 0));
        assert!(memory.total > 0 && capacity.reported_at.is_some(), "{capacity:?}");
        let none = self.world.api().call("GET", &format!("/tenants/{}", self.tenant.slug), None);
        assert_eq!(none.status, 404);
    }

    fn is_not_approved_by_whoever_asked(&self) {
        let refused = self.world.cli_as(&self.asks, ["request", "approve", &self.id()]);
        assert!(!refused.success(), "{refused}");
        assert!(refused.stderr.contains("cannot approve it as well"), "{refused}");
        assert_eq!(self.shown().status, "pending");
    }

    fn is_approved_and_deployed(&self) {
        // The machine that tests run on has as much as it has.
        let args = ["request", "approve", &self.id(), "--despite-capacity", "--watch"];
        self.world.cli_as(&self.approves, args).ok();
        let deployed = self.shown();
        assert_eq!(
            (deployed.status.as_str(), deployed.decided_by.as_deref()),
            ("deployed", Some("user:paul@example.com"))
        );
        let job = self.world.succeeds(&deployed.job.unwrap().to_string());
        assert_eq!(job.tenant_id, Some(deployed.tenant));
        self.world.assert_live(&self.tenant, "1");
        let view = self.world.view(&self.tenant);
        assert_eq!((view.status.as_str(), view.id), ("active", deployed.tenant));
        assert_eq!(view.license, Some(self.license.license.id));
        // The host's own record names what was approved.
        let journal = self.world.agent_ref().cli(&["journal", &job.id.to_string(), "--json"]);
        let approval = &journal.json()["job"]["approval"];
        let (request, digest) = (self.id(), deployed.digest.to_string());
        assert_eq!(*approval, json!({ "request": request, "digest": digest }));
    }

    fn is_under_an_active_license(&self) {
        let license = format!("/licenses/{}", self.license.license.id);
        let license = self.world.api().get(&license);
        assert_eq!(
            (&license["status"], &license["tenants"]),
            (&json!("active"), &json!([self.tenant.slug]))
        );
        let log = self.world.api().get("/audit?limit=200");
        let rows: Vec<(&str, &str)> = log["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["action"].as_str().unwrap(), row["actor"].as_str().unwrap()))
            .filter(|(action, _)| action.starts_with("request.") || *action == "license.activate")
            .collect();
        let agent = format!("agent:{HOST}");
        assert_eq!(
            rows,
            [
                ("request.create", "user:olga@example.com"),
                ("request.approve", "user:paul@example.com"),
                ("license.activate", agent.as_str()),
                ("request.follow", "system"),
            ]
        );
    }
}
