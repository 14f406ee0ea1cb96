//! Enrollment: an agent shows that it holds the one-time token that an admin made for its host.

use freehold_protocol::{
    dsse::Envelope,
    enroll::proof_holds,
    failure::{Failure, FailureClass},
    ids::AgentId,
    wire::{EnrollAnswer, EnrollRequest, Head, Inventory, Receipt},
};
use serde_json::json;

use super::{hosts_admin::open_enrollment, settle::settle};
use crate::{
    db::{
        Tx,
        agents::{self, AgentRow},
        audit::{self, Entry},
        enrollments::{self, EnrollmentRow},
        hosts::{self, HostRow},
        inventory, jobs,
    },
    domain::job::JobState,
    error::{AppError, Kind},
    keys::PortalKeys,
};

/// An agent wants to enroll.
#[derive(Debug)]
pub struct Enroll(pub EnrollRequest);

impl Enroll {
    /// Checks the proof, uses the token up and makes the agent. The same agent may ask again and
    /// gets the same answer.
    ///
    /// # Errors
    /// `enrollment_refused` (401) for an unknown token or wrong proof; `enrollment_used`,
    /// `enrollment_expired`, `enrollment_revoked` (410).
    pub fn apply(self, tx: &Tx<'_>, keys: &PortalKeys) -> Result<EnrollAnswer, AppError> {
        let request = &self.0;
        let token = enrollments::find(tx, request.token_id)?.ok_or_else(refused)?;
        let host = hosts::get(tx, token.host_id)?;
        let digest =
            AgentRow::keys_digest(&request.identity_key, &request.report_key, &request.seal_key);
        if token.used_at.is_some() {
            let (Some(agent), true) = (token.agent_id, token.used_by_keys == Some(digest)) else {
                return Err(gone("enrollment_used", "the enrollment token was used already"));
            };
            let agent = agents::get(tx, agent)?;
            if agent.revoked_at.is_some() {
                return Err(gone("enrollment_used", "the agent of this token was replaced"));
            }
            return receipt(keys, &agent, &host);
        }
        self.prove(tx, keys, &token)?;
        let agent = AgentRow {
            id: AgentId::from_uuid(uuid::Uuid::now_v7()),
            host_id: host.id,
            identity_key: request.identity_key.into(),
            report_key: request.report_key.into(),
            seal_key: request.seal_key,
            version: request.agent_version.clone(),
            head: Head::start_of(keys.epoch()),
            acked: (keys.epoch(), 0),
            trust_version: keys.trust_version(),
            last_seen_at: None,
            expected_at: None,
            clock_skew_ms: 0,
            draining: false,
            conflict_at: None,
            conflict_head: None,
            conflict_proof: None,
            created_at: tx.now(),
            revoked_at: None,
        };
        enrollments::use_up(tx, token.id, digest, agent.id)?;
        if let Some(old) = host.agent_id {
            orphan_jobs(tx, old, &host)?;
        }
        agents::install(tx, &agent)?;
        let first_look =
            Inventory { facts: request.facts.clone(), tenants: Vec::new(), ports: Vec::new() };
        inventory::put(tx, host.id, agent.id, &first_look)?;
        audit::append(
            tx,
            &Entry {
                actor: &format!("agent:{}", host.name),
                action: "host.enroll",
                object_kind: "host",
                object_id: &host.id.to_string(),
                detail: json!({
                    "agent": agent.id,
                    "token": token.id,
                    "identityKey": agent.identity_key.key()?.fingerprint(),
                    "replaces": host.agent_id,
                }),
            },
        )?;
        receipt(keys, &agent, &host)
    }

    fn prove(&self, tx: &Tx<'_>, keys: &PortalKeys, token: &EnrollmentRow) -> Result<(), AppError> {
        if token.revoked_at.is_some() {
            return Err(gone("enrollment_revoked", "the enrollment token was taken back"));
        }
        if token.expires_at < tx.now() {
            return Err(gone("enrollment_expired", "the enrollment token has expired"));
        }
        let sealed = token
            .token_sealed
            .as_deref()
            .ok_or_else(|| AppError::bug("an open enrollment token has no secret"))?;
        let secret = open_enrollment(keys.master(), token.id, sealed)?;
        let request = &self.0;
        if proof_holds(
            &secret,
            token.id,
            &request.identity_key,
            &request.report_key,
            &request.seal_key,
            &request.proof,
        ) {
            Ok(())
        } else {
            Err(refused())
        }
    }
}

fn refused() -> AppError {
    AppError::new(
        Kind::Unauthenticated,
        "enrollment_refused",
        "there is no such enrollment token, or it is not the whole of it",
    )
    .advice("paste the whole line that starts with fhe1. again, or make a new one: `freehold host token NAME`")
}

fn gone(code: &'static str, message: &str) -> AppError {
    AppError::new(Kind::Gone, code, message).advice("make a new one: `freehold host token NAME`")
}

fn receipt(keys: &PortalKeys, agent: &AgentRow, host: &HostRow) -> Result<EnrollAnswer, AppError> {
    let receipt = Receipt {
        portal: keys.portal(),
        agent_id: agent.id,
        host_id: host.id,
        host_name: host.name.clone(),
        identity_key: agent.identity_key.key()?.fingerprint(),
        report_key: agent.report_key.key()?.fingerprint(),
        seal_key: agent.seal_key.fingerprint(),
        head: agent.head,
        trust_version: keys.trust_version(),
    };
    let receipt = Envelope::sign(&receipt, &[keys.job()])
        .map_err(|error| AppError::bug("a receipt was not signed").because(error))?;
    Ok(EnrollAnswer { receipt })
}

/// Jobs that the replaced agent had will never be reported: they are named to its own keys.
fn orphan_jobs(tx: &Tx<'_>, old: AgentId, host: &HostRow) -> Result<(), AppError> {
    let failure = Failure::new(
        FailureClass::Host,
        "the host was enrolled anew while its former agent had the job",
        "look at the tenant on the host, then queue the job again",
    );
    for job in jobs::held_by(tx, old)? {
        settle(tx, &job, JobState::Failed, &failure, &format!("agent:{}", host.name))?;
    }
    Ok(())
}
