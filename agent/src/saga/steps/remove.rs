//! The steps of a removal that concern the stack: `check-removal`, `stop-stack`, `remove-files`,
//! `delete-volumes`.

use std::collections::BTreeSet;
use std::time::Duration;

use freehold_protocol::failure::Failure;
use freehold_protocol::job::{DataOnRemove, Work};

use super::stack::{self, FILES, MARK_FILE, SECRETS_FILE, keep_name};
use super::{bug, ended, start};
use crate::host::compose;
use crate::host::docker::{self, Volumes};
use crate::host::files::{Folder, remove_folder};
use crate::host::nginx;
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

fn data(context: &Context<'_>) -> Result<DataOnRemove, Failure> {
    match &context.plan.order.work {
        Work::RemoveTenant(removal) => Ok(removal.data),
        _ => Err(bug("a removal's step is part of another job")),
    }
}

#[derive(Debug)]
pub(super) struct CheckRemoval;

impl Action for CheckRemoval {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        // What the removal needs must answer before anything is taken away.
        let run = context.with_commands(|commands| -> Result<StepOutput, Failure> {
            docker::versions(commands)?;
            nginx::test(commands, &context.config().nginx)?;
            Ok(StepOutput::Nothing)
        });
        ended(run)
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct StopStack;

impl Action for StopStack {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        start::look_at_project(context)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let run = context.with_commands(|commands| start::remove_containers(context, commands));
        ended(run.map(|()| StepOutput::Nothing))
    }

    fn undo(&self, context: &Context<'_>, before: &Before) -> Result<(), Failure> {
        let Before::Project { ran, .. } = before else {
            return Err(bug("stop-stack has no record of the project"));
        };
        if !ran {
            return Ok(());
        }
        let stack = stack::stack(context)?;
        context.with_commands(|commands| {
            compose::up(commands, &stack, &BTreeSet::new(), context.config().waits.start)
        })?;
        Ok(())
    }

    fn deadline(&self, _context: &Context<'_>) -> Duration {
        Duration::from_secs(600)
    }
}

#[derive(Debug)]
pub(super) struct RemoveFiles;

impl Action for RemoveFiles {
    fn look(&self, context: &Context<'_>) -> Result<Before, Failure> {
        let Some(folder) = Folder::open_if_there(&context.tenant_dir())? else {
            return Ok(Before::Files { existed: Vec::new(), folder: false });
        };
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
        ended(remove_files(context))
    }

    fn undo(&self, context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        let Some(folder) = Folder::open_if_there(&context.tenant_dir())? else { return Ok(()) };
        for name in FILES {
            stack::restore(&folder, name, context.saga)?;
        }
        Ok(())
    }
}

fn remove_files(context: &Context<'_>) -> Result<StepOutput, Failure> {
    let data = data(context)?;
    if let Some(folder) = Folder::open_if_there(&context.tenant_dir())? {
        for name in FILES {
            // The kept data cannot be opened without the passwords that were drawn for it.
            let stays = data == DataOnRemove::Keep && [SECRETS_FILE, MARK_FILE].contains(&name);
            if !stays {
                folder.remove(name)?;
            }
        }
    }
    if data == DataOnRemove::Delete {
        return Ok(StepOutput::Nothing);
    }
    let project = stack::project(context)?;
    let volumes = context.with_commands(|commands| docker::volumes(commands, &project))?;
    Ok(StepOutput::Kept { volumes: volumes.iter().map(ToString::to_string).collect() })
}

#[derive(Debug)]
pub(super) struct DeleteVolumes;

impl Action for DeleteVolumes {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        ended(delete_volumes(context))
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Err(bug("deleted volumes cannot be brought back"))
    }
}

fn delete_volumes(context: &Context<'_>) -> Result<StepOutput, Failure> {
    let project = stack::project(context)?;
    let tenant = context.plan.order.work.tenant().ok_or_else(|| bug("the job has no tenant"))?;
    let removal = context.with_commands(|commands| {
        docker::remove_marked(commands, &project, tenant, Volumes::Remove)
    })?;
    // With the copies of the secrets in it.
    remove_folder(&context.tenant_dir())?;
    Ok(StepOutput::Deleted { volumes: removal.volumes })
}
