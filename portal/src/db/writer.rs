//! The one thread that writes: group commit.
//!
//! Whatever waits in the channel is run in one transaction, a savepoint each, committed once (one
//! fsync) and only then answered. A closure that fails is rolled back to its savepoint and leaves
//! its neighbours alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use rusqlite::Connection;

use super::{Commits, Fatal, STORAGE_FAILED, Tx, WakeHook, seen::SeenBook, storage_failed};
use crate::{clock::Clock, error::AppError};

/// How many writes may wait. Beyond it the callers themselves wait, which slows the connections
/// down instead of filling memory.
const QUEUE: usize = 1024;
/// How many writes share one commit.
const BATCH: usize = 256;

/// A write that has been run and waits for its commit.
pub(super) struct Ran {
    /// Whether its changes are kept.
    keep: bool,
    /// Whether the file or the disk failed while it ran.
    storage_failed: bool,
    /// Gives the caller its answer: the argument says whether the commit held.
    answer: Box<dyn FnOnce(bool) + Send>,
}

/// A write that waits to be run.
pub(super) enum Task {
    /// Run this.
    Run(Box<dyn FnOnce(&Tx<'_>) -> Ran + Send>),
    /// Finish what waits before this, fold the log into the database file, and end.
    Stop(SyncSender<()>),
}

/// Wraps a closure and the way back for its result.
pub(super) fn task<T: Send + 'static>(
    write: impl FnOnce(&Tx<'_>) -> Result<T, AppError> + Send + 'static,
) -> (Task, Receiver<Result<T, AppError>>) {
    let (sender, receiver) = sync_channel(1);
    let run = move |tx: &Tx<'_>| {
        let result = catch_unwind(AssertUnwindSafe(|| write(tx)))
            .unwrap_or_else(|_| Err(AppError::bug("a database write panicked")));
        Ran {
            keep: result.is_ok(),
            storage_failed: result.as_ref().is_err_and(|error| error.code == STORAGE_FAILED),
            answer: Box::new(move |committed| {
                let result = match result {
                    Ok(_) if !committed => Err(storage_failed()),
                    other => other,
                };
                // The caller may have gone away (its connection's thread ended); the write stands.
                drop(sender.send(result));
            }),
        }
    };
    (Task::Run(Box::new(run)), receiver)
}

/// What the writer shares with the rest of the database.
pub(super) struct Desk {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) fatal: Arc<Fatal>,
    pub(super) commits: Arc<Commits>,
    pub(super) wake: WakeHook,
    pub(super) seen: Arc<SeenBook>,
}

/// Starts the writer; `nice` is how much its thread steps back for others.
pub(super) fn start(
    connection: Connection,
    desk: Desk,
    nice: i32,
) -> std::io::Result<SyncSender<Task>> {
    let (sender, receiver) = sync_channel(QUEUE);
    thread::Builder::new().name("db-writer".into()).spawn(move || {
        if nice > 0
            && let Err(error) = rustix::process::nice(nice)
        {
            tracing::debug!(%error, "a database thread could not step back for others");
        }
        run(&connection, &receiver, &desk);
    })?;
    Ok(sender)
}

fn run(connection: &Connection, tasks: &Receiver<Task>, desk: &Desk) {
    while let Ok(first) = tasks.recv() {
        let mut stop = None;
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(task) = next {
            match task {
                Task::Run(write) => batch.push(write),
                Task::Stop(done) => {
                    stop = Some(done);
                    break;
                }
            }
            next = if batch.len() < BATCH { tasks.try_recv().ok() } else { None };
        }
        if !batch.is_empty() {
            commit_all(connection, batch, desk);
        }
        if let Some(done) = stop {
            if desk.fatal.get().is_none()
                && let Err(error) =
                    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            {
                tracing::warn!(%error, "the write-ahead log was not folded in; the next start does it");
            }
            if done.send(()).is_err() {
                tracing::debug!("nobody waited for the end of the database thread");
            }
            return;
        }
    }
}

type Write = Box<dyn FnOnce(&Tx<'_>) -> Ran + Send>;

fn commit_all(connection: &Connection, batch: Vec<Write>, desk: &Desk) {
    let fatal = &desk.fatal;
    // After a storage failure nothing is acknowledged any more: what the disk holds is unknown.
    let usable = fatal.get().is_none() && check(run_cached(connection, "BEGIN IMMEDIATE"), fatal);
    let now = desk.clock.now();
    let mut answers = Vec::with_capacity(batch.len());
    let mut wakes = Vec::new();
    let mut good = usable;
    for write in batch {
        let tx = Tx::new(connection, now, &desk.seen);
        if !good {
            answers.push(run_detached(write));
            continue;
        }
        if !check(run_cached(connection, "SAVEPOINT task"), fatal) {
            good = false;
            answers.push(run_detached(write));
            continue;
        }
        let ran = write(&tx);
        // SQLite ends the whole transaction by itself on some of these failures, on others only
        // the statement: neither says what the disk holds now.
        if ran.storage_failed || connection.is_autocommit() {
            fatal.set("a statement failed in the file system (disk full or I/O error)".into());
            good = false;
        } else if ran.keep {
            good = check(run_cached(connection, "RELEASE task"), fatal);
            wakes.append(&mut tx.take_wakes());
        } else {
            good = check(connection.execute_batch("ROLLBACK TO task; RELEASE task"), fatal);
        }
        answers.push(ran.answer);
    }
    let began = Instant::now();
    let committed = good && check(run_cached(connection, "COMMIT"), fatal);
    if committed {
        desk.commits.note(began.elapsed());
    }
    if !committed
        && !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "the failed transaction was not rolled back");
    }
    // Parked agents first: who asked only learns that it is done, they have yet to begin.
    if committed && let Some(hook) = desk.wake.get() {
        for agent in wakes {
            hook(agent);
        }
    }
    for answer in answers {
        answer(committed);
    }
}

/// Runs a statement that stands around every write; parsed once.
fn run_cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Answers a write that is not run at all.
fn run_detached(write: Write) -> Box<dyn FnOnce(bool) + Send> {
    // Dropping the closure drops its sender, which the caller reads as a storage failure.
    Box::new(move |_| drop(write))
}

/// Notes a failure of the transaction itself. All of them are fatal: BEGIN, SAVEPOINT and COMMIT
/// fail only when the file or the disk is gone, full or locked by somebody who must not be there.
fn check(result: rusqlite::Result<()>, fatal: &Fatal) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            fatal.set(error.to_string());
            false
        }
    }
}
