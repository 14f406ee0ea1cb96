//! A simulated agent: the keys, the trust document and the chain that a real executor holds, and the
//! library code that it uses. Every request is signed (RFC 9421), every answer and every job is
//! verified before it counts.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use freehold_portal::clock::{Clock as _, SystemClock};
use freehold_protocol::{
    PROTOCOL_VERSION,
    admit::{Standing, admit},
    dsse::Envelope,
    httpsig::{SignedParts, sign},
    ids::{AgentId, JobId, Nonce, PortalId, Sha256Digest},
    job::Job,
    keys::SigningKey,
    report::{Event, EventKind, Outcome, Report},
    trust::Trust,
    wire::{EventsRequest, Head, PollAnswer, ReportRequest},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http;

/// Where the poll is asked.
pub const POLL: &str = "/api/v1/agent/poll";

/// What the simulated agents of one portal share.
#[derive(Debug)]
pub struct Enrolled {
    /// The trust document that they hold.
    pub trust: Trust,
    /// Host and port of the portal, as agents sign them.
    pub authority: String,
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    by: Arc<Enrolled>,
    id: AgentId,
    identity: SigningKey,
    report: SigningKey,
    report_key: Sha256Digest,
    head: Head,
    nonce: Nonce,
}

/// A job that was verified.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The job.
    pub job: Job,
    /// Digest of its signed bytes.
    pub digest: Sha256Digest,
}

/// A nonce that no other call gets.
fn fresh_nonce() -> Nonce {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    Nonce::from_bytes(bytes)
}

/// The identity and report keys of agent number `n`.
pub fn keys_of(n: usize) -> (SigningKey, SigningKey) {
    let seed = |role: u8| {
        let mut seed = [role; 32];
        seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
        SigningKey::from_seed(&seed)
    };
    (seed(1), seed(2))
}

/// A poll as it goes over the wire; what is not named is empty.
pub fn poll_request(nonce: &Nonce, head: Head, wait_seconds: u32, workers: u32) -> Value {
    json!({
        "nonce": nonce,
        "head": head,
        "trustVersion": 1,
        "running": [],
        "freeWorkers": workers,
        "waitSeconds": wait_seconds,
        "clock": SystemClock.now(),
        "agentVersion": "0.1.0",
        "draining": false,
    })
}

impl Agent {
    /// Agent number `n`, whose identifier is `id`.
    pub fn new(by: Arc<Enrolled>, n: usize, id: AgentId) -> Self {
        let (identity, report) = keys_of(n);
        let head = Head::start_of(by.trust.document().epoch);
        let report_key = report.public().fingerprint();
        Self { by, id, identity, report, report_key, head, nonce: fresh_nonce() }
    }

    fn portal(&self) -> PortalId {
        self.by.trust.document().portal
    }

    /// A signed request as bytes.
    fn signed(&self, path: &str, body: &impl Serialize) -> Vec<u8> {
        let body = serde_json::to_vec(body).expect("a body is JSON");
        let parts = SignedParts {
            method: "POST",
            authority: &self.by.authority,
            path,
            query: "?",
            body: &body,
        };
        let signed = sign(&self.identity, self.id, SystemClock.now(), &fresh_nonce(), &parts);
        let version = PROTOCOL_VERSION.to_string();
        let headers = [
            ("accept", "application/json"),
            ("freehold-protocol", &version),
            ("content-digest", &signed.content_digest),
            ("signature-input", &signed.signature_input),
            ("signature", &signed.signature),
        ];
        http::request("POST", path, &headers, &body)
    }

    /// A poll that the portal may hold for `wait_seconds`; it asks for `workers` jobs at most.
    pub fn poll(&mut self, wait_seconds: u32, workers: u32) -> Vec<u8> {
        self.nonce = fresh_nonce();
        self.poll_at(POLL, wait_seconds, workers)
    }

    /// The same to another path.
    pub fn poll_at(&self, path: &str, wait_seconds: u32, workers: u32) -> Vec<u8> {
        let request = poll_request(&self.nonce, self.head, wait_seconds, workers);
        self.signed(path, &request)
    }

    /// Checks a poll's answer as the executor does, and takes the jobs that came.
    #[track_caller]
    pub fn take(&mut self, body: &[u8]) -> Vec<Taken> {
        let answer: PollAnswer = serde_json::from_slice(body).expect("a poll's answer");
        let standing = Standing {
            portal: self.portal(),
            agent_id: self.id,
            agent_key: self.report_key,
            trust: &self.by.trust,
            head: self.head,
            nonce: &self.nonce,
        };
        let admitted = admit(&standing, &answer).expect("an answer that is believed");
        self.head = admitted.poll.get().head;
        admitted
            .jobs
            .into_iter()
            .map(|job| Taken { digest: job.digest(), job: job.into_inner() })
            .collect()
    }

    /// The report that a job succeeded.
    pub fn report(&self, taken: &Taken) -> Vec<u8> {
        let now = SystemClock.now();
        let job = &taken.job;
        let report = Report {
            portal: job.portal,
            agent_id: self.id,
            job_id: job.job_id,
            attempt: job.attempt,
            job_digest: taken.digest,
            kind: job.work.kind(),
            outcome: Outcome::Succeeded,
            failure: None,
            steps: Vec::new(),
            events: 0,
            started_at: now,
            ended_at: now,
            result: None,
        };
        let report = Envelope::sign(&report, &[&self.report]).expect("a report is signed");
        let path = format!("/api/v1/agent/jobs/{}/report", job.job_id);
        self.signed(&path, &ReportRequest { report })
    }

    /// Events `first` to `first + count - 1` of a job.
    pub fn events(&self, job: JobId, first: u64, count: u64) -> Vec<u8> {
        let events = (first..first + count)
            .map(|n| Event {
                n,
                at: SystemClock.now(),
                step: "pull-images".into(),
                what: EventKind::Progress,
                message: "backend: 14 of 32 MiB".into(),
            })
            .collect();
        let path = format!("/api/v1/agent/jobs/{job}/events");
        self.signed(&path, &EventsRequest { attempt: 1, events })
    }
}
