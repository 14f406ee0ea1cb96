//! Rules that span the fields of a blueprint.
//!
//! The portal runs them before it stores a release, and the agent before it touches a host: a
//! portal that was broken into cannot talk an agent out of them.

mod section;
mod service;

use std::fmt;

use super::limits;
use super::model::Blueprint;

/// Something in a blueprint that must be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a path of keys in the Compose file, such as `services.web.cap_add`.
    pub path: String,
    /// What is wrong; completes the sentence "`path` …".
    pub what: String,
    /// What to do, as an instruction.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}. {}", self.path, self.what, self.remedy)
    }
}

/// Collects problems, so that an author sees all of them at once.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Problem { path: path.into(), what: what.into(), remedy: remedy.into() });
    }

    /// Adds a problem when a list or map has more entries than its limit.
    fn at_most(&mut self, path: impl Into<String>, count: usize, limit: usize) {
        if count > limit {
            self.add(path, format!("has {count} entries"), format!("Keep it to at most {limit}."));
        }
    }

    /// Adds a problem when a number is outside its range.
    fn within(&mut self, path: impl Into<String>, number: u32, low: u32, high: u32, unit: &str) {
        if !(low..=high).contains(&number) {
            self.add(path, format!("is {number}{unit}"), format!("Use {low} to {high}{unit}."));
        }
    }
}

impl Blueprint {
    /// Checks every rule that a single field cannot.
    ///
    /// # Errors
    /// All problems found, in the order of the file's parts.
    pub fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        if self.services.is_empty() {
            problems.add("services", "is empty", "Declare at least one service.");
        }
        problems.at_most("services", self.services.len(), limits::SERVICES);
        problems.at_most("volumes", self.volumes.len(), limits::VOLUMES);
        for (name, service) in &self.services {
            service::check(&mut problems, self, name, service);
        }
        service::check_order(&mut problems, self);
        section::check(&mut problems, self);
        // Every part is bounded above; this bounds the sum, which has to fit into one job.
        let bytes = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        if bytes > limits::BLUEPRINT_BYTES {
            problems.add(
                "services",
                format!("and the rest take {bytes} bytes as a job"),
                format!(
                    "Shorten values until they take at most {} bytes.",
                    limits::BLUEPRINT_BYTES
                ),
            );
        }
        if problems.0.is_empty() { Ok(()) } else { Err(problems.0) }
    }
}

#[cfg(test)]
pub(crate) mod tests;
