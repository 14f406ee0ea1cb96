//! Every change stands in the audit log: all operations of the portal are done once, and the log looked at after each.

use std::collections::BTreeSet;

use freehold_portal::http::{route, server::Method};
use freehold_protocol::{
    enroll::{EnrollmentToken, proof},
    keys::SigningKey,
    seal::SealKey,
    wire::EnrollRequest,
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, SHOP},
    licensing::{DAY, NOW},
    requests_world::{Shop, facts},
    users::PASSWORD,
};

/// Operations that write nothing into the audit log, and why.
const WITHOUT_ENTRY: &[(&str, &str)] = &[
    (
        "Refresh",
        "goes on with a session whose login has an entry, every few minutes; a reuse has one",
    ),
    ("Poll", "asks; what it finds out (`host.conflict`, jobs that are lost) has an entry"),
    ("Inventory", "tells what is, and changes nothing that anybody wants"),
    ("Events", "a job's own history, which is kept with it"),
    ("Validate", "asks"),
    ("Logs", "what an app sends is a history of its own, in ingest.db"),
    ("Usage", "as Logs"),
    ("Health", "as Logs"),
];

/// Operations that need an agent which signs, and the test that looks at their entries.
const ELSEWHERE: &[(&str, &str)] =
    &[("Report", "agent_api/tests/audited.rs"), ("ResumeHost", "agent_api/tests/history.rs")];

/// Does one thing after the other and looks at the log after each.
struct Walk {
    shop: Shop,
    end: usize,
    done: BTreeSet<&'static str>,
}

impl Walk {
    fn by(&mut self, name: &'static str, who: &str, call: &str, body: Value) -> Value {
        let (method, path) = call.split_once(' ').unwrap();
        let answer = self.shop.ask(who, method, &format!("/api/v1{path}"), &body);
        assert!(answer.status < 300, "{name}: {answer:?}");
        self.noted(name, &answer);
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }

    fn owner(&mut self, name: &'static str, call: &str, body: Value) -> Value {
        let owner = self.shop.world.owner.clone();
        self.by(name, &owner, call, body)
    }

    /// What was done is in the log, and names the request; or it is listed as an exception and is not.
    fn noted(&mut self, name: &'static str, answer: &Answer) {
        let new = self.shop.world.log_after(self.end);
        let id = answer.header("x-request-id").unwrap();
        let by_it = new.iter().filter(|row| row["detail"]["requestId"] == id).count();
        assert_eq!(by_it, new.len(), "{name}: {new:?}");
        let excepted = WITHOUT_ENTRY.iter().any(|(listed, _)| *listed == name);
        assert_ne!(by_it > 0, excepted, "{name}: {new:?}");
        self.end += new.len();
        self.done.insert(name);
    }

    fn id(value: &Value, pointer: &str) -> String {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{value}"))
            .to_owned()
    }

    fn licensing(&mut self) {
        self.owner(
            "CreatePlan",
            "POST /plans",
            json!({ "name": "team", "products": ["ats"], "expiryStrategy": "restrict" }),
        );
        self.owner("UpdatePlan", "PATCH /plans/team", json!({ "title": "Team" }));
        self.owner("ArchivePlan", "POST /plans/team/archive", Value::Null);
        self.owner("UnarchivePlan", "POST /plans/team/unarchive", Value::Null);
        let customer = self.owner("CreateCustomer", "POST /customers", json!({ "name": "Beta" }));
        let customer = Self::id(&customer, "/id");
        self.owner(
            "UpdateCustomer",
            &format!("PATCH /customers/{customer}"),
            json!({ "name": "B" }),
        );
        let body = json!({ "customer": customer, "plan": "team" });
        let made = self.owner("CreateLicense", "POST /licenses", body);
        let license = Self::id(&made, "/license/id");
        let of = |method: &str, what: &str| format!("{method} /licenses/{license}{what}");
        self.owner("UpdateLicense", &of("PATCH", ""), json!({ "plan": "pro" }));
        self.owner("SuspendLicense", &of("POST", "/suspend"), json!({ "reason": "unpaid" }));
        self.owner("ReinstateLicense", &of("POST", "/reinstate"), Value::Null);
        self.owner("RenewLicense", &of("POST", "/renew"), json!({ "expiresAt": NOW + DAY }));
        self.owner("RevealLicenseKey", &of("POST", "/reveal"), Value::Null);
        self.owner("RevokeLicense", &of("POST", "/revoke"), json!({ "reason": "over" }));
        self.owner("DeleteCustomer", &format!("DELETE /customers/{customer}"), Value::Null);
        self.owner("DeletePlan", "DELETE /plans/team", Value::Null);
    }

    fn requests(&mut self) {
        let (operator, approver) = (self.shop.operator.clone(), self.shop.approver.clone());
        let asked = |walk: &mut Self| {
            let made = walk.by("CreateRequest", &operator, "POST /requests", walk.shop.body());
            Self::id(&made, "/id")
        };
        let (why, fine) = (json!({ "comment": "no" }), json!({ "comment": "fine" }));
        let one = asked(self);
        self.by("RejectRequest", &approver, &format!("POST /requests/{one}/reject"), why);
        let two = asked(self);
        self.by(
            "WithdrawRequest",
            &operator,
            &format!("POST /requests/{two}/withdraw"),
            Value::Null,
        );
        let three = asked(self);
        let made =
            self.by("ApproveRequest", &approver, &format!("POST /requests/{three}/approve"), fine);
        let job = format!("/jobs/{}", Self::id(&made, "/job"));
        self.owner("CancelJob", &format!("POST {job}/cancel"), json!({ "reason": "later" }));
        self.by("RetryRequest", &operator, &format!("POST /requests/{three}/retry"), Value::Null);
        self.owner("CancelJob", &format!("POST {job}/cancel"), json!({}));
        self.owner("RetryJob", &format!("POST {job}/retry"), Value::Null);
        self.shop.sql("UPDATE jobs SET state = 'rollback_failed'");
        self.owner("ResumeJob", &format!("POST {job}/resume"), Value::Null);
        self.shop.sql("UPDATE jobs SET state = 'rolled_back'");
        self.owner("DeleteJob", &format!("DELETE {job}"), Value::Null);
    }

    fn tenants(&mut self) {
        let body = json!({ "source": SHOP.replace("1.2.3", "1.2.4") });
        self.owner("PublishBlueprint", "POST /blueprints", body);
        let beta = json!({
            "slug": "beta", "name": "Beta", "domain": "beta.example.com", "host": "vps-1", "blueprint": "shop",
        });
        let made = self.owner("CreateTenant", "POST /tenants", beta);
        let id = Self::id(&made, "/tenant/id");
        self.owner(
            "UpdateTenant",
            "PATCH /tenants/beta",
            json!({ "settings": { "GREETING": "hi" } }),
        );
        self.owner("DeployTenant", "POST /tenants/beta/deploy", Value::Null);
        self.shop.sql("UPDATE jobs SET state = 'succeeded'");
        self.shop
            .sql("UPDATE tenants SET status = 'active', release_deployed = 1 WHERE slug = 'beta'");
        self.owner("CheckTenant", "POST /tenants/beta/check", Value::Null);
        self.shop.sql("UPDATE jobs SET state = 'succeeded'");
        self.shop.world.keep_credentials(id.parse().unwrap(), "s3cret-pw");
        self.owner("RevealCredentials", "POST /tenants/beta/credentials", Value::Null);
        let key = self.owner("CreateTenantKey", "POST /tenants/beta/keys", Value::Null);
        let key = format!("/tenants/beta/keys/{}", Self::id(&key, "/key/id"));
        self.owner("RotateTenantKey", &format!("POST {key}/rotate"), json!({}));
        self.owner("RevokeTenantKey", &format!("DELETE {key}"), Value::Null);
        self.owner("RemoveTenant", "POST /tenants/beta/remove", json!({ "data": "keep" }));
        self.shop.sql("UPDATE jobs SET state = 'succeeded'");
        self.shop.sql(
            "UPDATE tenants SET status = 'removed', release_deployed = NULL WHERE slug = 'beta'",
        );
        self.owner("DeleteTenant", "DELETE /tenants/beta", Value::Null);
    }

    fn people(&mut self) {
        let made =
            self.owner("CreateToken", "POST /tokens", json!({ "name": "ci", "role": "viewer" }));
        self.owner(
            "RevokeToken",
            &format!("DELETE /tokens/{}", Self::id(&made, "/token/id")),
            Value::Null,
        );
        let login = "eva@example.com";
        let body =
            json!({ "login": login, "role": "viewer", "password": PASSWORD, "keepPassword": true });
        let user = format!(
            "/users/{}",
            Self::id(&self.owner("CreateUser", "POST /users", body), "/user/id")
        );
        self.owner("UpdateUser", &format!("PATCH {user}"), json!({ "name": "Eva" }));
        let answer = self.shop.world.login(login, PASSWORD);
        let session = answer.expect(200);
        self.noted("Login", &answer);
        let other = |walk: &mut Self| {
            let answer = walk.shop.world.login(login, PASSWORD);
            walk.noted("Login", &answer);
            Self::id(&answer.expect(200), "/session/id")
        };
        let (one, two) = (other(self), other(self));
        self.owner("EndUserSession", &format!("DELETE {user}/sessions/{one}"), Value::Null);
        let body = json!({ "refreshToken": session["refreshToken"] });
        let session = self.by("Refresh", "", "POST /auth/refresh", body);
        let eva = Self::id(&session, "/accessToken");
        self.by("EndOwnSession", &eva, &format!("DELETE /me/sessions/{two}"), Value::Null);
        self.by("UpdateMe", &eva, "PATCH /me", json!({ "name": "Eva E." }));
        self.by("UpdateSettings", &eva, "PATCH /me/settings", json!({ "theme": "dark" }));
        let body = json!({ "old": PASSWORD, "new": "another password 2" });
        self.by("ChangePassword", &eva, "POST /me/password", body);
        self.by(
            "Logout",
            "",
            "POST /auth/logout",
            json!({ "refreshToken": session["refreshToken"] }),
        );
        self.owner("DisableUser", &format!("POST {user}/disable"), Value::Null);
        self.owner("EnableUser", &format!("POST {user}/enable"), Value::Null);
        self.owner("ResetPassword", &format!("POST {user}/reset-password"), json!({}));
        self.owner("DeleteUser", &format!("DELETE {user}"), Value::Null);
    }

    fn hosts(&mut self) {
        self.owner("CreateHost", "POST /hosts", json!({ "name": "vps-2" }));
        self.owner("UpdateHost", "PATCH /hosts/vps-2", json!({ "tenantLimit": 3 }));
        self.owner("DrainHost", "POST /hosts/vps-2/drain", Value::Null);
        self.owner("UndrainHost", "POST /hosts/vps-2/undrain", Value::Null);
        let made =
            self.owner("CreateEnrollmentToken", "POST /hosts/vps-2/enrollment-tokens", json!({}));
        let request = enrollment(&Self::id(&made, "/token"));
        self.by("Enroll", "", "POST /agent/enroll", request);
        self.owner("ProbeHost", "POST /hosts/vps-2/probe", Value::Null);
        self.owner("RevokeHost", "POST /hosts/vps-2/revoke", json!({ "confirm": "vps-2" }));
        // The first one's history still names it.
        self.owner("CreateHost", "POST /hosts", json!({ "name": "vps-3" }));
        self.owner("DeleteHost", "DELETE /hosts/vps-3", Value::Null);
        self.owner("RotateKeys", "POST /keys/rotate", json!({ "compromised": false }));
        self.owner("RotateLeaseKeys", "POST /keys/rotate-lease", json!({ "compromised": false }));
    }
}

/// What an agent asks with a token.
fn enrollment(token: &str) -> Value {
    let token: EnrollmentToken = token.parse().unwrap();
    let key = |seed: u8| SigningKey::from_seed(&[seed; 32]).public();
    let (identity_key, report_key) = (key(1), key(2));
    let seal_key = SealKey::from_bytes(&[3; 32]).unwrap().public();
    serde_json::to_value(EnrollRequest {
        token_id: token.id,
        identity_key,
        report_key,
        seal_key,
        proof: proof(&token.secret, token.id, &identity_key, &report_key, &seal_key),
        facts: facts(8192, 4, 100),
        agent_version: "0.1.0".into(),
    })
    .unwrap()
}

#[test]
fn every_change_stands_in_the_audit_log() {
    let shop = Shop::new();
    let end = shop.world.log().len();
    let mut walk = Walk { shop, end, done: BTreeSet::new() };
    walk.licensing();
    walk.requests();
    walk.tenants();
    walk.people();
    walk.hosts();
    let changes: Vec<_> = route::operations()
        .into_iter()
        .filter(|operation| operation.method != Method::Get)
        .collect();
    let listed = |list: &[(&str, &str)], name: &str| list.iter().any(|(listed, _)| *listed == name);
    for operation in &changes {
        let name = operation.name;
        let known =
            walk.done.contains(name) || listed(WITHOUT_ENTRY, name) || listed(ELSEWHERE, name);
        assert!(known, "{name}: do it here and see its entry, or say why it has none");
    }
    for (name, _) in WITHOUT_ENTRY.iter().chain(ELSEWHERE) {
        assert!(changes.iter().any(|operation| operation.name == *name), "{name}");
    }
    let wrong = walk.shop.world.portal.db.read(freehold_portal::db::audit::verify).unwrap();
    assert_eq!(wrong, None);
}
