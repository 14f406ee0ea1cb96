//! What several steps share: the tenant's folder, its files, and what stands in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use freehold_protocol::app_env::AppEnv;
use freehold_protocol::blueprint::{Allocation, Marks};
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Sha256Digest;
use freehold_protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{bug, deploy, journal};
use crate::host::compose::{COMPOSE_FILE, ENV_FILE, Stack};
use crate::host::docker::Container;
use crate::host::files::{Access, FilesError, Folder};
use crate::host::names::ProjectName;
use crate::journal::sagas::SagaId;
use crate::saga::context::Context;

/// The tenant's secrets inside its folder.
pub(super) const SECRETS_FILE: &str = "secrets.json";
/// What the portal has delivered for the tenant's app. Apart from the secrets that were drawn here: it
/// comes anew with each deploy, and is of no use once the tenant was removed.
pub(super) const DELIVERED_FILE: &str = "delivered.json";
/// Says whose folder it is.
pub(super) const MARK_FILE: &str = "freehold.json";
/// From which files which containers were made.
pub(super) const APPLIED_FILE: &str = "applied.json";
/// Names the service inside whose container a hook's command may be at work. Only the engine knows
/// whether it is, once the client that started it is gone.
pub(super) const HOOK_FILE: &str = "hook-in-container";
/// Every file of a tenant's folder.
pub(super) const FILES: [&str; 6] =
    [COMPOSE_FILE, ENV_FILE, SECRETS_FILE, DELIVERED_FILE, MARK_FILE, APPLIED_FILE];

/// From which files which containers were made. A container never changes its configuration, so one
/// with this identifier is still what these files say; anything else is compose's to judge.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Applied {
    /// Digest of `compose.yaml` and `.env`.
    files: Sha256Digest,
    /// The engine's identifiers of the containers.
    containers: BTreeSet<String>,
}

impl Applied {
    /// The files as they are, and the lasting ones of these containers.
    pub(super) fn now(folder: &Folder, containers: &[Container]) -> Result<Self, Failure> {
        let mut text = Zeroizing::new(Vec::new());
        for name in [COMPOSE_FILE, ENV_FILE] {
            let bytes = Zeroizing::new(folder.read(name)?.unwrap_or_default());
            text.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            text.extend_from_slice(&bytes);
        }
        let lasting = containers.iter().filter(|container| !container.one_off);
        Ok(Self {
            files: Sha256Digest::of(&text),
            containers: lasting.map(|container| container.id.to_string()).collect(),
        })
    }

    /// What was applied last; nothing when that is not known for certain.
    pub(super) fn read(folder: &Folder) -> Result<Option<Self>, Failure> {
        let bytes = folder.read(APPLIED_FILE)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) fn write(&self, folder: &Folder) -> Result<(), Failure> {
        let json = serde_json::to_vec(self).map_err(|error| bug(&error.to_string()))?;
        folder.write(APPLIED_FILE, &json, Access::Private)?;
        Ok(())
    }
}

/// What the host has drawn for a tenant.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Drawn {
    /// The blueprint's secrets.
    pub(super) secrets: BTreeMap<String, String>,
    /// The temporary password of the first admin, until it has an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) admin_password: Option<String>,
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.secrets.values_mut().for_each(Zeroize::zeroize);
        self.admin_password.zeroize();
    }
}

/// The end of the names of a saga's copies.
pub(super) fn keep_name(saga: SagaId) -> String {
    format!("before-{saga}")
}

/// The tenant's stack.
pub(super) fn stack(context: &Context<'_>) -> Result<Stack, Failure> {
    Ok(Stack::new(project(context)?, &context.tenant_dir()))
}

/// The tenant's compose project.
pub(super) fn project(context: &Context<'_>) -> Result<ProjectName, Failure> {
    let name = context.plan.project().ok_or_else(|| bug("the job has no project"))?;
    name.parse().map_err(|error: crate::host::names::BadName| bug(&error.to_string()))
}

/// What the host has drawn for the tenant; empty before the first deploy.
pub(super) fn drawn(folder: &Folder) -> Result<Drawn, Failure> {
    let Some(bytes) = folder.read(SECRETS_FILE)? else { return Ok(Drawn::default()) };
    let bytes = Zeroizing::new(bytes);
    // The parser's message could quote a secret.
    serde_json::from_slice(&bytes).map_err(|_| {
        Failure::new(
            FailureClass::Host,
            format!("{} cannot be read", folder.path().join(SECRETS_FILE).display()),
            "restore the file from a backup: the tenant's database has the passwords that were in it",
        )
    })
}

/// What the portal has delivered for the tenant's app; empty when it has delivered nothing.
fn delivered(folder: &Folder) -> Result<AppEnv, Failure> {
    let Some(bytes) = folder.read(DELIVERED_FILE)? else { return Ok(AppEnv::default()) };
    AppEnv::from_json(&Zeroizing::new(bytes)).map_err(|_| {
        Failure::new(
            FailureClass::Host,
            format!("{} cannot be read", folder.path().join(DELIVERED_FILE).display()),
            "delete the file, and deploy the tenant again from the portal",
        )
    })
}

/// Writes down what a job brings for the app, in place of what the one before brought.
pub(super) fn write_delivered(folder: &Folder, env: &AppEnv) -> Result<(), Failure> {
    if env.is_empty() {
        folder.remove(DELIVERED_FILE)?;
    } else {
        folder.write(DELIVERED_FILE, env.to_json().expose().as_bytes(), Access::Private)?;
    }
    Ok(())
}

/// Every secret of the tenant that is on the host: those of now, and those of before the saga, which
/// a step may have put aside.
pub(super) fn all_drawn(directory: &Path, saga: SagaId) -> Vec<Secret> {
    let keep = keep_name(saga);
    let mut found: Vec<Secret> = Vec::new();
    let mut note = |secret: Secret| {
        if !found.contains(&secret) {
            found.push(secret);
        }
    };
    for ending in [String::new(), format!(".{keep}")] {
        // A broken file fails the steps that need it; nothing is known to be cleaned of then.
        let bytes = read_or_warn(directory, &format!("{SECRETS_FILE}{ending}"));
        let drawn = serde_json::from_slice::<Drawn>(&bytes).unwrap_or_default();
        for value in drawn.secrets.values().chain(&drawn.admin_password) {
            note(Secret::new(value.clone()));
        }
        let bytes = read_or_warn(directory, &format!("{DELIVERED_FILE}{ending}"));
        let env = AppEnv::from_json(&bytes).unwrap_or_default();
        for (_, value) in env.values().iter().filter(|(name, _)| name.is_secret()) {
            note(value.clone());
        }
    }
    found
}

/// The bytes of a file of the tenant's; none when it is not there or cannot be read.
fn read_or_warn(directory: &Path, name: &str) -> Zeroizing<Vec<u8>> {
    let read = Folder::open_if_there(directory)
        .and_then(|folder| folder.map_or(Ok(None), |folder| folder.read(name)));
    Zeroizing::new(read.unwrap_or_else(|error| {
        tracing::warn!(%error, "a tenant's secrets cannot be read, so output is not cleaned of them");
        None
    })
    .unwrap_or_default())
}

pub(super) fn write_drawn(folder: &Folder, drawn: &Drawn) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(drawn).map_err(|error| bug(&error.to_string()))?;
    folder.write(SECRETS_FILE, &Zeroizing::new(json), Access::Private)?;
    Ok(())
}

/// Forgets the first admin's temporary password once it is on its way to the portal, sealed.
pub(super) fn forget_password(directory: &Path) -> Result<(), Failure> {
    let Some(folder) = Folder::open_if_there(directory)? else { return Ok(()) };
    let mut drawn = drawn(&folder)?;
    if drawn.admin_password.is_some() {
        drawn.admin_password.zeroize();
        drawn.admin_password = None;
        write_drawn(&folder, &drawn)?;
    }
    Ok(())
}

/// Everything that the blueprint leaves open, for this tenant on this host.
pub(super) fn allocation(context: &Context<'_>, folder: &Folder) -> Result<Allocation, Failure> {
    let deploy = deploy(context)?;
    let drawn = drawn(folder)?;
    let declared = &deploy.blueprint.freehold.secrets;
    let secrets = declared
        .keys()
        .filter_map(|name| {
            let value = drawn.secrets.get(name.as_str())?;
            Some((name.clone(), Secret::new(value.clone())))
        })
        .collect();
    let settings = deploy
        .settings
        .iter()
        .map(|(name, value)| {
            let name = name.parse().map_err(|error: freehold_protocol::ids::ParseIdError| {
                Failure::new(FailureClass::Request, error.to_string(), "correct the setting's name")
            })?;
            Ok((name, value.clone()))
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Allocation {
        tenant: deploy.slug.clone(),
        domain: deploy.domain.clone(),
        ports: context.journal.tenant_ports(deploy.tenant).map_err(journal)?,
        secrets,
        settings,
        delivered: delivered(folder)?,
        marks: Marks {
            portal: context.plan.order.portal,
            tenant: deploy.tenant,
            job: context.plan.mark,
        },
    })
}

/// Writes `compose.yaml` and `.env` from the journal's ports and the drawn secrets.
pub(super) fn write_files(context: &Context<'_>, folder: &Folder) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    let allocation = allocation(context, folder)?;
    let rendered =
        freehold_protocol::blueprint::render(&deploy.blueprint, &allocation).map_err(|error| {
            Failure::new(
                FailureClass::Request,
                error.to_string(),
                "correct the tenant's settings or the blueprint, and deploy again",
            )
        })?;
    folder.write(ENV_FILE, rendered.env.expose().as_bytes(), Access::Private)?;
    folder.write(COMPOSE_FILE, rendered.compose_json.as_bytes(), Access::Private)?;
    Ok(())
}

/// Puts a file back that was there before the saga. Once it is back, doing so again changes nothing.
pub(super) fn restore(folder: &Folder, name: &str, saga: SagaId) -> Result<(), FilesError> {
    let keep = keep_name(saga);
    // `Folder::restore` would remove the file when the copy is gone, that is, after a first restore.
    if folder.read(&format!("{name}.{keep}"))?.is_some() {
        folder.restore(name, &keep)?;
    }
    Ok(())
}

/// Removes the copies that a saga has made.
pub(super) fn discard_copies(directory: &Path, saga: SagaId) -> Result<(), FilesError> {
    let Some(folder) = Folder::open_if_there(directory)? else { return Ok(()) };
    let ending = format!(".{}", keep_name(saga));
    for name in folder.files()?.iter().filter(|name| name.ends_with(&ending)) {
        folder.remove(name)?;
    }
    Ok(())
}
