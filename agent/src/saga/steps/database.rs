//! `database-ready`: the database answers a client, not only its port.

use std::time::Duration;

use freehold_protocol::failure::{Failure, FailureClass};

use super::{decided, deploy, stack};
use crate::host::{compose, docker};
use crate::runner::Stdin;
use crate::saga::Action;
use crate::saga::context::Context;
use crate::saga::step::{Before, RunEnd, StepOutput};

/// Longest time of one question.
const ASK: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct DatabaseReady;

impl Action for DatabaseReady {
    fn look(&self, _context: &Context<'_>) -> Result<Before, Failure> {
        Ok(Before::Nothing)
    }

    fn run(&self, context: &Context<'_>) -> RunEnd {
        decided(wait(context).map(|()| StepOutput::Nothing))
    }

    fn undo(&self, _context: &Context<'_>, _before: &Before) -> Result<(), Failure> {
        Ok(())
    }

    fn deadline(&self, context: &Context<'_>) -> Duration {
        context.config().waits.database + ASK * 2
    }
}

fn wait(context: &Context<'_>) -> Result<(), Failure> {
    let Some(database) = &deploy(context)?.blueprint.freehold.database else { return Ok(()) };
    let stack = stack::stack(context)?;
    let service = &database.service;
    let words: Vec<String> = match &database.ready_command {
        Some(words) => words.iter().map(ToString::to_string).collect(),
        None => vec![
            "pg_isready".to_owned(),
            "--quiet".to_owned(),
            format!("--username={}", database.user),
            format!("--dbname={}", database.database),
        ],
    };
    let waits = context.config().waits;
    let mut looks = context.looks(waits.database);
    let last = loop {
        let asked = context.with_commands(|commands| {
            compose::run_in_running(commands, &stack, service, &words, Stdin::Null, ASK)
        });
        match asked {
            Ok(_) => return Ok(()),
            Err(error) if !looks.again(context) => break error,
            Err(_) => {}
        }
    };
    // A database does not answer through an engine that is away, which is not the release's fault.
    context.with_commands(docker::versions)?;
    let detail = Failure::from(last).detail;
    Err(Failure::new(
        FailureClass::App,
        format!("the database {} does not answer within {} s", database.service, waits.database.as_secs()),
        format!(
            "read its log with `docker compose --project-name={} logs {}`, mend the release, and deploy again",
            stack.project, database.service
        ),
    )
    .with_detail(detail))
}
