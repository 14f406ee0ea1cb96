//! Tenants of a world: blueprints, deploying, removing, and using what was deployed.

use super::{HOST, World};
use crate::curl::{self, Answer};
use freehold_portal::api::jobs::JobView;
use freehold_portal::api::tenants::TenantView;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const RECRUITIQ: &str = include_str!("../../blueprints/recruitiq.yaml");

/// The reference blueprint, small enough for a test machine, with texts replaced.
#[track_caller]
pub fn blueprint(changes: &[(&str, &str)]) -> String {
    let small = ("{memoryMb: 2048, cpus: 1, diskGb: 5}", "{memoryMb: 1024, cpus: 0.25, diskGb: 1}");
    let mut text = RECRUITIQ.to_owned();
    for (from, to) in [small].iter().chain(changes) {
        assert!(text.contains(from), "the reference blueprint has no \"{from}\"");
        text = text.replace(from, to);
    }
    text
}

/// A tenant to be.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its short name.
    pub slug: String,
    /// Its address.
    pub domain: String,
    /// Its first admin.
    pub email: String,
}

impl World {
    /// A tenant with a name of this world's own.
    pub fn tenant(&self, name: &str) -> Tenant {
        let slug = format!("{name}-{}", self.tag());
        Tenant {
            domain: format!("{slug}.freehold.test"),
            email: format!("anna@{name}.example.com"),
            slug,
        }
    }

    /// Publishes a release of the blueprint and returns its number.
    #[track_caller]
    pub fn push(&self, source: &str) -> u64 {
        let reply = self.api().call("POST", "/blueprints", Some(&json!({ "source": source })));
        assert!(matches!(reply.status, 200 | 201), "{}: {}", reply.status, reply.text);
        let value: Value = serde_json::from_str(&reply.text).expect("a release");
        value["number"].as_u64().expect("its number")
    }

    /// Creates a tenant for release `release`, without deploying it.
    #[track_caller]
    pub fn create(&self, tenant: &Tenant, release: u64) {
        let body = json!({
            "slug": tenant.slug,
            "name": "Acme & Söhne \"GmbH\"",
            "domain": tenant.domain,
            "host": HOST,
            "blueprint": "recruitiq",
            "release": release,
            "adminEmail": tenant.email,
            "adminName": "Anna Admin",
        });
        self.api().call("POST", "/tenants", Some(&body)).expect(201);
    }

    /// Queues a deployment and returns the job.
    #[track_caller]
    pub fn queue_deploy(&self, tenant: &Tenant, release: u64) -> String {
        let path = format!("/tenants/{}/deploy", tenant.slug);
        let reply = self.api().call("POST", &path, Some(&json!({ "release": release })));
        job_id(reply.status, &reply.text)
    }

    /// Deploys a tenant that exists.
    #[track_caller]
    pub fn deploy(&self, tenant: &Tenant, release: u64) -> JobView {
        let id = self.queue_deploy(tenant, release);
        self.succeeds(&id)
    }

    /// A tenant that runs release 1.
    #[track_caller]
    pub fn deployed(&self, name: &str) -> Tenant {
        let tenant = self.tenant(name);
        let release = self.push(&blueprint(&[]));
        self.create(&tenant, release);
        self.deploy(&tenant, release);
        tenant
    }

    /// Queues a removal.
    #[track_caller]
    pub fn queue_remove(&self, tenant: &Tenant, data: &str) -> String {
        let path = format!("/tenants/{}/remove", tenant.slug);
        let body = json!({ "data": data, "confirm": tenant.slug });
        let reply = self.api().call("POST", &path, Some(&body));
        job_id(reply.status, &reply.text)
    }

    /// Removes a tenant with its data.
    #[track_caller]
    pub fn remove_with_data(&self, tenant: &Tenant) {
        let id = self.queue_remove(tenant, "delete");
        self.succeeds(&id);
    }

    /// A tenant as the portal shows it.
    #[track_caller]
    pub fn view(&self, tenant: &Tenant) -> TenantView {
        let value = self.api().get(&format!("/tenants/{}", tenant.slug));
        serde_json::from_value(value).expect("a tenant")
    }

    /// The temporary password, which is shown once.
    #[track_caller]
    pub fn password(&self, tenant: &Tenant) -> String {
        let path = format!("/tenants/{}/credentials", tenant.slug);
        let value = self.api().call("POST", &path, None).expect(200);
        value["password"].as_str().expect("a password").to_owned()
    }

    /// The tenant's folder on the host.
    pub fn folder(&self, tenant: &Tenant) -> PathBuf {
        let tenants = self.agent_ref().tenants();
        let named = std::fs::read_dir(&tenants)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().contains(&tenant.slug))
            });
        named.unwrap_or_else(|| tenants.join(&tenant.slug))
    }

    /// Asks the tenant's site over HTTPS, its chain verified.
    pub fn https(&self, tenant: &Tenant, path: &str, args: &[&str]) -> Result<Answer, String> {
        let url = format!("https://{}:{}{path}", tenant.domain, self.nginx.https_port());
        curl::send(&url, Some(&self.acme.issuer_ca()), args)
    }

    /// Asks the tenant's site without TLS.
    pub fn http(&self, tenant: &Tenant, path: &str) -> Result<Answer, String> {
        curl::get(&format!("http://{}:{}{path}", tenant.domain, self.nginx.http_port()), None)
    }

    /// Logs in to the tenant's app; the answer's status.
    #[track_caller]
    pub fn login(&self, tenant: &Tenant, password: &str) -> u16 {
        let body = json!({ "email": tenant.email, "password": password }).to_string();
        let args = ["--header", "content-type: application/json", "--data", &body];
        let answer = self.https(tenant, "/api/login", &args);
        answer.unwrap_or_else(|error| panic!("login: {error}")).status
    }

    /// Expects the tenant to serve `version` of the app over HTTPS with a good certificate.
    #[track_caller]
    pub fn assert_live(&self, tenant: &Tenant, version: &str) {
        let answer = self
            .https(tenant, "/api/health", &[])
            .unwrap_or_else(|error| panic!("{} is not live: {error}", tenant.domain));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let health = answer.json();
        assert_eq!(health["status"], "ok", "{health}");
        assert_eq!(health["tenant"], tenant.slug.as_str(), "{health}");
        assert_eq!(health["version"], version, "{health}");
        let page = self.https(tenant, "/", &[]).unwrap_or_else(|error| panic!("/: {error}"));
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(page.header("x-frontend"), Some("sample"), "{}", page.head);
        assert!(page.body.contains(&format!("release {version}.")), "{}", page.body);
    }

    /// Expects the web server, as it runs, to know nothing of the tenant: its files alone would not
    /// tell whether it was reloaded.
    #[track_caller]
    pub fn assert_unserved(&self, tenant: &Tenant) {
        // Workers of before a reload answer until the new ones do.
        self.eventually("the web server forgets the site", Duration::from_secs(60), |world| {
            world.https(tenant, "/", &[]).is_err()
                && world.http(tenant, "/").is_ok_and(|answer| answer.status == 404)
        });
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub fn eventually(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) {
        let began = Instant::now();
        while !condition(self) {
            assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[track_caller]
fn job_id(status: u16, text: &str) -> String {
    assert!((200..300).contains(&status), "no job: {status}: {text}");
    let value: Value = serde_json::from_str(text).expect("a job");
    value["id"].as_str().expect("its id").to_owned()
}
