//! What vouches for the audit log besides itself: each signed job names the log's last entry, and the
//! agent that ran it has signed a report on exactly that job.
//!
//! Who may write the database can make up a history whose hashes fit together. He cannot sign jobs that
//! name it: the key is not in the database, and every host keeps the jobs that it was given.

use freehold_protocol::{
    dsse::{Envelope, EnvelopeError},
    job::{AuditHead, Job},
    keys::PublicKey,
    report::Report,
    trust::{Trust, TrustError},
};

/// The keys with which the portal has signed jobs.
#[derive(Debug, Clone, Default)]
pub struct JobKeys {
    keys: Vec<PublicKey>,
    /// Whether keys of earlier days may be missing.
    begins_late: bool,
}

impl JobKeys {
    /// Those of a chain of trust documents, oldest first. The first one is believed as it stands.
    ///
    /// # Errors
    /// When one does not follow from the one before.
    pub fn of(documents: &[Envelope]) -> Result<Self, TrustError> {
        let Some((first, rest)) = documents.split_first() else { return Ok(Self::default()) };
        let digest = first.payload_digest().map_err(TrustError::Envelope)?;
        let mut trust = Trust::pin(first, digest)?;
        let mut all = Self { keys: Vec::new(), begins_late: trust.document().version > 1 };
        all.add(&trust);
        for envelope in rest {
            trust = trust.next(envelope)?;
            all.add(&trust);
        }
        Ok(all)
    }

    fn add(&mut self, trust: &Trust) {
        for key in &trust.document().job_keys {
            if !self.keys.contains(key) {
                self.keys.push(*key);
            }
        }
    }
}

/// Why a checkpoint vouches for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVouched {
    /// It was signed with a key that is no longer served, or by another version of Freehold. That says
    /// nothing against the log.
    #[error("it is too old to be checked: {0}")]
    TooOld(EnvelopeError),
    /// The job is not the portal's.
    #[error("the job was not signed by the portal: {0}")]
    Job(EnvelopeError),
    /// The report is not the agent's.
    #[error("the report was not signed by the agent: {0}")]
    Report(EnvelopeError),
    /// The report is on another job.
    #[error("the report does not belong to the job")]
    OtherJob,
    /// The report's key is not the one of the agent that the job is for.
    #[error("the report is not by the agent that the job was signed for")]
    OtherAgent,
}

impl NotVouched {
    fn job(error: EnvelopeError, keys: &JobKeys) -> Self {
        use EnvelopeError as E;
        match error {
            E::WrongKey if keys.begins_late => Self::TooOld(error),
            // These are found once the signature has held.
            E::UnknownField { .. } | E::UnknownKind { .. } | E::Malformed { .. } => {
                Self::TooOld(error)
            }
            _ => Self::Job(error),
        }
    }
}

/// The head of the audit log that a job names, once its signature and that of the report on it hold. The
/// job names the key of the report, so that whoever shows both cannot choose that key.
///
/// # Errors
/// See [`NotVouched`].
pub fn vouched(
    job: &Envelope,
    report: &Envelope,
    report_key: PublicKey,
    keys: &JobKeys,
) -> Result<AuditHead, NotVouched> {
    let job = job.open::<Job>(&keys.keys, 1).map_err(|error| NotVouched::job(error, keys))?;
    let report = report.open::<Report>(&[report_key], 1).map_err(NotVouched::Report)?;
    if report.get().job_digest != job.digest() {
        return Err(NotVouched::OtherJob);
    }
    if job.get().agent_key != report_key.fingerprint() {
        return Err(NotVouched::OtherAgent);
    }
    Ok(job.get().audit)
}

#[cfg(test)]
mod tests {
    use freehold_protocol::{
        dsse::Payload as _,
        ids::{AgentId, JobId, PortalId, Sha256Digest},
        job::{ProbeHost, Work},
        keys::SigningKey,
        report::Outcome,
        seal::SealKey,
        time::Timestamp,
        trust::{TRUST_VALID_SECS, TrustDocument},
    };
    use uuid::Uuid;

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn job() -> Job {
        Job {
            portal: PortalId::from_uuid(Uuid::from_u128(1)),
            agent_id: AgentId::from_uuid(Uuid::from_u128(2)),
            agent_key: key(9).public().fingerprint(),
            epoch: 1,
            seq: 1,
            prev: Sha256Digest::ZERO,
            job_id: JobId::from_uuid(Uuid::from_u128(3)),
            attempt: 1,
            iat: AT,
            nbf: AT,
            exp: AT.plus_secs(60),
            timeout_secs: 60,
            actor: "token:anna".to_owned(),
            audit: AuditHead { n: 7, hash: Sha256Digest::of(b"seven") },
            approval: None,
            work: Work::ProbeHost(ProbeHost {}).into(),
            app_env: None,
        }
    }

    fn report(job: &Envelope, by: &SigningKey) -> Envelope {
        let order = self::job();
        let report = Report {
            portal: order.portal,
            agent_id: order.agent_id,
            job_id: order.job_id,
            attempt: 1,
            job_digest: job.payload_digest().unwrap(),
            kind: order.work.kind(),
            outcome: Outcome::Succeeded,
            failure: None,
            steps: Vec::new(),
            events: 0,
            started_at: AT,
            ended_at: AT,
            result: None,
        };
        Envelope::sign(&report, &[by]).unwrap()
    }

    fn trust(version: u64, job_key: u8) -> Envelope {
        let root = key(1);
        let document = TrustDocument {
            portal: job().portal,
            version,
            epoch: version,
            root_keys: vec![root.public()],
            job_keys: vec![key(job_key).public()],
            seal_key: SealKey::from_bytes(&[4; 32]).unwrap().public(),
            iat: AT,
            exp: AT.plus_secs(TRUST_VALID_SECS),
        };
        Envelope::sign(&document, &[&root]).unwrap()
    }

    #[test]
    fn only_a_job_of_the_portal_with_its_agents_report_vouches() {
        let keys = JobKeys::of(&[trust(1, 2), trust(2, 3)]).unwrap();
        let (agent, agents_key) = (key(9), key(9).public());
        // Both keys that were ever in force count.
        for signer in [2, 3] {
            let job_envelope = Envelope::sign(&job(), &[&key(signer)]).unwrap();
            let said = vouched(&job_envelope, &report(&job_envelope, &agent), agents_key, &keys);
            assert_eq!(said, Ok(job().audit));
        }
        let good = Envelope::sign(&job(), &[&key(3)]).unwrap();
        let answer = report(&good, &agent);

        // Another head, and the old signature.
        let mut other = job();
        other.audit.hash = Sha256Digest::of(b"rewritten");
        let other = Envelope::sign(&other, &[&key(8)]).unwrap();
        let mut forged = serde_json::to_value(&other).unwrap();
        forged["signatures"] = serde_json::to_value(&good).unwrap()["signatures"].take();
        let forged: Envelope = serde_json::from_value(forged).unwrap();
        let said = vouched(&forged, &report(&forged, &agent), agents_key, &keys);
        assert_eq!(said, Err(NotVouched::Job(EnvelopeError::Forged)));
        // A key of one's own.
        let said = vouched(&other, &report(&other, &agent), agents_key, &keys);
        assert_eq!(said, Err(NotVouched::Job(EnvelopeError::WrongKey)));
        // A report by nobody, and one on another job.
        let said = vouched(&good, &report(&good, &key(8)), agents_key, &keys);
        assert!(matches!(said, Err(NotVouched::Report(_))), "{said:?}");
        let stranger = key(8).public();
        let said = vouched(&good, &report(&good, &key(8)), stranger, &keys);
        assert_eq!(said, Err(NotVouched::OtherAgent));
        let mut second = job();
        second.seq = 2;
        let second = Envelope::sign(&second, &[&key(3)]).unwrap();
        assert_eq!(vouched(&second, &answer, agents_key, &keys), Err(NotVouched::OtherJob));
    }

    #[test]
    fn what_is_too_old_is_not_called_forged() {
        let late = JobKeys::of(&[trust(2, 3)]).unwrap();
        let old = Envelope::sign(&job(), &[&key(2)]).unwrap();
        let said = vouched(&old, &report(&old, &key(9)), key(9).public(), &late);
        assert_eq!(said, Err(NotVouched::TooOld(EnvelopeError::WrongKey)));
        // A field that an older or newer version has put there, well signed.
        let mut value = serde_json::to_value(job()).unwrap();
        value["later"] = 1.into();
        let bytes = serde_json::to_vec(&value).unwrap();
        let strange = Envelope::sign_bytes(Job::TYPE, &bytes, &[&key(3)]);
        let said = vouched(&strange, &report(&old, &key(9)), key(9).public(), &late);
        assert!(matches!(said, Err(NotVouched::TooOld(EnvelopeError::UnknownField { .. }))));
        assert!(JobKeys::of(&[trust(1, 2), trust(3, 3)]).is_err());
    }
}
