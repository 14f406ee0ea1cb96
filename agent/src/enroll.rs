//! Enrolling this host with its portal, by a one-time token.
//!
//! The token names the portal and the digest of its trust document. The document is fetched and its
//! digest compared before anything else is sent; the token's secret never travels. Everything can be
//! repeated after a failure: the keys stay the same, and the portal answers the same keys alike.

use std::time::Duration;

use freehold_protocol::{
    dsse::{Envelope, EnvelopeError},
    enroll::{EnrollmentToken, proof},
    ids::Sha256Digest,
    report::HostFacts,
    trust::{MAX_STEPS, Trust, TrustError},
    wire::{EnrollAnswer, EnrollRequest, Receipt},
};

mod keys;

use crate::{
    clock::Clock,
    config::Config,
    identity::{self, Account, IdentityError, Paths, PortalFile},
    journal::{
        Journal, JournalError,
        trust::{Enrollment, NewEnrollment},
    },
    poller::{
        address::{self, AddressError},
        portal::{Portal, PortalError},
    },
};

/// Why the host was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// It is enrolled already.
    #[error("this host is already enrolled as {host} with {url}")]
    Already {
        /// The host's name.
        host: String,
        /// The portal.
        url: String,
    },
    /// The address in the token.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The trust document could not be fetched.
    #[error("the portal's trust document could not be fetched")]
    Fetch(#[source] PortalError),
    /// The trust document is not the one that the token names.
    #[error("this is not the portal that the token was made for")]
    Trust(#[source] TrustError),
    /// The portal did not take the enrollment.
    #[error("the portal did not enroll this host")]
    Refused(#[source] PortalError),
    /// The receipt is not signed by the portal's job key.
    #[error("the portal's receipt was not opened")]
    Receipt(#[source] EnvelopeError),
    /// The receipt is about something else.
    #[error("the portal's receipt does not fit: its {field} is not what was sent")]
    Mismatch {
        /// The field.
        field: &'static str,
    },
}

impl EnrollError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Already { .. } => {
                "to leave that portal run `freehold-agent unenroll`; to enroll anew stop the services and give --force: jobs of the former enrollment are then never run".into()
            }
            Self::Address(_) => "ask an admin to correct the portal's public address and to make a new token".into(),
            Self::Identity(error) => error.hint(),
            Self::Journal(error) => error.to_failure().advice,
            Self::Fetch(error) | Self::Refused(error) => error.hint(),
            Self::Trust(_) | Self::Receipt(_) | Self::Mismatch { .. } => {
                "somebody may stand between this host and the portal: do not go on; compare with an admin the fingerprint that `freehold trust show` prints, and ask for a new token".into()
            }
        }
    }
}

/// Enrolls the host. `facts` are looked at by the caller.
///
/// # Errors
/// See [`EnrollError`]. Nothing of a former enrollment is touched before the new receipt is verified.
pub fn enroll(
    config: &Config,
    journal: &Journal,
    token: &EnrollmentToken,
    facts: HostFacts,
    force: bool,
    clock: &dyn Clock,
) -> Result<Receipt, EnrollError> {
    let address = address::parse(&token.url)?;
    let former = journal.enrollment()?;
    if let Some(former) = former.as_ref().filter(|_| !force) {
        if let Some(receipt) = finish_interrupted(config, former, token)? {
            return Ok(receipt);
        }
        return Err(EnrollError::Already {
            host: former.receipt.host_name.to_string(),
            url: former.portal_url.clone(),
        });
    }
    let portal = Portal::new(&config.portal, address.clone()).map_err(EnrollError::Fetch)?;
    let documents: Vec<Envelope> = portal.get("/api/v1/trust").map_err(EnrollError::Fetch)?;
    let (trust, walked) = pin_and_walk(&documents, token.trust).map_err(EnrollError::Trust)?;

    let paths = Paths::of(config);
    let poller = identity::account(&config.poller_user);
    let drawn = keys::drawn(&paths, former.as_ref().map(|former| &former.receipt))?;
    let identity_key = identity::ensure_signing_key(&drawn.identity_next, None)?.public();
    let report_key = identity::ensure_signing_key(&drawn.report, None)?.public();
    let seal_key = identity::ensure_seal_key(&drawn.seal)?.public();
    let request = EnrollRequest {
        token_id: token.id,
        identity_key,
        report_key,
        seal_key,
        proof: proof(&token.secret, token.id, &identity_key, &report_key, &seal_key),
        facts,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let answer: EnrollAnswer = portal
        .post("/api/v1/agent/enroll", &request, None, Duration::ZERO)
        .map_err(EnrollError::Refused)?;
    let receipt = verify(&answer.receipt, &trust, &request)?;
    keys::put_in_force(&drawn, &paths, poller)?;
    journal.enroll(
        &NewEnrollment {
            portal_url: &token.url,
            receipt: &answer.receipt,
            content: &receipt,
            pin: token.trust,
            trust: &walked,
        },
        clock.now(),
    )?;
    // Last, because the poller begins when it sees this file.
    write_portal(&paths, &token.url, &receipt, poller)?;
    identity::remove(&paths.identity_next)?;
    Ok(receipt)
}

fn write_portal(
    paths: &Paths,
    url: &str,
    receipt: &Receipt,
    poller: Option<Account>,
) -> Result<(), EnrollError> {
    let file = PortalFile {
        url: url.to_owned(),
        portal: receipt.portal,
        agent_id: receipt.agent_id,
        host_name: receipt.host_name.clone(),
    };
    let text = serde_json::to_vec_pretty(&file).map_err(|error| IdentityError::Damaged {
        path: paths.portal.clone(),
        why: error.to_string(),
    })?;
    Ok(identity::write_private(&paths.portal, &text, poller)?)
}

/// An enrollment whose last file was not written (a stop, a full disk) is finished without the
/// portal, which has used the token up. Nothing when there is nothing to finish.
fn finish_interrupted(
    config: &Config,
    former: &Enrollment,
    token: &EnrollmentToken,
) -> Result<Option<Receipt>, EnrollError> {
    let paths = Paths::of(config);
    let missing =
        matches!(identity::read_portal(&paths.portal), Err(IdentityError::Missing { .. }));
    if !missing || former.portal_url != token.url {
        return Ok(None);
    }
    match identity::read_signing_key(&paths.identity) {
        Ok(key) if key.public().fingerprint() == former.receipt.identity_key => {}
        _ => return Ok(None),
    }
    let poller = identity::account(&config.poller_user);
    write_portal(&paths, &former.portal_url, &former.receipt, poller)?;
    identity::remove(&paths.identity_next)?;
    Ok(Some(former.receipt.clone()))
}

/// Finds the document that the token names among the portal's, oldest first, and walks from it to the
/// one in force: the portal may have renewed it since the token was made.
fn pin_and_walk(
    documents: &[Envelope],
    pinned: Sha256Digest,
) -> Result<(Trust, Vec<(u64, Envelope)>), TrustError> {
    let found = |document: &Envelope| document.payload_digest().is_ok_and(|d| d == pinned);
    let Some(at) = documents.iter().position(found) else {
        let found = documents.last().and_then(|last| last.payload_digest().ok());
        return Err(TrustError::NotPinned { pinned, found: found.unwrap_or(Sha256Digest::ZERO) });
    };
    let mut trust = Trust::pin(&documents[at], pinned)?;
    let mut walked = vec![(trust.document().version, documents[at].clone())];
    for document in documents[at + 1..].iter().take(MAX_STEPS) {
        trust = trust.next(document)?;
        walked.push((trust.document().version, document.clone()));
    }
    Ok((trust, walked))
}

fn verify(
    envelope: &Envelope,
    trust: &Trust,
    sent: &EnrollRequest,
) -> Result<Receipt, EnrollError> {
    let document = trust.document();
    let receipt: Receipt =
        envelope.open(&document.job_keys, 1).map_err(EnrollError::Receipt)?.into_inner();
    let fits = [
        ("portal", receipt.portal == document.portal),
        ("identity key", receipt.identity_key == sent.identity_key.fingerprint()),
        ("report key", receipt.report_key == sent.report_key.fingerprint()),
        ("seal key", receipt.seal_key == sent.seal_key.fingerprint()),
        ("trust version", receipt.trust_version == document.version),
        ("epoch", receipt.head.epoch == document.epoch),
    ];
    match fits.into_iter().find(|(_, fits)| !fits) {
        Some((field, _)) => Err(EnrollError::Mismatch { field }),
        None => Ok(receipt),
    }
}
