//! The chain of the audit log: each entry is hashed together with the hash of the one before, so that
//! none can be changed, taken out or put in without every later hash being another one.

use freehold_protocol::{ids::Sha256Digest, time::Timestamp};

/// Name in the particulars of the request that asked for the change: what its answer had as `x-request-id`,
/// and the portal's log names. It stands there, and not in a column, so that the hash covers it and entries
/// from before it was noted stay as they were hashed.
pub const REQUEST: &str = "requestId";

/// What the hash of an entry covers.
#[derive(Debug, Clone, Copy)]
pub struct Hashed<'a> {
    /// Its number, from 1 without gaps.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: &'a str,
    /// What was done.
    pub action: &'a str,
    /// Kind of the thing it was done to.
    pub object_kind: &'a str,
    /// Which one.
    pub object_id: &'a str,
    /// The particulars: compact JSON with sorted names.
    pub detail: &'a str,
    /// Hash of the entry before; zeros before the first.
    pub prev_hash: Sha256Digest,
}

impl Hashed<'_> {
    /// The hash that this entry must have: SHA-256 over `LENGTH:TEXT` of each part, in this order.
    #[must_use]
    pub fn hash(&self) -> Sha256Digest {
        let Self { n, at, actor, action, object_kind, object_id, detail, prev_hash } = self;
        let mut bytes = Vec::new();
        // Length before text, so that no two different entries make the same bytes.
        for part in [
            "freehold.audit.v1",
            &n.to_string(),
            &at.to_string(),
            actor,
            action,
            object_kind,
            object_id,
            detail,
            &prev_hash.to_string(),
        ] {
            bytes.extend_from_slice(format!("{}:", part.len()).as_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Sha256Digest::of(&bytes)
    }
}

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry is not there.
    #[error("audit entry {n} is missing")]
    Missing {
        /// Its number.
        n: u64,
    },
    /// An entry, or the one before it, is not what it was when it was written.
    #[error("audit entry {n} was changed")]
    Changed {
        /// Its number.
        n: u64,
    },
}

/// Walks along a chain, entry by entry.
#[derive(Debug, Default)]
pub struct Walk {
    last: Option<(u64, Sha256Digest)>,
    count: u64,
}

impl Walk {
    /// One that begins at the first entry.
    #[must_use]
    pub fn from_the_start() -> Self {
        Self { last: Some((0, Sha256Digest::ZERO)), count: 0 }
    }

    /// One that begins at whatever entry comes first: a part of a log.
    #[must_use]
    pub fn from_anywhere() -> Self {
        Self::default()
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// When it does not follow.
    pub fn take(&mut self, entry: &Hashed<'_>, hash: Sha256Digest) -> Result<(), Broken> {
        if let Some((n, before)) = self.last {
            if entry.n != n + 1 {
                return Err(Broken::Missing { n: n + 1 });
            }
            if entry.prev_hash != before {
                return Err(Broken::Changed { n: entry.n });
            }
        }
        if entry.hash() != hash {
            return Err(Broken::Changed { n: entry.n });
        }
        self.last = Some((entry.n, hash));
        self.count += 1;
        Ok(())
    }

    /// Number and hash of the last entry.
    #[must_use]
    pub fn head(&self) -> (u64, Sha256Digest) {
        self.last.unwrap_or((0, Sha256Digest::ZERO))
    }

    /// How many entries were taken.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64, detail: &str, prev_hash: Sha256Digest) -> (Hashed<'_>, Sha256Digest) {
        let at = Timestamp::from_millis(1_800_000_000_000);
        let entry = Hashed {
            n,
            at,
            actor: "token:anna",
            action: "host.create",
            object_kind: "host",
            object_id: "vps-1",
            detail,
            prev_hash,
        };
        (entry, entry.hash())
    }

    #[test]
    fn a_walk_sees_what_is_missing_changed_or_moved() {
        let (one, first) = entry(1, "{}", Sha256Digest::ZERO);
        let (two, second) = entry(2, "{\"a\":1}", first);
        let (three, third) = entry(3, "{}", second);
        let mut walk = Walk::from_the_start();
        for (entry, hash) in [(&one, first), (&two, second), (&three, third)] {
            walk.take(entry, hash).unwrap();
        }
        assert_eq!((walk.head(), walk.count()), ((3, third), 3));

        let mut walk = Walk::from_the_start();
        assert_eq!(walk.take(&two, second), Err(Broken::Missing { n: 1 }));
        walk.take(&one, first).unwrap();
        assert_eq!(walk.take(&three, third), Err(Broken::Missing { n: 2 }));
        let altered = Hashed { detail: "{\"a\":2}", ..two };
        assert_eq!(walk.take(&altered, second), Err(Broken::Changed { n: 2 }));
        // One that was hashed anew is seen where the next one names the old hash.
        let rewritten = altered.hash();
        walk.take(&altered, rewritten).unwrap();
        assert_eq!(walk.take(&three, third), Err(Broken::Changed { n: 3 }));

        let mut part = Walk::from_anywhere();
        part.take(&two, second).unwrap();
        part.take(&three, third).unwrap();
        assert_eq!(part.count(), 2);
    }

    #[test]
    fn moving_a_letter_between_fields_makes_another_hash() {
        let (one, hash) = entry(1, "{}", Sha256Digest::ZERO);
        let moved = Hashed { actor: "token:annah", action: "ost.create", ..one };
        assert_ne!(moved.hash(), hash);
    }
}
