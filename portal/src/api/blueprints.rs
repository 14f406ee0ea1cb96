//! Blueprints and their releases.

use freehold_protocol::{
    blueprint::Blueprint,
    ids::{BlueprintName, ReleaseId, Sha256Digest},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest note of a release, in bytes.
pub const MAX_NOTE_BYTES: usize = 2000;

/// `POST /blueprints`: publishes a release. A model that equals the latest release's is that
/// release again (200 instead of 201), so that pushing twice is harmless.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishBlueprint {
    /// Its name; when absent, the one in the file counts. When both are given they must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BlueprintName>")]
    pub name: Option<String>,
    /// The Compose file with its `x-freehold` section, as text.
    pub source: String,
    /// What is new in this release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(with = "super::schema::NoteText")]
    pub note: String,
}

/// A blueprint in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueprintView {
    /// Its name.
    pub name: BlueprintName,
    /// The newest release.
    pub latest: ReleaseView,
    /// Tenants that use it, removed ones not counted.
    pub tenants: u32,
    /// When its first release was published.
    pub created_at: Timestamp,
}

/// `GET /blueprints/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueprintDetail {
    /// Its name.
    pub name: BlueprintName,
    /// Its releases, newest first.
    pub releases: Vec<ReleaseView>,
    /// Tenants that use it, removed ones not counted.
    pub tenants: u32,
    /// When its first release was published.
    pub created_at: Timestamp,
}

/// A release without its model. Also the answer to a publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseView {
    /// Its identifier.
    pub id: ReleaseId,
    /// The blueprint.
    pub blueprint: BlueprintName,
    /// Its number, from 1.
    pub number: u32,
    /// Digest of the canonical model.
    pub digest: Sha256Digest,
    /// What is new in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Who published it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// `GET /blueprints/{name}/releases/{number}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDetail {
    /// The release.
    pub release: ReleaseView,
    /// The file as it was pushed.
    pub source: String,
    /// The model that the portal made of it and that jobs carry.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub model: Blueprint,
}
