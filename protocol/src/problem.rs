//! Problem documents (RFC 9457), the one shape of every error answer of the portal.

use serde::{Deserialize, Serialize};

/// An `application/problem+json` body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A stable address that names the kind of problem.
    #[serde(rename = "type")]
    pub type_: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The same kind as a stable code in snake case, for programs.
    pub code: String,
    /// What went wrong this time.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What the caller can do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
    /// Finds the matching lines in the portal's log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The single fields that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// The media type of such a body.
    pub const MEDIA_TYPE: &str = "application/problem+json";

    /// The address that names a kind of problem, made of its code.
    #[must_use]
    pub fn type_of(code: &str) -> String {
        format!("urn:freehold:problem:{code}")
    }
}

/// One refused field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the request body, or `line:column` of a pushed file.
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}
