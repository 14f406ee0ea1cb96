//! A small honest portal and agent, from which the hostile tests depart in one point each.

use freehold_protocol::{
    admit::Standing,
    dsse::Envelope,
    ids::{AgentId, Nonce, PortalId, Sha256Digest},
    job::{AuditHead, Job, ProbeHost, Work},
    keys::SigningKey,
    seal::SealKey,
    time::Timestamp,
    trust::{TRUST_VALID_SECS, Trust, TrustDocument},
    wire::{Head, PollAnswer, PollPayload},
};
use serde::Serialize;
use serde_json::Value;

pub const PORTAL_ID: &str = "01936d2a-0000-7000-8000-000000000001";
pub const AGENT_ID: &str = "01936d2a-0000-7000-8000-000000000002";
pub const JOB_ID: &str = "01936d2a-0000-7000-8000-000000000003";
pub const OTHER_ID: &str = "01936d2a-0000-7000-8000-00000000ffff";

/// The seed of the portal's first job key.
pub const JOB_SEED: [u8; 32] = [11; 32];

pub struct World {
    pub root: SigningKey,
    pub job_key: SigningKey,
    pub trust: Trust,
    pub trust_envelope: Envelope,
    pub head: Head,
    pub nonce: Nonce,
    pub now: Timestamp,
    portal: PortalId,
    agent: AgentId,
}

impl World {
    pub fn new() -> Self {
        let root = SigningKey::from_seed(&[10; 32]);
        let job_key = SigningKey::from_seed(&JOB_SEED);
        let now = Timestamp::from_millis(1_800_000_000_000);
        let portal: PortalId = PORTAL_ID.parse().unwrap();
        let document = TrustDocument {
            portal,
            version: 1,
            epoch: 1,
            iat: now,
            exp: now.plus_secs(TRUST_VALID_SECS),
            root_keys: vec![root.public()],
            job_keys: vec![job_key.public()],
            seal_key: SealKey::from_bytes(&[12; 32]).unwrap().public(),
        };
        let trust_envelope = Envelope::sign(&document, &[&root]).unwrap();
        let trust = Trust::pin(&trust_envelope, trust_envelope.payload_digest().unwrap()).unwrap();
        Self {
            root,
            job_key,
            trust,
            trust_envelope,
            head: Head::start_of(1),
            nonce: Nonce::from_bytes([42; 16]),
            now,
            portal,
            agent: AGENT_ID.parse().unwrap(),
        }
    }

    /// The job key was stolen: a new one, and the next epoch.
    pub fn rotate_compromised(&mut self) {
        let mut document = self.trust.document().clone();
        document.version += 1;
        document.epoch += 1;
        let seed = 100 + u8::try_from(document.version).unwrap();
        self.job_key = SigningKey::from_seed(&[seed; 32]);
        document.job_keys = vec![self.job_key.public()];
        self.trust_envelope = Envelope::sign(&document, &[&self.root]).unwrap();
        self.trust = self.trust.next(&self.trust_envelope).unwrap();
    }

    pub fn standing(&self) -> Standing<'_> {
        Standing {
            portal: self.portal,
            agent_id: self.agent,
            agent_key: agent_key(),
            trust: &self.trust,
            head: self.head,
            nonce: &self.nonce,
        }
    }

    pub fn job(&self, seq: u64, prev: Sha256Digest) -> Job {
        Job {
            portal: self.portal,
            agent_id: self.agent,
            agent_key: agent_key(),
            epoch: self.trust.document().epoch,
            seq,
            prev,
            job_id: JOB_ID.parse().unwrap(),
            attempt: 1,
            iat: self.now,
            nbf: self.now,
            exp: self.now.plus_secs(3600),
            timeout_secs: 600,
            actor: "anna".to_owned(),
            audit: AuditHead { n: 1, hash: Sha256Digest::ZERO },
            approval: None,
            work: Work::ProbeHost(ProbeHost {}).into(),
            app_env: None,
        }
    }

    pub fn sign(&self, job: &Job) -> Envelope {
        Envelope::sign(job, &[&self.job_key]).unwrap()
    }

    pub fn sign_bytes(&self, payload_type: &str, bytes: &[u8]) -> Envelope {
        Envelope::sign_bytes(payload_type, bytes, &[&self.job_key])
    }

    pub fn poll(&self, jobs: &[Envelope]) -> PollPayload {
        PollPayload {
            portal: self.portal,
            agent_id: self.agent,
            nonce: self.nonce.clone(),
            now: self.now,
            held_millis: 0,
            epoch: self.trust.document().epoch,
            trust_version: self.trust.document().version,
            head: self.head,
            jobs: jobs.iter().map(|job| job.payload_digest().unwrap()).collect(),
            cancel: Vec::new(),
            report: Vec::new(),
            resume: Vec::new(),
            conflict: false,
            drain: false,
            next_poll_seconds: 0,
            wait_seconds: 25,
        }
    }

    pub fn answer_with(&self, poll: &PollPayload, jobs: &[Envelope]) -> PollAnswer {
        PollAnswer {
            answer: Envelope::sign(poll, &[&self.job_key]).unwrap(),
            jobs: jobs.to_vec(),
            trust: Vec::new(),
        }
    }

    pub fn answer(&self, jobs: &[Envelope]) -> PollAnswer {
        self.answer_with(&self.poll(jobs), jobs)
    }
}

fn agent_key() -> Sha256Digest {
    SigningKey::from_seed(&[13; 32]).public().fingerprint()
}

pub fn json_of<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}
