//! What a tenant has on the disk of its host.

use serde::{Deserialize, Serialize};

use crate::{ids::ParseIdError, time::Timestamp};

/// Most bytes: what every reader of JSON holds exactly (RFC 8259, section 6). Eight petabytes.
pub const MAX_BYTES: u64 = (1 << 53) - 1;

/// A number of bytes, at most [`MAX_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "u64", into = "u64")]
pub struct ByteCount(#[cfg_attr(feature = "schema", schemars(range(max = MAX_BYTES)))] u64);

impl ByteCount {
    /// As many bytes, or [`MAX_BYTES`] when they are more.
    #[must_use]
    pub fn saturating(bytes: u64) -> Self {
        Self(bytes.min(MAX_BYTES))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for ByteCount {
    type Error = ParseIdError;
    fn try_from(bytes: u64) -> Result<Self, ParseIdError> {
        if bytes > MAX_BYTES {
            return Err(ParseIdError::new(
                "number of bytes",
                "use at most 2^53 - 1",
                &bytes.to_string(),
            ));
        }
        Ok(Self(bytes))
    }
}

impl From<ByteCount> for u64 {
    fn from(count: ByteCount) -> Self {
        count.0
    }
}

/// What a tenant's volumes and its containers' own layers take, by the engine's count: the lengths of
/// the files, each once however many names it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DiskUse {
    /// Bytes.
    pub used_bytes: ByteCount,
    /// When they were counted.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TenantHealth;

    #[test]
    fn a_count_is_what_every_reader_can_hold() {
        let read = |text: &str| serde_json::from_str::<ByteCount>(text).map(ByteCount::get);
        assert_eq!(read("0").unwrap(), 0);
        assert_eq!(read("9007199254740991").unwrap(), MAX_BYTES);
        assert!(read("9007199254740992").unwrap_err().to_string().contains("number of bytes"));
        for bad in ["-1", "1.5", "\"1\"", "null"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(ByteCount::saturating(u64::MAX).get(), MAX_BYTES);
    }

    /// An agent that does not measure, and one that says more than this portal knows.
    #[test]
    fn health_is_read_with_and_without_what_was_measured() {
        let with = |more: &str| {
            let text = format!(
                r#"{{"tenant":"01936f2a-0000-7000-8000-000000000001","at":1,"status":"healthy","containers":[]{more}}}"#
            );
            serde_json::from_str::<TenantHealth>(&text)
        };
        let old = with("").unwrap();
        assert_eq!(old.disk, None);
        assert!(!serde_json::to_string(&old).unwrap().contains("disk"));
        let new = with(r#","disk":{"usedBytes":47970000,"at":2,"inodes":9}"#).unwrap();
        let disk = new.disk.unwrap();
        assert_eq!((disk.used_bytes.get(), disk.at), (47_970_000, Timestamp::from_millis(2)));
        assert_eq!(serde_json::to_value(&new).unwrap()["disk"]["usedBytes"], 47_970_000);
        assert!(with(r#","disk":{"usedBytes":-1,"at":2}"#).is_err());
    }
}
