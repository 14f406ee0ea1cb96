//! What went wrong, who should act, and what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who should act on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The job or its input is wrong: fix the input and queue a new job.
    Request,
    /// The host cannot do it as it is: fix the machine, then retry.
    Host,
    /// The tenant's own software failed (unhealthy, migration exit 1): fix the release.
    App,
    /// A registry, certificate authority or other third party: a later retry may help.
    Upstream,
    /// An admin cancelled the job.
    Cancelled,
    /// The job was not started before its expiry.
    Expired,
    /// The signature, sequence or audience of the job was refused.
    Refused,
    /// A defect of Freehold itself: please report it.
    Bug,
    /// A change could not be undone: a person must look at the host now.
    Stuck,
}

impl FailureClass {
    /// Every class, for tables and documentation checks.
    pub const ALL: [Self; 9] = [
        Self::Request,
        Self::Host,
        Self::App,
        Self::Upstream,
        Self::Cancelled,
        Self::Expired,
        Self::Refused,
        Self::Bug,
        Self::Stuck,
    ];

    /// The spelling on the wire, in the database and in the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Host => "host",
            Self::App => "app",
            Self::Upstream => "upstream",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Bug => "bug",
            Self::Stuck => "stuck",
        }
    }

    /// Whether the same job may succeed on a later attempt without anybody changing anything.
    #[must_use]
    pub const fn retry_may_help(self) -> bool {
        matches!(self, Self::Upstream)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure as data: journaled, sent and shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Who should act.
    pub class: FailureClass,
    /// What did not work, in one lower-case sentence without full stop.
    pub what: String,
    /// The causes, outermost first, and the tail of a program's output; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do, as an imperative that names a command or a file.
    pub advice: String,
}

impl Failure {
    /// Longest `detail` that travels, in bytes; the rest is cut with a mark.
    pub const MAX_DETAIL_BYTES: usize = 8 * 1024;

    /// A failure without detail.
    #[must_use]
    pub fn new(class: FailureClass, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { class, what: what.into(), detail: String::new(), advice: advice.into() }
    }

    /// The same failure with detail, cut to [`Self::MAX_DETAIL_BYTES`] (its end is kept, since
    /// programs print their error last).
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = if detail.len() <= Self::MAX_DETAIL_BYTES {
            detail
        } else {
            let mut start = detail.len() - Self::MAX_DETAIL_BYTES;
            while !detail.is_char_boundary(start) {
                start += 1;
            }
            format!("[cut] {}", &detail[start..])
        };
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}
