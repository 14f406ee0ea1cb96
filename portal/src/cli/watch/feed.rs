//! The thread that asks the portal what is new, and keeps asking while it is away.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use freehold_protocol::ids::JobId;

use crate::{
    api::{
        jobs::{JobEvents, JobView},
        paths,
    },
    cli::{
        error::CliError,
        remote::{CallError, Client},
    },
};

/// How long the portal may hold a question; its own limit is 30 s.
const WAIT: Duration = Duration::from_secs(25);
/// First pause after a failed call.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After this time without an answer we give up: a script should not hang for ever.
const GIVE_UP: Duration = Duration::from_secs(15 * 60);
/// Answers that wait for the display.
const BACKLOG: usize = 16;
/// Shortest time between two questions, against a portal that never waits.
const PACE: Duration = Duration::from_millis(100);

/// What the display hears.
#[derive(Debug)]
pub(super) enum News {
    /// An answer, with or without new events.
    Events(Box<JobEvents>),
    /// The portal does not answer.
    Away {
        /// What happened, in a few words.
        why: String,
        /// When the next try is.
        pause: Duration,
    },
    /// It answers again.
    Back,
    /// The job has come to rest; nothing follows.
    Rested(Box<JobView>),
    /// It cannot go on; nothing follows.
    GaveUp(CliError),
}

/// Starts asking. The thread ends with its last news, or when nobody listens.
pub(super) fn start(client: Client, id: JobId) -> Receiver<News> {
    let (sender, receiver) = sync_channel(BACKLOG);
    thread::spawn(move || {
        let last = match follow(&client, id, &sender) {
            Ok(Some(job)) => News::Rested(job),
            Ok(None) => return,
            Err(error) => News::GaveUp(error.into()),
        };
        if sender.send(last).is_err() {
            // Ctrl-C: nobody listens any more.
        }
    });
    receiver
}

/// Asks until the job rests; none when nobody listens.
fn follow(
    client: &Client,
    id: JobId,
    news: &SyncSender<News>,
) -> Result<Option<Box<JobView>>, CallError> {
    let path = paths::job_events(id);
    let mut after: Option<String> = None;
    loop {
        let asked = Instant::now();
        let mut query = vec![("waitSeconds", WAIT.as_secs().to_string())];
        if let Some(after) = &after {
            query.push(("after", after.clone()));
        }
        let answer: Option<JobEvents> = persist(news, || client.get_once(&path, &query, WAIT))?;
        let Some(answer) = answer else { return Ok(None) };
        after = Some(answer.next.clone());
        let (is_over, more) = (answer.rested && !answer.more, answer.more);
        if news.send(News::Events(Box::new(answer))).is_err() {
            return Ok(None);
        }
        if is_over {
            let job: Option<JobView> =
                persist(news, || client.get_once(&paths::job(id), &Vec::new(), Duration::ZERO))?;
            match job {
                None => return Ok(None),
                Some(job) if job.rested => return Ok(Some(Box::new(job))),
                // It was queued again in this very moment.
                Some(_) => {}
            }
        }
        if !more {
            thread::sleep(PACE.saturating_sub(asked.elapsed()));
        }
    }
}

/// Calls until there is an answer, telling about each failed try; none when nobody listens.
fn persist<T>(
    news: &SyncSender<News>,
    mut call: impl FnMut() -> Result<T, CallError>,
) -> Result<Option<T>, CallError> {
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut was_away = false;
    loop {
        let error = match call() {
            Ok(answer) => {
                if was_away && news.send(News::Back).is_err() {
                    return Ok(None);
                }
                return Ok(Some(answer));
            }
            Err(error) => error,
        };
        if !error.may_pass() || since.elapsed() > GIVE_UP {
            return Err(error);
        }
        let wanted = error.retry_after().unwrap_or(pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let away = News::Away { why: error.to_string(), pause: wanted };
        if news.send(away).is_err() {
            return Ok(None);
        }
        was_away = true;
        thread::sleep(jittered(wanted));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Up to a fifth more, so that many watchers do not come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    if getrandom::fill(&mut random).is_err() {
        return pause;
    }
    pause + pause / 5 * u32::from(random[0]) / 255
}
