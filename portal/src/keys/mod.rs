//! The portal's keys and its chain of trust documents: files in the key folder, never in the
//! database, so that restoring a database forks nothing.
//!
//! | file | what |
//! |---|---|
//! | `portal-id` | identifier of this installation |
//! | `root.pem` | signs trust documents; may be taken offline |
//! | `job-FINGERPRINT.pem` | signs jobs, poll answers and receipts |
//! | `seal.key` | opens what agents seal for the portal |
//! | `master.key` | its subkeys encrypt secrets in the database |
//! | `lease.pem` | signs leases, which tenants' apps verify and agents refuse |
//! | `trust/N.json` | the trust documents, from 1 without gaps |
//!
//! Every instant of a creation or rotation is safe: keys are written first, the trust document that
//! names them is the commit point, and key files that no document names are ignored.

mod at_rest;
mod folder;
mod lease;
pub mod mint;
mod rotate;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use freehold_protocol::{
    dsse::Envelope,
    ids::PortalId,
    keys::{PublicKey, SigningKey},
    seal::SealKey,
    time::Timestamp,
    trust::{TRUST_VALID_SECS, TRUST_WARN_SECS, Trust, TrustDocument, TrustError},
};

pub use at_rest::{MasterKey, Place};
pub use lease::{LeaseKeys, key_id as lease_key_id};
pub use rotate::Rotation;

use folder::{Folder, PortalAge};

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file operation failed.
    #[error("{what} {} failed", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may use a file.
    #[error("{} has mode {mode:o}, so that others may use it: run `chmod {wanted:o} {}`", path.display(), path.display())]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it should have.
        wanted: u32,
    },
    /// A key that was there is not there.
    #[error(
        "{} is missing, but this portal has been used before: put it back from your backup of the key folder; \
         a new one would not open what the old one protects", path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{} is not {wanted}: put it back from your backup of the key folder", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// A trust document does not follow from the one before it.
    #[error("{} does not follow from the trust document before it", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TrustError,
    },
    /// The database belongs to other keys.
    #[error("{0}")]
    OtherDatabase(String),
    /// The root key is not on this machine.
    #[error("the root key {} is not on this machine: bring it back for the rotation", path.display())]
    RootOffline {
        /// Where it is looked for.
        path: PathBuf,
    },
    /// A file that is to be replaced is a credential of systemd.
    #[error("{} is a credential of systemd: make the new one where its unit takes it from, and restart", path.display())]
    Credential {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {reason}")]
    Random {
        /// What it says.
        reason: String,
    },
    /// A secret was not encrypted.
    #[error("a secret was not encrypted")]
    Seal,
    /// A sealed value does not open.
    #[error("a sealed value does not open: it was changed, moved or put back")]
    Open,
    /// A sealed value belongs to another master key.
    #[error("a sealed value was encrypted with another master key: put the old master.key back")]
    OtherMaster,
    /// A document was not signed.
    #[error("the trust document was not signed")]
    Sign,
}

impl From<KeyError> for crate::error::AppError {
    fn from(error: KeyError) -> Self {
        Self::bug("the portal's keys could not be used").because(error)
    }
}

/// What the database knows about the keys that it was used with; empty for a new database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownKeys {
    /// Portal id.
    pub portal: Option<PortalId>,
    /// [`MasterKey::id`].
    pub master: Option<String>,
    /// Newest trust version.
    pub trust_version: u64,
    /// [`LeaseKeys::current_id`].
    pub lease: Option<String>,
}

/// All keys at one moment.
pub struct PortalKeys {
    portal: PortalId,
    job: SigningKey,
    seal: SealKey,
    master: Arc<MasterKey>,
    lease: LeaseKeys,
    /// Envelopes of all trust documents, oldest first.
    chain: Vec<Envelope>,
    documents: Vec<TrustDocument>,
    trust: Trust,
}

impl fmt::Debug for PortalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortalKeys({}, trust {})", self.portal, self.trust_version())
    }
}

impl PortalKeys {
    /// This installation.
    #[must_use]
    pub const fn portal(&self) -> PortalId {
        self.portal
    }
    /// The key that signs jobs, poll answers and receipts.
    #[must_use]
    pub const fn job(&self) -> &SigningKey {
        &self.job
    }
    /// The key that opens what agents seal for the portal.
    #[must_use]
    pub const fn seal(&self) -> &SealKey {
        &self.seal
    }
    /// The master key.
    #[must_use]
    pub fn master(&self) -> &MasterKey {
        &self.master
    }
    /// The keys that sign leases.
    #[must_use]
    pub const fn lease(&self) -> &LeaseKeys {
        &self.lease
    }
    /// What the database is to know of them.
    #[must_use]
    pub fn known(&self) -> KnownKeys {
        KnownKeys {
            portal: Some(self.portal),
            master: Some(self.master.id()),
            trust_version: self.trust_version(),
            lease: Some(self.lease.current_id().to_owned()),
        }
    }
    /// The trust document in force.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }
    /// Its version.
    #[must_use]
    pub const fn trust_version(&self) -> u64 {
        self.trust.document().version
    }
    /// The epoch in force.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.trust.document().epoch
    }
    /// The trust documents after a version, oldest first.
    #[must_use]
    pub fn trust_after(&self, version: u64) -> &[Envelope] {
        let skip = usize::try_from(version).unwrap_or(usize::MAX).min(self.chain.len());
        &self.chain[skip..]
    }
    /// The envelope of the trust document in force.
    #[must_use]
    pub fn trust_envelope(&self) -> &Envelope {
        self.chain.last().expect("a portal has at least one trust document")
    }
    /// Every job key that was ever valid in an epoch, to know one's own signature again.
    #[must_use]
    pub fn job_keys_of(&self, epoch: u64) -> Vec<PublicKey> {
        let mut keys: Vec<PublicKey> = Vec::new();
        for document in self.documents.iter().filter(|document| document.epoch == epoch) {
            for key in &document.job_keys {
                if !keys.contains(key) {
                    keys.push(*key);
                }
            }
        }
        keys
    }
}

/// The keys of a running portal: replaced as a whole by a rotation.
pub struct KeyRing {
    folder: Folder,
    current: RwLock<Arc<PortalKeys>>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({:?})", self.current())
    }
}

fn trust_name(version: u64) -> String {
    format!("trust/{version}.json")
}

fn job_name(key: &PublicKey) -> String {
    format!("job-{}.pem", &key.fingerprint().to_string()[..16])
}

impl KeyRing {
    /// Opens the key folder. At the very first start, when neither folder nor database knows of any
    /// key, it draws them all. A start that was cut short in the middle of that is finished.
    ///
    /// # Errors
    /// See [`KeyError`]; nothing that was there is ever replaced.
    pub fn open(
        path: &Path,
        credentials: Option<&Path>,
        known: &KnownKeys,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let age = if known.portal.is_some() { PortalAge::Used } else { PortalAge::New };
        let folder = Folder::open(path, credentials, age)?;
        let first_start = known.portal.is_none() && folder.read(&trust_name(1))?.is_none();
        if first_start {
            create(&folder, now)?;
            tracing::warn!(
                folder = %path.display(),
                "created the portal's keys: back this folder up now, apart from the database; without it no agent and no stored secret can be used"
            );
        } else if known.portal.is_none() {
            tracing::warn!(
                folder = %path.display(),
                "the database is new, but the key folder is not: if the database was lost, stop and put a backup back with `freehold db restore FILE`; hosts that enrolled before are not known to the new one"
            );
        }
        lease::ensure(&folder, known.lease.is_some())?;
        let keys = load(&folder)?;
        check_known(&keys, known)?;
        let exp = keys.trust.document().exp;
        if now.plus_secs(TRUST_WARN_SECS) > exp {
            tracing::warn!(expires_at = %exp, "the trust document expires soon: run `freehold key rotate`");
        }
        Ok(Self { folder, current: RwLock::new(Arc::new(keys)) })
    }

    /// The keys now. Take them once per request, so that one answer is of one piece.
    #[must_use]
    pub fn current(&self) -> Arc<PortalKeys> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn check_known(keys: &PortalKeys, known: &KnownKeys) -> Result<(), KeyError> {
    if let Some(portal) = known.portal
        && portal != keys.portal
    {
        return Err(KeyError::OtherDatabase(format!(
            "the database belongs to portal {portal}, but the key folder to {}: name the key folder that was used with this database",
            keys.portal
        )));
    }
    if let Some(master) = &known.master
        && *master != keys.master.id()
    {
        return Err(KeyError::OtherDatabase(format!(
            "the secrets in the database were encrypted with master key {master}, but master.key is {}: put the old master.key back",
            keys.master.id()
        )));
    }
    if known.trust_version > keys.trust_version() {
        return Err(KeyError::OtherDatabase(format!(
            "the key folder ends with trust document {}, but {} was in force: agents would refuse this portal; put the newest key folder back",
            keys.trust_version(),
            known.trust_version
        )));
    }
    Ok(())
}

/// Draws what is missing, in an order that a crash cannot hurt; the trust document comes last.
fn create(folder: &Folder, now: Timestamp) -> Result<(), KeyError> {
    let portal = match folder.read("portal-id")? {
        Some(text) => parse_portal(folder, &text)?,
        None => {
            let portal = PortalId::from_uuid(uuid::Uuid::now_v7());
            folder.write("portal-id", &format!("{portal}\n"))?;
            portal
        }
    };
    if folder.read("master.key")?.is_none() {
        folder.write("master.key", &MasterKey::fresh()?.to_text())?;
    }
    let seal = match folder.read("seal.key")? {
        Some(text) => parse_seal(folder, &text)?,
        None => {
            let key = SealKey::from_bytes(&mint::random()?).map_err(|_| KeyError::Seal)?;
            folder.write("seal.key", &key.to_text())?;
            key
        }
    };
    let root = match folder.read("root.pem")? {
        Some(text) => parse_pem(folder, "root.pem", &text)?,
        None => fresh_signing_key(folder, |_| "root.pem".into())?,
    };
    let job = fresh_signing_key(folder, |key| job_name(&key.public()))?;
    let document = TrustDocument {
        portal,
        version: 1,
        epoch: 1,
        iat: now,
        exp: now.plus_secs(TRUST_VALID_SECS),
        root_keys: vec![root.public()],
        job_keys: vec![job.public()],
        seal_key: seal.public(),
    };
    let envelope = Envelope::sign(&document, &[&root]).map_err(|_| KeyError::Sign)?;
    write_trust(folder, 1, &envelope)
}

fn write_trust(folder: &Folder, version: u64, envelope: &Envelope) -> Result<(), KeyError> {
    let text = serde_json::to_string(envelope).map_err(|_| KeyError::Sign)?;
    folder.write(&trust_name(version), &text)
}

fn fresh_signing_key(
    folder: &Folder,
    name: impl FnOnce(&SigningKey) -> String,
) -> Result<SigningKey, KeyError> {
    let seed = zeroize::Zeroizing::new(mint::random::<32>()?);
    let key = SigningKey::from_seed(&seed);
    let pem = key.to_pem().map_err(|_| KeyError::Sign)?;
    folder.write(&name(&key), &pem)?;
    Ok(key)
}

fn required(folder: &Folder, name: &str) -> Result<zeroize::Zeroizing<String>, KeyError> {
    folder.read(name)?.ok_or_else(|| KeyError::Missing { path: folder.shown(name) })
}

fn parse_portal(folder: &Folder, text: &str) -> Result<PortalId, KeyError> {
    text.trim()
        .parse()
        .map_err(|_| KeyError::Malformed { path: folder.shown("portal-id"), wanted: "a portal id" })
}

fn parse_seal(folder: &Folder, text: &str) -> Result<SealKey, KeyError> {
    SealKey::from_text(text).map_err(|_| KeyError::Malformed {
        path: folder.shown("seal.key"),
        wanted: "the base64 of a 32-byte X25519 key",
    })
}

fn parse_pem(folder: &Folder, name: &str, text: &str) -> Result<SigningKey, KeyError> {
    SigningKey::from_pem(text).map_err(|_| KeyError::Malformed {
        path: folder.shown(name),
        wanted: "an Ed25519 private key in PKCS#8 PEM form",
    })
}

fn load(folder: &Folder) -> Result<PortalKeys, KeyError> {
    let portal = parse_portal(folder, &required(folder, "portal-id")?)?;
    let master = MasterKey::from_text(&required(folder, "master.key")?).ok_or_else(|| {
        KeyError::Malformed { path: folder.shown("master.key"), wanted: "the base64 of 32 bytes" }
    })?;
    let seal = parse_seal(folder, &required(folder, "seal.key")?)?;
    let (chain, documents, trust) = load_trust(folder)?;
    let document = trust.document();
    let name = job_name(&document.job_keys[0]);
    let job = parse_pem(folder, &name, &required(folder, &name)?)?;
    let fits = |ok: bool, name: &str, wanted| {
        if ok { Ok(()) } else { Err(KeyError::Malformed { path: folder.shown(name), wanted }) }
    };
    fits(job.public() == document.job_keys[0], &name, "the job key that the trust document names")?;
    fits(portal == document.portal, "portal-id", "the portal that the trust document names")?;
    fits(
        seal.public() == document.seal_key,
        "seal.key",
        "the sealing key that the trust document names",
    )?;
    let lease = lease::load(folder)?;
    Ok(PortalKeys { portal, job, seal, master: Arc::new(master), lease, chain, documents, trust })
}

fn load_trust(folder: &Folder) -> Result<(Vec<Envelope>, Vec<TrustDocument>, Trust), KeyError> {
    let mut chain = Vec::new();
    let mut documents = Vec::new();
    let mut held: Option<Trust> = None;
    for version in 1.. {
        let name = trust_name(version);
        let Some(text) = folder.read(&name)? else { break };
        let path = folder.shown(&name);
        let envelope: Envelope = serde_json::from_str(&text).map_err(|_| KeyError::Malformed {
            path: path.clone(),
            wanted: "a signed trust document",
        })?;
        let refused = |source| KeyError::Trust { path, source };
        let trust = match &held {
            Some(trust) => trust.next(&envelope).map_err(refused)?,
            None => {
                let digest =
                    envelope.payload_digest().map_err(|e| refused(TrustError::Envelope(e)))?;
                let path = folder.shown(&name);
                Trust::pin(&envelope, digest).map_err(|source| KeyError::Trust { path, source })?
            }
        };
        documents.push(trust.document().clone());
        chain.push(envelope);
        held = Some(trust);
    }
    let trust = held.ok_or_else(|| KeyError::Missing { path: folder.shown(&trust_name(1)) })?;
    Ok((chain, documents, trust))
}
