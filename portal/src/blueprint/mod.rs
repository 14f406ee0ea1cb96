//! An author's Compose file → the [`Blueprint`] that jobs carry.
//!
//! YAML is read here and nowhere else. The file is parsed into a small tree with positions, anchors
//! and merge keys resolved; what the model has no place for is refused with its line and a remedy.
//! All problems are collected, so that an author fixes a file in one go.

mod file;
mod never;
mod reader;
mod section;
mod service;
mod service_parts;
mod tree;
mod units;

use std::collections::BTreeMap;
use std::fmt;

use freehold_protocol::app_env::AppEnv;
use freehold_protocol::blueprint::delivered::Delivered;
use freehold_protocol::blueprint::{
    Allocation, Blueprint, Marks, RenderError, Rendered, names::VarName, render,
};
use freehold_protocol::ids::{Domain, JobId, PortalId, TenantId, TenantSlug};
use freehold_protocol::secret::Secret;

/// The largest Compose file, in bytes.
pub const FILE_LIMIT_BYTES: usize = 256 * 1024;

/// The most problems that are collected of one file.
pub(crate) const PROBLEM_LIMIT: usize = 200;

/// Something in a Compose file that must be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The path of keys, such as `services.web.privileged`; empty for the whole file.
    pub path: String,
    /// What is wrong; completes the sentence "`path` …".
    pub what: String,
    /// What to do, as an instruction.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        write!(
            f,
            "{}:{}:{}: {path} {}. {}",
            self.file, self.line, self.column, self.what, self.remedy
        )
    }
}

/// Why there is no preview.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreviewError {
    /// The file has problems.
    #[error("the file has {} problems", .0.len())]
    File(Vec<Problem>),
    /// The blueprint does not fit the allocation.
    #[error("the blueprint cannot be rendered")]
    Render(#[source] RenderError),
}

/// Reads a Compose file with an `x-freehold` section.
///
/// # Errors
/// Every problem found, in the order of the file.
pub fn read(text: &str, file: &str) -> Result<Blueprint, Vec<Problem>> {
    file::read(text, file)
}

/// Returns the problems of a Compose file; none when it can be published.
#[must_use]
pub fn lint(text: &str, file: &str) -> Vec<Problem> {
    read(text, file).err().unwrap_or_default()
}

/// Renders what a host would get for a Compose file.
///
/// # Errors
/// When the file has problems, or the allocation does not fit the blueprint.
pub fn render_preview(
    text: &str,
    file: &str,
    allocation: impl FnOnce(&Blueprint) -> Allocation,
) -> Result<Rendered, PreviewError> {
    let blueprint = read(text, file).map_err(PreviewError::File)?;
    render(&blueprint, &allocation(&blueprint)).map_err(PreviewError::Render)
}

/// An allocation to show a blueprint with: the first port of each range, placeholders for secrets
/// and required settings, and `domain` as the address.
#[must_use]
pub fn sample_allocation(blueprint: &Blueprint, tenant: TenantSlug, domain: Domain) -> Allocation {
    let freehold = &blueprint.freehold;
    let mut ports = BTreeMap::new();
    for role in freehold.ports.keys() {
        let free = blueprint.range_of(role).and_then(|range| {
            // Roles may share a range: the next free port, as on a host.
            range.iter().find(|port| !ports.values().any(|taken| taken == port))
        });
        if let Some(port) = free {
            ports.insert(role.clone(), port);
        }
    }
    let sample = |name: &VarName| (name.clone(), Secret::new(format!("sample-{name}")));
    let required =
        freehold.settings.iter().filter(|(_, spec)| spec.required && spec.default.is_none());
    let id = |last: u128| uuid::Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 + last);
    Allocation {
        tenant,
        domain,
        ports,
        secrets: freehold.secrets.keys().map(sample).collect(),
        settings: required
            .map(|(name, spec)| (name.clone(), spec.kind.sample().to_owned()))
            .collect(),
        delivered: sample_app_env(blueprint),
        marks: Marks {
            portal: PortalId::from_uuid(id(1)),
            tenant: TenantId::from_uuid(id(2)),
            job: JobId::from_uuid(id(3)),
        },
    }
}

/// What the portal would deliver, as samples.
fn sample_app_env(blueprint: &Blueprint) -> AppEnv {
    let mut sample = AppEnv::default();
    for name in blueprint.delivered().into_keys() {
        let value = match name {
            Delivered::PortalUrl => "https://portal.example.org".to_owned(),
            Delivered::Jwks => r#"{"keys":[]}"#.to_owned(),
            Delivered::TenantKey | Delivered::LicenseKey | Delivered::OrganizationId => {
                format!("sample-{name}")
            }
        };
        sample.set(name, Secret::new(value));
    }
    sample
}

#[cfg(test)]
mod tests;
