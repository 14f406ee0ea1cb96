//! What admins want of hosts: create, change, drain, enroll, resume, probe, delete.

use std::collections::BTreeMap;

use freehold_protocol::{
    dsse::Verified,
    enroll::EnrollmentToken,
    ids::{HostId, HostName, JobId, TokenId},
    job::{Job, ProbeHost, Work},
    secret::Secret,
    time::Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    changed::Changed,
    check_generation,
    queue_job::{JobRules, QueueJob},
    tenant_input::{Fields, given},
};
use crate::{
    api::hosts as wire,
    db::{
        Read, Tx, agents,
        audit::{self, Entry},
        chain, enrollments,
        hosts::{self, HostRow, HostState},
    },
    error::AppError,
    keys::{MasterKey, Place, PortalKeys, mint},
};

/// The host with a name.
///
/// # Errors
/// When there is none.
pub fn find(read: &Read<'_>, name: &HostName) -> Result<HostRow, AppError> {
    hosts::by_name(read, name)?.ok_or_else(|| AppError::not_found("host", name))
}

pub(super) fn record(
    tx: &Tx<'_>,
    actor: &str,
    action: &'static str,
    host: &HostRow,
    mut detail: Value,
) -> Result<(), AppError> {
    detail["name"] = json!(host.name);
    audit::append(
        tx,
        &Entry { actor, action, object_kind: "host", object_id: &host.id.to_string(), detail },
    )
}

fn check_labels(fields: &mut Fields, labels: &BTreeMap<String, String>) {
    if labels.len() > wire::MAX_LABELS {
        fields.refuse("/labels", format!("use at most {} labels", wire::MAX_LABELS));
    }
    for (key, value) in labels {
        let pointer = format!("/labels/{}", key.replace('~', "~0").replace('/', "~1"));
        let key_ok = (1..=wire::MAX_LABEL_KEY_CHARS).contains(&key.len())
            && key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._/-".contains(&b));
        if !key_ok {
            fields.refuse(
                pointer,
                format!(
                    "a label's key is 1 to {} of a-z, 0-9 and . _ / -",
                    wire::MAX_LABEL_KEY_CHARS
                ),
            );
        } else if value.len() > wire::MAX_LABEL_VALUE_BYTES || value.chars().any(char::is_control) {
            fields.refuse(
                pointer,
                format!(
                    "a label's value is one line of at most {} bytes",
                    wire::MAX_LABEL_VALUE_BYTES
                ),
            );
        }
    }
}

fn check_limit(fields: &mut Fields, limit: Option<u32>, least: u32) {
    if limit.is_some_and(|limit| !(least..=wire::MAX_TENANT_LIMIT).contains(&limit)) {
        fields.refuse("/tenantLimit", format!("use {least} to {}", wire::MAX_TENANT_LIMIT));
    }
}

/// Somebody wants a new host.
#[derive(Debug)]
pub struct CreateHost {
    /// As it was written.
    pub request: wire::CreateHost,
    /// Who asks.
    pub actor: String,
}

impl CreateHost {
    /// Writes it down. It is of use once its agent has enrolled.
    ///
    /// # Errors
    /// Wrong fields, or a taken name.
    pub fn apply(self, tx: &Tx<'_>) -> Result<HostRow, AppError> {
        let mut fields = Fields::default();
        let name = fields.parse::<HostName>("/name", &self.request.name);
        check_labels(&mut fields, &self.request.labels);
        check_limit(&mut fields, self.request.tenant_limit, 1);
        fields.done()?;
        let host = HostRow {
            id: HostId::from_uuid(Uuid::now_v7()),
            name: given(name)?,
            state: HostState::New,
            labels: self.request.labels,
            tenant_limit: self.request.tenant_limit,
            port_ranges: BTreeMap::new(),
            drained: false,
            agent_id: None,
            generation: 1,
            created_at: tx.now(),
            updated_at: tx.now(),
            revoked_at: None,
        };
        hosts::insert(tx, &host)?;
        record(tx, &self.actor, "host.create", &host, json!({}))?;
        Ok(host)
    }
}

/// Somebody wants a host changed.
#[derive(Debug)]
pub struct UpdateHost {
    /// Which.
    pub name: HostName,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: wire::UpdateHost,
    /// Who asks.
    pub actor: String,
}

impl UpdateHost {
    /// Changes it.
    ///
    /// # Errors
    /// Wrong fields, or 412.
    pub fn apply(self, tx: &Tx<'_>) -> Result<HostRow, AppError> {
        let mut host = find(tx, &self.name)?;
        check_generation(self.generation, host.generation)?;
        let state =
            |host: &HostRow| json!({ "labels": host.labels, "tenantLimit": host.tenant_limit });
        let before = state(&host);
        for (key, value) in self.request.labels {
            match value {
                Some(value) => host.labels.insert(key, value),
                None => host.labels.remove(&key),
            };
        }
        let mut fields = Fields::default();
        check_labels(&mut fields, &host.labels);
        check_limit(&mut fields, self.request.tenant_limit, 0);
        fields.done()?;
        if let Some(limit) = self.request.tenant_limit {
            host.tenant_limit = (limit > 0).then_some(limit);
        }
        hosts::update(tx, &host)?;
        let changed = Changed::between(&before, &state(&host));
        record(tx, &self.actor, "host.update", &host, changed.detail())?;
        find(tx, &self.name)
    }
}

/// Whether a host gets new jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draining {
    /// It finishes what it has and gets no more.
    Drain,
    /// It gets jobs again.
    Undrain,
}

/// Somebody wants a host drained, or no longer.
#[derive(Debug)]
pub struct SetDraining {
    /// Which.
    pub name: HostName,
    /// Which way.
    pub to: Draining,
    /// Who asks.
    pub actor: String,
}

impl SetDraining {
    /// Does it and wakes the agent. Repeating it changes nothing.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn apply(self, tx: &Tx<'_>) -> Result<HostRow, AppError> {
        let mut host = find(tx, &self.name)?;
        let (drained, action) = match self.to {
            Draining::Drain => (true, "host.drain"),
            Draining::Undrain => (false, "host.undrain"),
        };
        if host.drained == drained {
            return Ok(host);
        }
        host.drained = drained;
        hosts::update(tx, &host)?;
        record(tx, &self.actor, action, &host, json!({}))?;
        if let Some(agent) = host.agent_id {
            tx.wake(agent);
        }
        find(tx, &self.name)
    }
}

/// Somebody wants a token that enrolls a host's agent.
#[derive(Debug)]
pub struct MintEnrollmentToken {
    /// For which host.
    pub name: HostName,
    /// Minutes until it expires.
    pub ttl_minutes: Option<u32>,
    /// The portal's public address.
    pub url: String,
    /// Who asks.
    pub actor: String,
}

impl MintEnrollmentToken {
    /// Mints it; an earlier one of the host that was not used ends.
    ///
    /// # Errors
    /// A wrong lifetime, or no such host.
    pub fn apply(
        self,
        tx: &Tx<'_>,
        keys: &PortalKeys,
    ) -> Result<(TokenId, Secret, Timestamp), AppError> {
        let host = find(tx, &self.name)?;
        let minutes = self.ttl_minutes.unwrap_or(wire::DEFAULT_ENROLLMENT_TTL_MINUTES);
        if !(1..=wire::MAX_ENROLLMENT_TTL_MINUTES).contains(&minutes) {
            return Err(AppError::invalid(
                "/ttlMinutes",
                format!("use 1 to {} minutes", wire::MAX_ENROLLMENT_TTL_MINUTES),
            ));
        }
        let id = TokenId::from_uuid(Uuid::now_v7());
        let expires_at = tx.now().plus_secs(i64::from(minutes) * 60);
        let secret = mint::token("fhe")?;
        let id_text = id.to_string();
        let sealed = keys.master().seal(&enrollment_place(&id_text), &secret)?;
        enrollments::insert(tx, id, host.id, &sealed, &self.actor, expires_at)?;
        record(
            tx,
            &self.actor,
            "host.enrollment_token",
            &host,
            json!({ "tokenId": id, "expiresAt": expires_at }),
        )?;
        let trust = keys
            .trust_envelope()
            .payload_digest()
            .map_err(|error| AppError::bug("the trust document has no payload").because(error))?;
        let token = EnrollmentToken { url: self.url, trust, id, secret };
        Ok((id, token.to_text(), expires_at))
    }
}

/// Where an enrollment token's secret stands, for the master key.
#[must_use]
pub const fn enrollment_place(token_id: &str) -> Place<'_> {
    Place { table: "enrollments", column: "token_sealed", row: token_id, tenant: "", version: 1 }
}

/// Opens an enrollment token's secret.
///
/// # Errors
/// When it does not open.
pub fn open_enrollment(
    master: &MasterKey,
    token_id: TokenId,
    sealed: &[u8],
) -> Result<Secret, AppError> {
    Ok(master.open(&enrollment_place(&token_id.to_string()), sealed)?)
}

/// Somebody has looked at a host that knows jobs that the portal has forgotten, and wants to go on.
#[derive(Debug)]
pub struct ResumeHost {
    /// Which.
    pub name: HostName,
    /// Who asks.
    pub actor: String,
}

impl ResumeHost {
    /// Takes the agent's chain over, whose end carries the portal's own signature.
    ///
    /// # Errors
    /// When the host is not in conflict, or its agent has not shown the signature yet.
    pub fn apply(self, tx: &Tx<'_>, keys: &PortalKeys) -> Result<HostRow, AppError> {
        let host = find(tx, &self.name)?;
        let agent = match (host.state, host.agent_id) {
            (HostState::Conflict, Some(agent)) => agents::get(tx, agent)?,
            _ => {
                return Err(AppError::conflict(
                    "no_conflict",
                    format!("{} is {}, not in conflict", host.name, host.state),
                )
                .advice("there is nothing to resume"));
            }
        };
        let (Some(head), Some(proof)) = (agent.conflict_head, &agent.conflict_proof) else {
            return Err(AppError::conflict(
                "not_proven",
                "the agent has not shown the portal's signature for its last job yet",
            )
            .advice("wait for its next poll; if it cannot show it, enroll the host anew"));
        };
        let ours = proof
            .open::<Job>(&keys.job_keys_of(head.epoch), 1)
            .ok()
            .map(Verified::into_inner)
            .filter(|job| {
                job.agent_id == agent.id && job.epoch == head.epoch && job.seq == head.seq
            });
        if ours.is_none() || proof.payload_digest().ok() != Some(head.hash) {
            return Err(AppError::conflict(
                "not_proven",
                "what the agent showed is not a job that this portal has signed for it",
            )
            .advice("look at the host: it may have been tampered with; enroll it anew"));
        }
        if !chain::after(tx, agent.id, head.epoch, head.seq, 1)?.is_empty() {
            return Err(AppError::conflict(
                "chain_set_back",
                "the agent has been given later jobs than the last one that it knows: its journal was set back",
            )
            .advice(format!(
                "look at what is on the host, then enroll it anew: `freehold host token {}`",
                host.name
            )));
        }
        agents::move_head(tx, agent.id, agent.head, head)?;
        agents::clear_conflict(tx, agent.id)?;
        hosts::set_state(tx, host.id, HostState::Conflict, HostState::Enrolled)?;
        record(tx, &self.actor, "host.resume", &host, json!({ "from": agent.head, "to": head }))?;
        tx.wake(agent.id);
        find(tx, &self.name)
    }
}

/// Somebody wants to know what a host is and has.
#[derive(Debug)]
pub struct Probe {
    /// Which.
    pub name: HostName,
    /// Who asks.
    pub actor: String,
    /// How the job is queued.
    pub rules: JobRules,
}

impl Probe {
    /// Queues it.
    ///
    /// # Errors
    /// When no agent has enrolled.
    pub fn apply(self, tx: &Tx<'_>) -> Result<JobId, AppError> {
        let host = find(tx, &self.name)?;
        if host.agent_id.is_none() {
            return Err(AppError::conflict(
                "not_enrolled",
                format!("no agent has enrolled on {}", host.name),
            )
            .advice(format!(
                "make a token with `freehold host token {}` and run `freehold-agent enroll` there",
                host.name
            )));
        }
        let work = Work::ProbeHost(ProbeHost {}).into();
        QueueJob { host: host.id, work, actor: self.actor, rules: self.rules }.apply(tx)
    }
}

/// Somebody wants a host forgotten.
#[derive(Debug)]
pub struct DeleteHost {
    /// Which.
    pub name: HostName,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// Who asks.
    pub actor: String,
}

impl DeleteHost {
    /// Deletes it; its agent is not known any more.
    ///
    /// # Errors
    /// 412, or when tenants are on it.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let host = find(tx, &self.name)?;
        check_generation(self.generation, host.generation)?;
        let tenants = crate::db::tenants::count_on_host(tx, host.id)?;
        if tenants > 0 {
            return Err(AppError::conflict(
                "host_in_use",
                format!("{tenants} tenants are on {}", host.name),
            )
            .advice(format!("remove them first: `freehold tenant list --host {}`", host.name)));
        }
        hosts::delete(tx, host.id)?;
        record(tx, &self.actor, "host.delete", &host, json!({}))
    }
}
