//! What the tests stand on: a portal with a real database and keys, and a scripted agent.

use std::{collections::BTreeMap, sync::Arc};

use freehold_protocol::{
    admit::{Standing, admit},
    dsse::Envelope,
    enroll::{EnrollmentToken, proof},
    failure::{Failure, FailureClass},
    httpsig::{SignedParts, sign},
    ids::{AgentId, JobId, Nonce, Sha256Digest, TenantId},
    job::{DataOnRemove, Job, ProbeHost, RemoveTenant, Work},
    keys::SigningKey,
    report::{HostFacts, JobResult, Outcome, Report},
    seal::SealKey,
    time::Timestamp,
    trust::Trust,
    wire::{
        EnrollAnswer, EnrollRequest, Head, JobAttempt, PollAnswer, PollPayload, PollRequest,
        Receipt, ReportRequest, RunningJob,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use super::super::handle;
use crate::{
    api::hosts::CreateHost as CreateHostBody,
    app::{
        hosts_admin::{CreateHost, MintEnrollmentToken},
        queue_job::QueueJob,
        reap::Reap,
    },
    clock::{Clock, ManualClock},
    config::Config,
    context::Portal,
    db::{Tx, deployments, hosts, jobs, licenses, tenants},
    domain::{ids::LicenseId, job::JobState, tenant::TenantStatus},
    error::AppError,
    http::{
        route::AgentRoute,
        server::{Head as HttpHead, Method, Request, Response},
    },
};

pub(super) const URL: &str = "http://127.0.0.1:8600";
pub(super) const ACTOR: &str = "token:test";

pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: ManualClock,
    pub(super) portal: Arc<Portal>,
}

pub(super) fn open(dir: &std::path::Path, clock: &ManualClock) -> Arc<Portal> {
    open_with(dir, clock, Config::default())
}

fn open_with(dir: &std::path::Path, clock: &ManualClock, config: Config) -> Arc<Portal> {
    let config = Config { data_dir: dir.join("data"), ..config };
    Arc::new(Portal::open(config, Arc::new(clock.clone())).unwrap().0)
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
        let portal = open_with(dir.path(), &clock, config);
        let request =
            CreateHostBody { name: "vps-1".into(), labels: BTreeMap::new(), tenant_limit: None };
        portal.db.write(move |tx| CreateHost { request, actor: ACTOR.into() }.apply(tx)).unwrap();
        Self { dir, clock, portal }
    }

    pub(super) fn token(&self) -> EnrollmentToken {
        let keys = self.portal.keys.current();
        let mint = MintEnrollmentToken {
            name: "vps-1".parse().unwrap(),
            ttl_minutes: None,
            url: URL.into(),
            actor: ACTOR.into(),
        };
        let (_, text, _) = self.portal.db.write(move |tx| mint.apply(tx, &keys)).unwrap();
        text.expose().parse().unwrap()
    }

    pub(super) fn agent(&self) -> Agent {
        let mut agent = Agent::new(1);
        agent.enroll(self, &self.token()).unwrap();
        agent
    }

    pub(super) fn host(&self) -> hosts::HostRow {
        let name = "vps-1".parse().unwrap();
        self.portal.db.read(|read| hosts::by_name(read, &name)).unwrap().unwrap()
    }

    pub(super) fn queue(&self, work: Work) -> JobId {
        let job = QueueJob {
            host: self.host().id,
            work: work.into(),
            actor: ACTOR.into(),
            rules: self.portal.config.job_rules(),
        };
        self.portal.db.write(move |tx| job.apply(tx)).unwrap()
    }

    pub(super) fn probe(&self) -> JobId {
        self.queue(Work::ProbeHost(ProbeHost {}))
    }

    pub(super) fn job(&self, id: JobId) -> jobs::JobRow {
        self.portal.db.read(|read| jobs::get(read, id)).unwrap()
    }

    pub(super) fn state(&self, id: JobId) -> JobState {
        self.job(id).state
    }

    pub(super) fn tenant(&self, status: &'static str, deployed: Option<u32>) -> TenantId {
        let id = TenantId::from_uuid(uuid::Uuid::now_v7());
        let host = self.host().id.to_string();
        self.portal
            .db
            .write(move |tx| {
                tx.sql().execute_batch(
                    "INSERT INTO blueprints VALUES ('shop', '', 'x', 1) ON CONFLICT DO NOTHING",
                )?;
                let slug = format!("t{}", &id.to_string()[24..]);
                Ok(tx.sql().execute(
                    "INSERT INTO tenants (id, slug, name, domain, host_id, blueprint, release_wanted, release_deployed,
                         status, certificate, created_by, created_at, updated_at)
                     VALUES (?1, ?2, 'T', ?2 || '.example.com', ?3, 'shop', 1, ?4, ?5, '{\"source\":\"acme\"}', 'x', 1, 1)",
                    rusqlite::params![id.to_string(), slug, host, deployed, status],
                )?)
            })
            .unwrap();
        id
    }

    /// Gives a tenant a license that was not used yet.
    pub(super) fn license(&self, tenant: TenantId) -> LicenseId {
        let keys = self.portal.keys.current();
        let give = move |tx: &Tx<'_>| {
            let plan = crate::api::plans::CreatePlan {
                name: "pro".into(),
                products: vec!["shop".into()],
                expiry_strategy: "restrict".into(),
                ..Default::default()
            };
            crate::app::plans::CreatePlan { request: plan, actor: ACTOR.into() }.apply(tx)?;
            let customer =
                crate::api::customers::CreateCustomer { name: "Acme".into(), ..Default::default() };
            let create =
                crate::app::customers::CreateCustomer { request: customer, actor: ACTOR.into() };
            let license = crate::api::licenses::CreateLicense {
                customer: create.apply(tx)?.id.to_string(),
                plan: "pro".into(),
                ..Default::default()
            };
            let create =
                crate::app::licenses::CreateLicense { request: license, actor: ACTOR.into() };
            let (license, _) = create.apply(tx, keys.master())?;
            let mut row = tenants::by_id(tx, tenant)?.unwrap();
            row.license = Some(license.id);
            tenants::update_wanted(tx, &row)?;
            Ok(license.id)
        };
        self.portal.db.write(give).unwrap()
    }

    pub(super) fn license_row(&self, id: LicenseId) -> licenses::LicenseRow {
        self.portal.db.read(|read| licenses::by_id(read, id)).unwrap().unwrap()
    }

    pub(super) fn tenant_status(&self, id: TenantId) -> TenantStatus {
        self.portal.db.read(|read| deployments::standing(read, id)).unwrap().unwrap().status
    }

    pub(super) fn reap(&self) {
        self.portal.db.write(|tx| Reap { stale_secs: 1800 }.apply(tx)).unwrap();
    }
}

pub(super) fn removal(tenant: TenantId) -> Work {
    Work::RemoveTenant(RemoveTenant {
        tenant,
        slug: "acme".parse().unwrap(),
        data: DataOnRemove::Keep,
    })
}

/// A deployment whose migrate hook may take this long.
pub(super) fn deployment(tenant: TenantId, hook_secs: i64) -> Work {
    serde_json::from_value(serde_json::json!({ "kind": "deploy_tenant", "params": {
        "tenant": tenant, "slug": "acme", "name": "Acme", "domain": "acme.example.com",
        "release": { "blueprint": "shop", "number": 1, "digest": "0".repeat(64) },
        "blueprint": {
            "product": "shop",
            "services": { "web": { "image": "shop/web:1" } },
            "freehold": {
                "ports": { "backend": { "service": "web", "containerPort": 8080 } },
                "routes": [{ "path": "/", "port": "backend" }],
                "hooks": {
                    "migrate": { "service": "web", "command": ["m"], "timeoutSeconds": hook_secs },
                },
                "health": { "port": "backend", "path": "/health" },
            },
        },
        "settings": {}, "admin": null, "certificate": { "source": "acme" },
    }}))
    .unwrap()
}

pub(super) fn facts() -> HostFacts {
    HostFacts {
        at: Timestamp::from_millis(1),
        os: "Debian 13".into(),
        kernel: "6.12".into(),
        arch: "x86_64".into(),
        memory_total_mib: 8000,
        memory_available_mib: 6000,
        cpus: 2,
        load_percent: 10,
        disk_total_mib: 100_000,
        disk_available_mib: 80_000,
        tools: BTreeMap::new(),
        problems: Vec::new(),
    }
}

/// An agent: three keys, the trust document and the chain, as the executor's journal holds them.
pub(super) struct Agent {
    pub(super) identity: SigningKey,
    pub(super) report: SigningKey,
    pub(super) seal: SealKey,
    pub(super) id: Option<AgentId>,
    pub(super) trust: Option<Trust>,
    pub(super) head: Head,
    pub(super) last: Option<Envelope>,
    pub(super) running: Vec<RunningJob>,
    pub(super) reporting: Vec<JobAttempt>,
    pub(super) nonces: u8,
}

impl Agent {
    pub(super) fn new(seed: u8) -> Self {
        Self {
            identity: SigningKey::from_seed(&[seed; 32]),
            report: SigningKey::from_seed(&[seed + 1; 32]),
            seal: SealKey::from_bytes(&[seed + 2; 32]).unwrap(),
            id: None,
            trust: None,
            head: Head::start_of(1),
            last: None,
            running: Vec::new(),
            reporting: Vec::new(),
            nonces: 0,
        }
    }

    pub(super) fn enroll_request(&self, token: &EnrollmentToken) -> EnrollRequest {
        let (identity_key, report_key, seal_key) =
            (self.identity.public(), self.report.public(), self.seal.public());
        EnrollRequest {
            token_id: token.id,
            identity_key,
            report_key,
            seal_key,
            proof: proof(&token.secret, token.id, &identity_key, &report_key, &seal_key),
            facts: facts(),
            agent_version: "0.1.0".into(),
        }
    }

    pub(super) fn enroll(
        &mut self,
        world: &World,
        token: &EnrollmentToken,
    ) -> Result<Receipt, AppError> {
        let documents = call(&world.portal, &AgentRoute::Trust, Vec::new(), &[])?;
        let documents: Vec<Envelope> = read(&documents);
        let trust = Trust::pin(documents.last().unwrap(), token.trust).unwrap();
        let body = serde_json::to_vec(&self.enroll_request(token)).unwrap();
        let answer = call(&world.portal, &AgentRoute::Enroll, body, &[])?;
        let answer: EnrollAnswer = read(&answer);
        let keys = &trust.document().job_keys;
        let receipt = answer.receipt.open::<Receipt>(keys, 1).unwrap().into_inner();
        self.id = Some(receipt.agent_id);
        self.head = receipt.head;
        self.trust = Some(trust);
        Ok(receipt)
    }

    pub(super) fn id(&self) -> AgentId {
        self.id.unwrap()
    }

    pub(super) fn signed(
        &mut self,
        portal: &Portal,
        route: &AgentRoute,
        body: &impl Serialize,
        created: Timestamp,
    ) -> Result<Response, AppError> {
        let body = serde_json::to_vec(body).unwrap();
        self.nonces += 1;
        let path = path(route);
        let parts = SignedParts {
            method: "POST",
            authority: "127.0.0.1:8600",
            path: &path,
            query: "?",
            body: &body,
        };
        let nonce = Nonce::from_bytes([self.nonces; 16]);
        let signed = sign(&self.identity, self.id(), created, &nonce, &parts);
        let headers = [
            ("content-digest", signed.content_digest.as_str()),
            ("signature-input", signed.signature_input.as_str()),
            ("signature", signed.signature.as_str()),
        ];
        call(portal, route, body, &headers)
    }

    pub(super) fn post<T: DeserializeOwned>(
        &mut self,
        world: &World,
        route: &AgentRoute,
        body: &impl Serialize,
    ) -> Result<T, AppError> {
        let response = self.signed(&world.portal, route, body, world.clock.now())?;
        Ok(read(&response))
    }

    pub(super) fn poll_request(&self, world: &World, wait_seconds: u32) -> PollRequest {
        PollRequest {
            nonce: Nonce::from_bytes([200; 16]),
            head: self.head,
            head_proof: None,
            trust_version: self.trust.as_ref().unwrap().document().version,
            running: self.running.clone(),
            reporting: self.reporting.clone(),
            free_workers: 2,
            wait_seconds,
            clock: world.clock.now(),
            agent_version: "0.1.0".into(),
            draining: false,
        }
    }

    /// Polls, checks the answer as the executor does, and takes what came.
    pub(super) fn poll(&mut self, world: &World) -> (PollPayload, Vec<(Job, Sha256Digest)>) {
        let request = self.poll_request(world, 0);
        self.poll_with(world, &request)
    }

    pub(super) fn poll_with(
        &mut self,
        world: &World,
        request: &PollRequest,
    ) -> (PollPayload, Vec<(Job, Sha256Digest)>) {
        let answer: PollAnswer = self.post(world, &AgentRoute::Poll, request).unwrap();
        self.take(&answer, request)
    }

    pub(super) fn take(
        &mut self,
        answer: &PollAnswer,
        request: &PollRequest,
    ) -> (PollPayload, Vec<(Job, Sha256Digest)>) {
        let trust = self.trust.as_ref().unwrap().walk(&answer.trust).unwrap();
        let standing = Standing {
            portal: trust.document().portal,
            agent_id: self.id(),
            agent_key: self.report.public().fingerprint(),
            trust: &trust,
            nonce: &request.nonce,
            head: self.head,
        };
        let admitted = admit(&standing, answer).unwrap();
        let (poll, jobs) = (admitted.poll.into_inner(), admitted.jobs);
        self.trust = Some(trust);
        if !poll.conflict {
            self.head = poll.head;
        }
        if let Some(last) = answer.jobs.last() {
            self.last = Some(last.clone());
        }
        (poll, jobs.into_iter().map(|job| (job.get().clone(), job.digest())).collect())
    }

    pub(super) fn report(
        &mut self,
        world: &World,
        job: &(Job, Sha256Digest),
        outcome: Outcome,
        failure: Option<Failure>,
        result: Option<JobResult>,
    ) -> Result<(), AppError> {
        let report = self.report_of(world, job, outcome, failure, result);
        let envelope = Envelope::sign(&report, &[&self.report]).unwrap();
        self.send_report(world, job.0.job_id, envelope)
    }

    /// A report before it is signed.
    pub(super) fn report_of(
        &self,
        world: &World,
        (job, digest): &(Job, Sha256Digest),
        outcome: Outcome,
        failure: Option<Failure>,
        result: Option<JobResult>,
    ) -> Report {
        Report {
            portal: job.portal,
            agent_id: self.id(),
            job_id: job.job_id,
            attempt: job.attempt,
            job_digest: *digest,
            kind: job.work.kind(),
            outcome,
            failure,
            steps: Vec::new(),
            events: 0,
            started_at: world.clock.now(),
            ended_at: world.clock.now(),
            result,
        }
    }

    pub(super) fn send_report(
        &mut self,
        world: &World,
        job: JobId,
        report: Envelope,
    ) -> Result<(), AppError> {
        let body = ReportRequest { report };
        self.signed(&world.portal, &AgentRoute::Report(job), &body, world.clock.now()).map(|_| ())
    }
}

pub(super) fn path(route: &AgentRoute) -> String {
    match route {
        AgentRoute::Trust => "/api/v1/trust".into(),
        AgentRoute::Enroll => "/api/v1/agent/enroll".into(),
        AgentRoute::Poll => "/api/v1/agent/poll".into(),
        AgentRoute::Inventory => "/api/v1/agent/inventory".into(),
        AgentRoute::Events(id) => format!("/api/v1/agent/jobs/{id}/events"),
        AgentRoute::Report(id) => format!("/api/v1/agent/jobs/{id}/report"),
    }
}

pub(super) fn call(
    portal: &Portal,
    route: &AgentRoute,
    body: Vec<u8>,
    headers: &[(&str, &str)],
) -> Result<Response, AppError> {
    let method = if *route == AgentRoute::Trust { Method::Get } else { Method::Post };
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let head = HttpHead::new(method, &path(route), &all).unwrap();
    handle(portal, route, &Request::detached(head, body))
}

pub(super) fn read<T: DeserializeOwned>(response: &Response) -> T {
    let body = response.body_bytes().unwrap();
    serde_json::from_slice(if body.is_empty() { b"null" } else { body }).unwrap()
}

pub(super) fn upstream() -> Failure {
    Failure::new(FailureClass::Upstream, "the registry did not answer", "wait")
}
