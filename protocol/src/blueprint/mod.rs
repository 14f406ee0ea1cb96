//! The allow-listed compose model of a release.

use serde::{Deserialize, Serialize};

/// A blueprint's model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blueprint {}
