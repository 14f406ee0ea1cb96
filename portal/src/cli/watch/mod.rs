//! `--watch`: following a job until it ends, over restarts of the portal.
//!
//! A thread asks for events by long polls; this one draws what it hears, so that the display goes on
//! and Ctrl-C works at once while a poll waits.

mod ending;
mod feed;
mod live;
mod plain;
mod progress;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use freehold_protocol::ids::JobId;

use self::{feed::News, live::Screen, progress::Progress};
use super::{context::Ctx, error::CliError, remote::Client};
use crate::{
    api::jobs::{JobEvents, JobView},
    exit::Exit,
};

/// How often the display is drawn anew.
const FRAME: Duration = Duration::from_millis(120);

/// Whether to follow the job that a command queues.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WatchArgs {
    /// Follow the job until it ends; the exit code tells how
    #[arg(long)]
    pub(crate) watch: bool,
}

/// After a command has queued a job: follows it, or says how to.
///
/// # Errors
/// When the output cannot be written, or the portal is away for long.
pub(crate) fn queued(
    args: &WatchArgs,
    client: Client,
    job: &JobView,
    ctx: &mut Ctx,
) -> Result<Exit, CliError> {
    if args.watch {
        return follow(client, job.id, ctx);
    }
    ctx.show(job, |job| {
        format!(
            "Queued {} {} for {}; `freehold job watch {}` follows it\n",
            job.kind, job.id, job.host, job.id
        )
    })?;
    Ok(Exit::Ok)
}

/// Follows a job until it ends.
///
/// # Errors
/// When the job does not exist, the output cannot be written, or the portal is away for long.
pub(crate) fn follow(client: Client, id: JobId, ctx: &mut Ctx) -> Result<Exit, CliError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let handler =
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted))
            .map_err(|error| {
                CliError::new(Exit::Failed, "Ctrl-C cannot be caught").because(&error)
            })?;
    let news = feed::start(client, id);
    let mut display = Display::new(id, ctx);
    let result = display.run(&news, &interrupted, ctx);
    // From here on Ctrl-C ends the program as ever.
    signal_hook::low_level::unregister(handler);
    let cleared = display.screen.clear(ctx);
    match result? {
        Some(job) => {
            cleared?;
            ending::print(&job, &display.progress, ctx)
        }
        None => {
            ctx.note(format_args!(
                "The job goes on. `freehold job watch {id}` follows it again, `freehold job cancel {id}` cancels it."
            ));
            Ok(Exit::Interrupted)
        }
    }
}

struct Display {
    id: JobId,
    progress: Progress,
    screen: Screen,
    is_live: bool,
}

impl Display {
    fn new(id: JobId, ctx: &Ctx) -> Self {
        let is_live = ctx.terminal.size().is_some() && !ctx.json;
        Self { id, progress: Progress::default(), screen: Screen::default(), is_live }
    }

    /// Draws until the job rests (the job) or the person presses Ctrl-C (none).
    fn run(
        &mut self,
        news: &Receiver<News>,
        interrupted: &AtomicBool,
        ctx: &mut Ctx,
    ) -> Result<Option<JobView>, CliError> {
        loop {
            if interrupted.load(Ordering::SeqCst) {
                return Ok(None);
            }
            match news.recv_timeout(FRAME) {
                Ok(News::Events(answer)) => self.events(&answer, ctx)?,
                Ok(News::Away { why, pause }) => {
                    let secs = pause.as_secs().max(1);
                    self.say(format!("{why}; trying again in {secs} s, the job goes on"), ctx)?;
                }
                Ok(News::Back) => self.say("the portal is back".to_owned(), ctx)?,
                Ok(News::Rested(job)) => return Ok(Some(*job)),
                Ok(News::GaveUp(error)) => {
                    let id = self.id;
                    return Err(error.hint(format!(
                        "the job goes on without us; `freehold job watch {id}` follows it again"
                    )));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(CliError::new(
                        Exit::Failed,
                        "following the job ended unexpectedly",
                    )
                    .hint("this is a defect of Freehold: please report it"));
                }
            }
            self.draw(ctx)?;
        }
    }

    fn events(&mut self, answer: &JobEvents, ctx: &mut Ctx) -> Result<(), CliError> {
        let state_before = self.progress.state.clone();
        for event in &answer.events {
            if ctx.json {
                ctx.document_line(&serde_json::json!({ "event": event }))?;
            } else if !self.is_live {
                ctx.line(plain::line(event))?;
            }
        }
        self.progress.take(answer);
        if !self.is_live && !ctx.json && state_before != self.progress.state && !answer.rested {
            ctx.line(plain::state_line(&self.progress))?;
        }
        Ok(())
    }

    /// Something about the connection: a line of its own in a pipe, a part of the display else.
    fn say(&mut self, note: String, ctx: &mut Ctx) -> Result<(), CliError> {
        if self.is_live {
            self.progress.note = note;
            return self.draw(ctx);
        }
        ctx.note(note);
        Ok(())
    }

    fn draw(&mut self, ctx: &mut Ctx) -> Result<(), CliError> {
        match ctx.terminal.size() {
            Some(size) if self.is_live => self.screen.draw(self.id, &self.progress, size, ctx),
            _ => Ok(()),
        }
    }
}
