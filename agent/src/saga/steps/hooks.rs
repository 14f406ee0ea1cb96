//! `migrate` and `onboard`: the product's own commands.

use std::collections::BTreeSet;
use std::time::Duration;

use freehold_protocol::blueprint::model::{Hook, HookMode};
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::seal::{SealContext, seal};
use freehold_protocol::secret::Secret;

use super::stack::{self, HOOK_FILE};
use super::{bug, decided, deploy};
use crate::host::compose::{self, ComposeError};
use crate::host::docker;
use crate::host::files::{Access, Folder};
use crate::runner::{CommandError, Stdin};
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

/// Time beyond the hook's own limit, for the engine to make and remove a container.
const SLACK: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Migrate;

impl Action for Migrate {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        let run = || -> Result<StepOutput, Failure> {
            if is_migrated(context)? {
                (context.say)("this release runs already, and has migrated its database");
            } else if let Some(hook) = &deploy(context)?.blueprint.freehold.hooks.migrate {
                run_hook(context, "migrate", hook, Stdin::Null, &[])?;
            }
            Ok(StepOutput::Nothing)
        };
        decided(run())
    }

    /// A changed schema goes with the volumes of a first deploy. After a redeploy it stays: only the
    /// product knows the way back, and its previous release must cope with it.
    fn undo(&self, context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        end_for_good(context, deploy(context)?.blueprint.freehold.hooks.migrate.as_ref())
    }

    fn deadline(&self, context: &Context<'_>) -> Duration {
        let hooks = context.plan.blueprint().map(|blueprint| &blueprint.freehold.hooks);
        limit(context, hooks.and_then(|hooks| hooks.migrate.as_ref()))
    }
}

#[derive(Debug)]
pub(super) struct Onboard;

impl Action for Onboard {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        decided(onboard(context))
    }

    /// The account goes with the volumes of a first deploy; after a redeploy it stays, unused.
    fn undo(&self, context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        end_for_good(context, deploy(context)?.blueprint.freehold.hooks.onboard.as_ref())
    }

    fn deadline(&self, context: &Context<'_>) -> Duration {
        let hooks = context.plan.blueprint().map(|blueprint| &blueprint.freehold.hooks);
        limit(context, hooks.and_then(|hooks| hooks.onboard.as_ref()))
    }
}

/// Whether this very release was deployed before, and what it left running was not touched since.
fn is_migrated(context: &Context<'_>) -> Result<bool, Failure> {
    let deploy = deploy(context)?;
    let untouched = context
        .outputs
        .iter()
        .any(|output| matches!(output, StepOutput::Running { untouched: true }));
    Ok(untouched
        && context.plan.running_before().is_some_and(|previous| {
            previous.release == deploy.release && previous.blueprint == deploy.blueprint
        }))
}

fn onboard(context: &Context<'_>) -> Result<StepOutput, Failure> {
    let deploy = deploy(context)?;
    let (Some(hook), Some(admin)) = (&deploy.blueprint.freehold.hooks.onboard, &deploy.admin)
    else {
        return Ok(StepOutput::Nothing);
    };
    let order = &context.plan.order;
    let Some(seal_to) = &order.seal_to else {
        return Err(Failure::new(
            FailureClass::Refused,
            "the portal has no sealing key, so the first admin's password could not be sent",
            "enroll the host again: its trust document names no sealing key",
        ));
    };
    let drawn = stack::drawn(&Folder::open(&context.tenant_dir())?)?;
    let password = drawn
        .admin_password
        .clone()
        .map(Secret::new)
        .ok_or_else(|| bug("no password was drawn for the first admin"))?;
    // Sealed before the account exists: a password that cannot be told to anybody is of no use.
    let seal_context = SealContext::TenantPassword {
        portal: order.portal,
        agent: order.agent,
        tenant: deploy.tenant,
        job: order.job,
    };
    let sealed = seal(seal_to, &seal_context, &password)
        .map_err(|error| bug(&format!("the first admin's password was not sealed: {error}")))?;
    let input = serde_json::json!({
        "email": admin.email.as_str(),
        "name": admin.name,
        "password": password.expose(),
    });
    let input = Stdin::Secret(Secret::new(input.to_string()));
    run_hook(context, "onboard", hook, input, std::slice::from_ref(&password))?;
    Ok(StepOutput::Onboarded { sealed_password: Some(sealed) })
}

fn limit(context: &Context<'_>, hook: Option<&Hook>) -> Duration {
    let Some(hook) = hook else { return SLACK };
    let own = Duration::from_secs(hook.timeout_seconds.into()) + SLACK;
    match hook.mode {
        HookMode::Run => own,
        // The container may have to be restarted first.
        HookMode::Exec => own + context.config().waits.start,
    }
}

/// Ends what an earlier run of a hook left behind. A container, and a command inside one, outlive the
/// client that started them: those of before a stop or a timeout may still be at work, and two
/// migrations at the same time are nothing that a product expects.
///
/// The answer is whether a container of the stack was restarted.
fn end_left_over(context: &Context<'_>, hook: &Hook) -> Result<bool, Failure> {
    let (project, tenant) = (stack::project(context)?, deploy(context)?.tenant);
    match hook.mode {
        HookMode::Run => {
            context.with_commands(|commands| {
                docker::remove_one_offs(commands, &project, tenant, hook.service.as_str())
            })?;
            Ok(false)
        }
        HookMode::Exec => {
            let Some(folder) = Folder::open_if_there(&context.tenant_dir())? else {
                return Ok(false);
            };
            let Some(service) = folder.read(HOOK_FILE)? else { return Ok(false) };
            let service = String::from_utf8_lossy(&service).into_owned();
            // The command shares the container's processes with the product, and nothing in an image
            // can be counted on to find and end just the one.
            (context.say)(&format!(
                "restarting {service}: an earlier run of the hook may still be at work in its container"
            ));
            context.with_commands(|commands| {
                docker::restart_service(commands, &project, tenant, &service)
            })?;
            folder.remove(HOOK_FILE)?;
            Ok(true)
        }
    }
}

/// The same before the release is undone. Containers that are about to be removed take with them
/// what runs inside; those of a tenant that goes on running need not even be changed by the undo.
fn end_for_good(context: &Context<'_>, hook: Option<&Hook>) -> Result<(), Failure> {
    let Some(hook) = hook else { return Ok(()) };
    if hook.mode == HookMode::Run || context.plan.running_before().is_some() {
        return end_left_over(context, hook).map(|_| ());
    }
    if let Some(folder) = Folder::open_if_there(&context.tenant_dir())? {
        folder.remove(HOOK_FILE)?;
    }
    Ok(())
}

fn run_hook(
    context: &Context<'_>,
    name: &str,
    hook: &Hook,
    input: Stdin,
    secrets: &[Secret],
) -> Result<(), Failure> {
    let restarted = end_left_over(context, hook)?;
    let stack = stack::stack(context)?;
    let folder = Folder::open(&stack.directory)?;
    if restarted {
        let wait = context.config().waits.start;
        context.with_commands(|commands| compose::up(commands, &stack, &BTreeSet::new(), wait))?;
    }
    if hook.mode == HookMode::Exec {
        folder.write(HOOK_FILE, hook.service.as_str().as_bytes(), Access::Private)?;
    }
    let service = &hook.service;
    let words: Vec<String> = hook.command.iter().map(ToString::to_string).collect();
    let deadline = Duration::from_secs(hook.timeout_seconds.into());
    let run = context.with_commands_and(secrets, |commands| match hook.mode {
        HookMode::Run => compose::run_in_new(commands, &stack, service, &words, input, deadline),
        HookMode::Exec => {
            compose::run_in_running(commands, &stack, service, &words, input, deadline)
        }
    });
    match run {
        Ok(_) => {
            folder.remove(HOOK_FILE)?;
            Ok(())
        }
        Err(ComposeError::Hook { source, .. }) => {
            let how = match &source {
                CommandError::TimedOut { .. } => {
                    format!("did not end within {} s", deadline.as_secs())
                }
                error => error
                    .code()
                    .map_or_else(|| "did not run".to_owned(), |code| format!("exited with {code}")),
            };
            Err(source.failure(
                FailureClass::App,
                &format!("the {name} hook of {service} {how}"),
                "read its output in the detail, mend the release, and deploy again",
            ))
        }
        Err(error) => Err(error.into()),
    }
}
