//! What was approved: the digest of a job's work, by which an agent tells it from anything else.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ProvisionRequestId, Sha256Digest},
    written::WrittenWork,
};

/// Stands in a job that somebody had to approve. An agent refuses the job unless its work has this digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// The provision request that was approved.
    pub request: ProvisionRequestId,
    /// SHA-256 of the work's bytes, as they were kept when the request was made and stand in the job.
    pub digest: Sha256Digest,
}

impl Approval {
    /// Whether this is the work that was approved, to the byte.
    #[must_use]
    pub fn is_of(&self, work: &WrittenWork) -> bool {
        work.digest() == self.digest
    }
}
