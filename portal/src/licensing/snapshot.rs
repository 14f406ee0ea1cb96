//! Everything that license validation depends on, at one moment.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use freehold_protocol::{
    ids::{BlueprintName, TenantId, TenantSlug},
    time::Timestamp,
};
use subtle::ConstantTimeEq;

use super::lease::Cached;
use crate::{
    app::{keyed_hash, plans},
    db::{Read, licensing},
    domain::{
        entitlement::Entitlement,
        ids::{CustomerId, LicenseId, TenantKeyId},
        license::{ExpiryRule, LicenseStatus},
        validation::Held,
    },
    error::AppError,
};

type Hash = [u8; 32];

/// A license as validation needs it.
#[derive(Debug)]
pub struct LicenseEntry {
    hash: Hash,
    /// Its identifier.
    pub id: LicenseId,
    /// Whose it is.
    pub customer: CustomerId,
    /// What that customer's apps send.
    pub organization: String,
    /// Its plan.
    pub plan: BlueprintName,
    /// What it entitles to, its differences counted in.
    pub gives: Entitlement,
    /// The same as the middle of a JSON object: `"products":[…],"features":[…],"limits":{…}`.
    pub gives_json: String,
    /// Its status as noted.
    pub status: LicenseStatus,
    /// Its end.
    pub expires_at: Option<Timestamp>,
    /// Its plan's rule about the end.
    pub rule: ExpiryRule,
    /// The lease that was signed last.
    pub(super) lease: Mutex<Option<Cached>>,
    /// When it was last noted as asked for, in milliseconds.
    pub(super) validated: AtomicI64,
}

impl LicenseEntry {
    /// What it is judged by.
    #[must_use]
    pub const fn held(&self) -> Held<'_> {
        Held {
            status: self.status,
            expires_at: self.expires_at,
            rule: self.rule,
            gives: &self.gives,
        }
    }
}

/// An API key of a tenant as validation needs it.
#[derive(Debug)]
pub struct KeyEntry {
    hash: Hash,
    /// Its identifier.
    pub id: TenantKeyId,
    /// The customer that its tenant's license belongs to; none without a license.
    pub customer: Option<CustomerId>,
    /// Its tenant.
    pub tenant: TenantId,
    /// That tenant's slug.
    pub slug: TenantSlug,
    /// What that customer's apps send as their organization.
    pub organization: Option<String>,
    valid_until: Option<Timestamp>,
    revoked: bool,
    /// When it was last noted as used, in milliseconds.
    pub(super) used: AtomicI64,
}

/// Why an API key is good for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefused {
    /// There is no such key, or its tenant was removed.
    Unknown,
    /// It was revoked.
    Revoked,
    /// It was replaced, and its time is over.
    Ended,
}

/// The snapshot.
pub struct Snapshot {
    generation: u64,
    licenses: HashMap<Hash, LicenseEntry>,
    keys: HashMap<Hash, KeyEntry>,
    /// The highest number of a lease from it, once a newer one has taken its place.
    last_seq: AtomicI64,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, licenses, keys, last_seq: _ } = self;
        write!(f, "Snapshot({generation}, {} licenses, {} keys)", licenses.len(), keys.len())
    }
}

impl Snapshot {
    /// Takes a snapshot.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn load(read: &Read<'_>) -> Result<Self, AppError> {
        let generation = licensing::generation(read)?;
        let mut of_plan = HashMap::new();
        for plan in crate::db::plans::list(read, "", u32::MAX)? {
            of_plan.insert(plan.name.clone(), (plans::entitlement(&plan), plan.expiry));
        }
        let hash = |text: &str| {
            keyed_hash::from_hex(text)
                .ok_or_else(|| AppError::bug("a stored keyed hash is malformed"))
        };
        let time = |at: Option<Timestamp>| AtomicI64::new(at.map_or(0, Timestamp::as_millis));
        let mut licenses = HashMap::new();
        for row in licensing::licenses(read)? {
            let (gives, rule) =
                of_plan.get(&row.plan).ok_or_else(|| AppError::bug("a license has no plan"))?;
            let hash = hash(&row.key_hash)?;
            let gives = row.overrides.apply(gives);
            let entry = LicenseEntry {
                hash,
                id: row.id,
                customer: row.customer,
                organization: row.organization,
                plan: row.plan,
                gives_json: format!(
                    "\"products\":{},\"features\":{},\"limits\":{}",
                    serde_json::to_string(&gives.products)?,
                    serde_json::to_string(&gives.features)?,
                    serde_json::to_string(&gives.limits)?
                ),
                gives,
                status: row.status,
                expires_at: row.expires_at,
                rule: *rule,
                lease: Mutex::new(None),
                validated: time(row.last_validated_at),
            };
            licenses.insert(hash, entry);
        }
        let mut keys = HashMap::new();
        for row in licensing::keys(read)? {
            let hash = hash(&row.hash)?;
            let entry = KeyEntry {
                hash,
                id: row.id,
                customer: row.customer,
                tenant: row.tenant,
                slug: row.slug,
                organization: row.organization,
                valid_until: row.valid_until,
                revoked: row.revoked,
                used: time(row.last_used_at),
            };
            keys.insert(hash, entry);
        }
        Ok(Self { generation, licenses, keys, last_seq: AtomicI64::new(0) })
    }

    /// The count of changes that it has seen.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// A newer one takes its place, after leases up to this number.
    pub(super) fn replaced(&self, last_seq: i64) {
        self.last_seq.store(last_seq, Ordering::Relaxed);
    }

    /// The number of a lease that is made from it although a newer one has taken its place.
    pub(super) fn late_seq(&self) -> i64 {
        self.last_seq.load(Ordering::Relaxed)
    }

    /// How many licenses and keys it holds.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.licenses.len(), self.keys.len())
    }

    /// The key with this keyed hash.
    pub(super) fn key(&self, hash: &Hash, now: Timestamp) -> Result<&KeyEntry, KeyRefused> {
        let found = self.keys.get(hash);
        // The map has found it by equality already; this does not lean on how the map compares,
        // and an unknown key is compared as well.
        let same = bool::from(found.map_or(&[0; 32], |entry| &entry.hash).ct_eq(hash));
        match found.filter(|_| same) {
            None => Err(KeyRefused::Unknown),
            Some(entry) if entry.revoked => Err(KeyRefused::Revoked),
            Some(entry) if entry.valid_until.is_some_and(|until| until <= now) => {
                Err(KeyRefused::Ended)
            }
            Some(entry) => Ok(entry),
        }
    }

    /// The license whose key has this keyed hash.
    pub(super) fn license(&self, hash: &Hash) -> Option<&LicenseEntry> {
        let found = self.licenses.get(hash);
        let same = bool::from(found.map_or(&[0; 32], |entry| &entry.hash).ct_eq(hash));
        found.filter(|_| same)
    }
}
