//! `write-stack`: the tenant's folder with `compose.yaml`, `.env` and the secrets.

use freehold_protocol::failure::{Failure, FailureClass};

use super::stack::{self, FILES, MARK_FILE, keep_name};
use super::{bug, deploy, ended};
use crate::host::files::{Access, Folder, remove_folder};
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, Step, StepOutput};
use crate::saga::{Action, app_env};

/// Characters of a temporary password: 22 of 62 kinds carry 130 bits.
const PASSWORD_CHARACTERS: u16 = 22;

#[derive(Debug)]
pub(super) struct WriteStack;

impl Action for WriteStack {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        let Some(folder) = Folder::open_if_there(&context.tenant_dir())? else {
            return Ok(Before::Files { existed: Vec::new(), folder: false });
        };
        refuse_foreign(context, &folder)?;
        let keep = keep_name(context.saga);
        let mut existed = Vec::new();
        for name in FILES {
            if folder.keep(name, &keep)? {
                existed.push(name.to_owned());
            }
        }
        Ok(Before::Files { existed, folder: true })
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(write(context).map(|()| StepOutput::Nothing))
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        let Before::Files { existed, folder: had_folder } = before else {
            return Err(bug("write-stack has no record of the files"));
        };
        let directory = context.tenant_dir();
        let Some(folder) = Folder::open_if_there(&directory)? else { return Ok(()) };
        if !had_folder {
            // The step may have been cut short before it wrote its mark; before that, it had made
            // nothing but an empty folder.
            refuse_foreign(context, &folder)?;
            return Ok(remove_folder(&directory)?);
        }
        for name in FILES {
            if existed.iter().any(|known| known == name) {
                stack::restore(&folder, name, context.saga)?;
            } else {
                folder.remove(name)?;
            }
        }
        Ok(())
    }
}

fn write(context: &Context<'_>) -> Result<(), Failure> {
    let deploy = deploy(context)?;
    if let Some(parent) = context.config().tenants_dir.parent() {
        Folder::ensure_private(parent)?;
    }
    Folder::ensure_private(&context.config().tenants_dir)?;
    let folder = Folder::ensure_private(&context.tenant_dir())?;
    refuse_foreign(context, &folder)?;
    folder.write(MARK_FILE, mark(context)?.as_bytes(), Access::Private)?;
    // Drawn once and kept: what is in the file already is never drawn again, so a second run and
    // every redeploy use the same values.
    let mut drawn = stack::drawn(&folder)?;
    for (name, spec) in &deploy.blueprint.freehold.secrets {
        if !drawn.secrets.contains_key(name.as_str()) {
            let value = draw(*spec)?;
            drawn.secrets.insert(name.to_string(), value);
        }
    }
    let onboards = context.plan.steps.contains(&Step::Onboard);
    if onboards && drawn.admin_password.is_none() {
        let spec = freehold_protocol::blueprint::model::SecretSpec {
            length: PASSWORD_CHARACTERS,
            ..Default::default()
        };
        drawn.admin_password = Some(draw(spec)?);
    } else if !onboards {
        drawn.admin_password = None;
    }
    stack::write_drawn(&folder, &drawn)?;
    let env = app_env::open(context.host, &context.plan.order)?;
    stack::write_delivered(&folder, &env)?;
    stack::write_files(context, &folder)
}

fn draw(spec: freehold_protocol::blueprint::model::SecretSpec) -> Result<String, Failure> {
    let mut failed = false;
    let value = spec.draw(|| {
        let mut byte = [0_u8; 1];
        failed |= getrandom::fill(&mut byte).is_err();
        byte[0]
    });
    match value {
        Some(value) if !failed => Ok(value.expose().to_owned()),
        _ => Err(Failure::new(
            FailureClass::Host,
            "the host's random number generator does not work",
            "check the kernel's log with `dmesg`, then queue the job again",
        )),
    }
}

fn mark(context: &Context<'_>) -> Result<String, Failure> {
    let deploy = deploy(context)?;
    Ok(serde_json::json!({
        "tenant": deploy.tenant.to_string(),
        "portal": context.plan.order.portal.to_string(),
        "job": context.plan.mark.to_string(),
    })
    .to_string())
}

/// Refuses a folder that is another tenant's or somebody else's.
fn refuse_foreign(context: &Context<'_>, folder: &Folder) -> Result<(), Failure> {
    let refused = || {
        Failure::new(
            FailureClass::Request,
            format!("the folder {} belongs to something else", folder.path().display()),
            "look at it, move it away, and queue the job again; or choose another short name",
        )
    };
    match folder.read(MARK_FILE)? {
        Some(text) => {
            let found: serde_json::Value = serde_json::from_slice(&text).map_err(|_| refused())?;
            let ours = found.get("tenant").and_then(|tenant| tenant.as_str())
                == Some(&*deploy(context)?.tenant.to_string());
            if ours { Ok(()) } else { Err(refused()) }
        }
        // Temporary files of an interrupted write start with a dot.
        None if folder.files()?.iter().all(|name| name.starts_with('.') && name != ".env") => {
            Ok(())
        }
        None => Err(refused()),
    }
}
