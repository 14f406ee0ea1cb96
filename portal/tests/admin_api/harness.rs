//! A portal that serves on a free port of the loopback, and a client of it.

use std::sync::Arc;

use freehold_portal::{clock::ManualClock, config::Config, context::Portal, db, keys::Place};
use freehold_protocol::{ids::TenantId, secret::Secret, time::Timestamp};
use serde_json::Value;

use crate::running::Running;

/// A blueprint with one setting that is required and one that has a default.
pub const SHOP: &str = r#"services:
  web:
    image: registry.example.com/shop/web:1.2.3
    environment:
      GREETING: ${GREETING}
      SEATS: ${SEATS}
x-freehold:
  product: shop
  ports:
    web: { service: web, containerPort: 8080, range: 8000-8999 }
  routes:
    - { path: /, port: web }
  settings:
    GREETING: { required: true }
    SEATS: { kind: int, default: "5" }
  health: { port: web, path: /health }
"#;

pub struct World {
    pub portal: Arc<Portal>,
    pub clock: ManualClock,
    pub owner: String,
    pub base: String,
    _running: Running,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: "https://portal.example.com".into(),
            data_dir: folder.path().join("data"),
            shutdown_grace_secs: 1,
            ..Config::default()
        };
        change(&mut config);
        std::fs::create_dir(&config.data_dir).unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
        let (portal, owner) = Portal::open(config, Arc::new(clock.clone())).unwrap();
        let portal = Arc::new(portal);
        let running = Running::start(&portal, portal.config.server(), |handler, _| handler);
        let base = format!("http://{}", running.address);
        let owner = owner.unwrap().expose().to_owned();
        Self { portal, clock, owner, base, _running: running, _folder: folder }
    }

    /// A request with the owner's token.
    pub fn as_owner(&self, method: &str, path: &str) -> Call<'_> {
        self.call(method, path).bearer(&self.owner)
    }

    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call {
            world: self,
            method: method.into(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.as_owner("GET", path).send()
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.as_owner("POST", path).json(&body).send()
    }

    /// A new token of a role.
    pub fn token(&self, name: &str, role: &str) -> String {
        let made = self
            .post("/api/v1/tokens", serde_json::json!({ "name": name, "role": role }))
            .expect(201);
        made["secret"].as_str().unwrap().to_owned()
    }

    /// A host `vps-1` and the blueprint `shop`.
    pub fn with_host_and_blueprint() -> Self {
        let world = Self::new();
        world.add_host_and_blueprint();
        world
    }

    /// Adds them.
    pub fn add_host_and_blueprint(&self) {
        self.post("/api/v1/hosts", serde_json::json!({ "name": "vps-1" })).expect(201);
        self.post("/api/v1/blueprints", serde_json::json!({ "source": SHOP })).expect(201);
    }

    /// Also a tenant `acme` in status pending.
    pub fn with_tenant() -> Self {
        let world = Self::with_host_and_blueprint();
        world.post("/api/v1/tenants", acme()).expect(201);
        world
    }

    /// Keeps a temporary password of a tenant's first admin, as its deployment brings it.
    pub fn keep_credentials(&self, tenant: TenantId, password: &'static str) {
        let keys = self.portal.keys.current();
        let keep = move |tx: &db::Tx<'_>| {
            let text = tenant.to_string();
            let place = Place {
                table: "tenants",
                column: "credentials_sealed",
                row: &text,
                tenant: &text,
                version: tx.now().as_millis().unsigned_abs(),
            };
            let sealed = keys.master().seal(&place, &Secret::new(password.into()))?;
            db::deployments::keep_credentials(tx, tenant, &sealed, tx.now())
        };
        self.portal.db.write(keep).unwrap();
    }
}

/// The body that creates the tenant `acme`.
pub fn acme() -> Value {
    serde_json::json!({
        "slug": "acme", "name": "Acme GmbH", "domain": "acme.example.com", "host": "vps-1",
        "blueprint": "shop", "settings": { "GREETING": "hello" },
        "adminEmail": "anna@example.com", "adminName": "Anna",
    })
}

pub struct Call<'w> {
    world: &'w World,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
    pub fn json(self, body: &Value) -> Self {
        let mut call = self.header("content-type", "application/json");
        call.body = Some(body.to_string().into_bytes());
        call
    }
    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.as_bytes().to_vec());
        self
    }
    pub fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }
    pub fn send(self) -> Answer {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = ureq::http::Request::builder()
            .method(self.method.as_str())
            .uri(format!("{}{}", self.world.base, self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = match self.body {
            Some(body) => agent.run(request.body(body).unwrap()).unwrap(),
            None => agent.run(request.body(()).unwrap()).unwrap(),
        };
        let text = response.body_mut().read_to_string().unwrap();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        Answer { status: response.status().as_u16(), headers, text }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
    /// The body, once the status is the expected one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }
    /// A problem of this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert!(!body["requestId"].as_str().unwrap().is_empty());
        body
    }
    /// The pointers of the refused fields.
    #[track_caller]
    pub fn pointers(&self) -> Vec<String> {
        let body = self.expect(422);
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}
