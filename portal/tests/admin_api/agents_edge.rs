//! Agents behind an address that has asked too often: whoever has proved to be one is served as ever, and
//! whoever only says so is not.

use std::cell::Cell;

use freehold_protocol::{
    dsse::Envelope,
    enroll::{EnrollmentToken, proof},
    httpsig::{SignatureHeaders, SignedParts, sign},
    ids::{AgentId, Nonce},
    keys::SigningKey,
    report::{HostFacts, TenantHealth},
    seal::SealKey,
    trust::Trust,
    wire::{EnrollAnswer, EnrollRequest, Head, Inventory, PollAnswer, PollRequest, Receipt},
};
use serde_json::json;

use crate::{
    harness::{Answer, World},
    requests_world,
};

const POLL: &str = "/api/v1/agent/poll";
/// The NAT that the agent is behind, with others.
const NAT: &str = "203.0.113.9";

/// An enrolled agent that only polls, and tells what is on its host.
pub struct Agent {
    identity: SigningKey,
    id: AgentId,
    head: Head,
    trust_version: u64,
    nonces: Cell<u8>,
}

impl Agent {
    pub fn enroll(world: &World) -> Self {
        world.post("/api/v1/hosts", json!({ "name": "vps-1" })).expect(201);
        let made = world.post("/api/v1/hosts/vps-1/enrollment-tokens", json!({})).expect(201);
        let token: EnrollmentToken = made["token"].as_str().unwrap().parse().unwrap();
        let documents = world.call("GET", "/api/v1/trust").send().text;
        let documents: Vec<Envelope> = serde_json::from_str(&documents).unwrap();
        let trust = Trust::pin(documents.last().unwrap(), token.trust).unwrap();
        let key = |seed| SigningKey::from_seed(&[seed; 32]);
        let (identity, report) = (key(1), key(2));
        let seal = SealKey::from_bytes(&[3; 32]).unwrap().public();
        let (identity_key, report_key) = (identity.public(), report.public());
        let request = EnrollRequest {
            token_id: token.id,
            identity_key,
            report_key,
            seal_key: seal,
            proof: proof(&token.secret, token.id, &identity_key, &report_key, &seal),
            facts: facts(world),
            agent_version: "0.1.0".into(),
        };
        let body = serde_json::to_value(&request).unwrap();
        let answer = world.call("POST", "/api/v1/agent/enroll").json(&body).send();
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer: EnrollAnswer = serde_json::from_str(&answer.text).unwrap();
        let keys = &trust.document().job_keys;
        let receipt = answer.receipt.open::<Receipt>(keys, 1).unwrap().into_inner();
        let trust_version = trust.document().version;
        Self {
            identity,
            id: receipt.agent_id,
            head: receipt.head,
            trust_version,
            nonces: Cell::new(0),
        }
    }

    fn poll_body(&self, world: &World) -> Vec<u8> {
        let request = PollRequest {
            nonce: Nonce::from_bytes([200; 16]),
            head: self.head,
            head_proof: None,
            trust_version: self.trust_version,
            running: Vec::new(),
            reporting: Vec::new(),
            free_workers: 2,
            wait_seconds: 0,
            clock: world.portal.db.now(),
            agent_version: "0.1.0".into(),
            draining: false,
        };
        serde_json::to_vec(&request).unwrap()
    }

    /// The headers of a request in this agent's name, signed with `key`.
    fn signed(&self, world: &World, path: &str, key: &SigningKey, body: &[u8]) -> SignatureHeaders {
        self.nonces.set(self.nonces.get() + 1);
        let authority = "portal.example.com";
        let parts = SignedParts { method: "POST", authority, path, query: "?", body };
        let nonce = Nonce::from_bytes([self.nonces.get(); 16]);
        sign(key, self.id, world.portal.db.now(), &nonce, &parts)
    }

    /// What is on its host.
    pub fn inventory(&self, world: &World, tenants: Vec<TenantHealth>) -> Answer {
        const PATH: &str = "/api/v1/agent/inventory";
        let inventory = Inventory { facts: facts(world), tenants, ports: Vec::new() };
        let body = serde_json::to_vec(&inventory).unwrap();
        let signed = self.signed(world, PATH, &self.identity, &body);
        send(world, "POST", PATH, Some(&signed), Some(body))
    }

    /// It asks for work, and does not wait.
    pub fn poll(&self, world: &World) -> Answer {
        let body = self.poll_body(world);
        let signed = self.signed(world, POLL, &self.identity, &body);
        send(world, "POST", POLL, Some(&signed), Some(body))
    }
}

fn facts(world: &World) -> HostFacts {
    HostFacts { at: world.portal.db.now(), ..requests_world::facts(8000, 2, 100) }
}

/// A request from behind the NAT, with an agent's headers or without.
fn send(
    world: &World,
    method: &str,
    path: &str,
    signed: Option<&SignatureHeaders>,
    body: Option<Vec<u8>>,
) -> Answer {
    let mut call = world.call(method, path).header("x-forwarded-for", NAT);
    if let Some(signed) = signed {
        call = call
            .header("content-digest", &signed.content_digest)
            .header("signature-input", &signed.signature_input)
            .header("signature", &signed.signature);
    }
    match body {
        Some(body) => call.header("content-type", "application/json").bytes(body).send(),
        None => call.send(),
    }
}

/// What is left by the answer's own word: whose count it is, and how much.
fn left(answer: &Answer) -> (String, u32) {
    let shown = answer.header("ratelimit").unwrap_or_else(|| panic!("{answer:?}"));
    let (name, rest) = shown.split_once(";r=").unwrap();
    (name.trim_matches('"').to_owned(), rest.split(';').next().unwrap().parse().unwrap())
}

fn over() -> (World, Agent) {
    let world = World::with(|config| {
        config.behind_proxy = true;
        config.requests_per_minute = 3;
    });
    let agent = Agent::enroll(&world);
    (world, agent)
}

#[test]
fn agents_that_have_proved_themselves_do_not_count_for_their_address_nor_wait_for_it() {
    let (world, agent) = over();
    let served = || {
        let answer = agent.poll(&world);
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None), "{answer:?}");
        let answer: PollAnswer = serde_json::from_str(&answer.text).unwrap();
        assert!(answer.jobs.is_empty());
    };
    let stranger = || send(&world, "GET", "/api/v1/version", None, None);
    let unsigned = || send(&world, "POST", POLL, None, Some(agent.poll_body(&world)));
    // However many polls there are between them, the two counts of the address go on where they were.
    assert_eq!(left(&stranger()), ("address".into(), 2));
    assert_eq!(left(&unsigned()), ("agents".into(), 2));
    (0..10).for_each(|_| served());
    assert_eq!(left(&stranger()), ("address".into(), 1));
    assert_eq!(left(&unsigned()), ("agents".into(), 1));
    // Over both, and an agent is served as ever.
    assert_eq!((left(&stranger()).1, left(&unsigned()).1), (0, 0));
    let before = stranger();
    before.refused(429, "too_many_requests");
    unsigned().refused(401, "signature_missing");
    (0..10).for_each(|_| served());
    let after = stranger();
    after.refused(429, "too_many_requests");
    assert_eq!(after.header("retry-after"), before.header("retry-after"));
}

#[test]
fn whoever_only_says_to_be_an_agent_is_counted_like_everybody() {
    let (world, agent) = over();
    let thief = SigningKey::from_seed(&[9; 32]);
    let body = agent.poll_body(&world);
    let forged = agent.signed(&world, POLL, &thief, &body);
    let poll =
        |signed: &SignatureHeaders| send(&world, "POST", POLL, Some(signed), Some(body.clone()));
    // Each of these names the agent, and is counted.
    let answer = poll(&forged);
    answer.refused(401, "signature_invalid");
    assert_eq!(left(&answer), ("agents".into(), 2));
    let good = agent.signed(&world, POLL, &agent.identity, &body);
    assert_eq!(poll(&good).status, 200);
    let answer = poll(&good);
    answer.refused(401, "nonce_repeated");
    assert_eq!(left(&answer), ("agents".into(), 1));
    let mut stale = agent.signed(&world, POLL, &agent.identity, &body);
    stale.content_digest = agent.signed(&world, POLL, &thief, b"{}").content_digest;
    let answer = poll(&stale);
    answer.refused(401, "content_digest");
    assert_eq!(left(&answer), ("agents".into(), 0));
    let answer = poll(&forged);
    answer.refused(401, "signature_invalid");
    assert_eq!(left(&answer), ("agents".into(), 0));

    // What needs no proof is counted whatever the request says about itself, the trust documents that agents
    // read included: an agent's headers open nothing.
    let fresh = agent.signed(&world, POLL, &agent.identity, &body);
    for path in ["/api/v1/version", "/api/v1/trust", "/nothing"] {
        let answer = send(&world, "GET", path, Some(&fresh), None);
        assert_eq!(left(&answer).0, "address", "{path}");
    }
    for path in ["/api/v1/version", "/api/v1/trust", "/nothing", "/api/v1/openapi.json"] {
        let answer = send(&world, "GET", path, Some(&fresh), None);
        answer.refused(429, "too_many_requests");
    }
    // The agent itself is heard meanwhile.
    assert_eq!(agent.poll(&world).status, 200);
}
