//! Publishing releases of blueprints.

use freehold_protocol::{
    blueprint::Blueprint,
    ids::{BlueprintName, ReleaseId, Sha256Digest},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    api::blueprints::MAX_NOTE_BYTES,
    blueprint,
    db::{
        Tx,
        audit::{self, Entry},
        blueprints::{self, ReleaseRow},
    },
    error::{AppError, Kind},
};

/// Most releases of one blueprint.
const MAX_RELEASES: u32 = 100_000;

/// Somebody wants to publish a release. Made by [`PublishRelease::parse`] only.
#[derive(Debug)]
pub struct PublishRelease {
    name: BlueprintName,
    source: String,
    model: Blueprint,
    note: String,
    actor: String,
}

/// What a publication came to.
#[derive(Debug)]
pub enum Published {
    /// A new release.
    New(ReleaseRow),
    /// The newest release is this very model already.
    Same(ReleaseRow),
}

impl PublishRelease {
    /// Reads what an admin pushes. Done before the transaction: a large file takes a while.
    ///
    /// # Errors
    /// Every problem of the file at once, each with its line and column.
    pub fn parse(
        name: Option<&str>,
        source: String,
        note: String,
        actor: String,
    ) -> Result<Self, AppError> {
        let wanted: Option<BlueprintName> = name
            .map(|name| name.parse().map_err(|error| AppError::invalid_id("/name", &error)))
            .transpose()?;
        if note.len() > MAX_NOTE_BYTES || note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(AppError::invalid(
                "/note",
                format!("use at most {MAX_NOTE_BYTES} bytes of text"),
            ));
        }
        let model = blueprint::read(&source, "compose.yaml").map_err(|problems| {
            let count = problems.len();
            let mut error = AppError::new(
                Kind::Invalid,
                "blueprint_refused",
                format!("the blueprint has {count} problem{}", if count == 1 { "" } else { "s" }),
            )
            .advice("correct the lines named below and push again; docs/blueprint.md shows all that is taken");
            for problem in problems {
                let path = if problem.path.is_empty() { "the file" } else { &problem.path };
                let detail = format!("{path} {}. {}", problem.what, problem.remedy);
                error = error.field(format!("{}:{}", problem.line, problem.column), detail);
            }
            error
        })?;
        if let Some(wanted) = wanted
            && wanted != model.product
        {
            return Err(AppError::invalid(
                "/name",
                format!(
                    "the request says {wanted}, but the file is the blueprint {}: correct one of them",
                    model.product
                ),
            ));
        }
        Ok(Self { name: model.product.clone(), source, model, note, actor })
    }

    /// Publishes it, unless it equals the newest release.
    ///
    /// # Errors
    /// When the database fails.
    pub fn apply(self, tx: &Tx<'_>) -> Result<Published, AppError> {
        let model = serde_json::to_string(&self.model)?;
        let digest = Sha256Digest::of(model.as_bytes());
        let latest = blueprints::latest(tx, &self.name)?;
        let number = match latest {
            Some(latest) if latest.digest == digest => return Ok(Published::Same(latest)),
            Some(latest) if latest.number >= MAX_RELEASES => {
                return Err(AppError::conflict(
                    "too_many_releases",
                    format!("{} has {MAX_RELEASES} releases", self.name),
                ));
            }
            Some(latest) => latest.number + 1,
            None => 1,
        };
        blueprints::ensure(tx, &self.name, &self.actor)?;
        let release = ReleaseRow {
            id: ReleaseId::from_uuid(Uuid::now_v7()),
            blueprint: self.name,
            number,
            digest,
            notes: self.note,
            created_by: self.actor,
            created_at: tx.now(),
        };
        blueprints::insert_release(tx, &release, &self.source, &model)?;
        audit::append(
            tx,
            &Entry {
                actor: &release.created_by,
                action: "blueprint.publish",
                object_kind: "blueprint",
                object_id: release.blueprint.as_str(),
                detail: json!({ "release": number, "digest": digest.to_string() }),
            },
        )?;
        Ok(Published::New(release))
    }
}
