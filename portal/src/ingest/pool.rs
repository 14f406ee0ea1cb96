//! Threads that unpack and read batches, with a lower priority than all others: while every processor
//! is busy with a flood of logs, a question about a license is still answered first.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use crate::{
    db::lock,
    error::{AppError, Kind},
};

/// Batches that may wait for a thread; more get 503 with `Retry-After`.
const QUEUE: usize = 256;
/// How much the threads step back (`nice`).
const NICE: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// The threads. They end with the last sender.
#[derive(Debug)]
pub(super) struct Pool {
    queue: SyncSender<Work>,
}

/// Too much is in hand.
pub(super) fn busy() -> AppError {
    AppError::new(
        Kind::Unavailable { retry_after_secs: 2 },
        "ingest_busy",
        "the portal is busy with other batches",
    )
    .advice("keep the batch and send it again after Retry-After, with the same batch id")
}

impl Pool {
    /// Starts half as many threads as there are processors.
    pub(super) fn start() -> std::io::Result<Self> {
        let (queue, work) = sync_channel(QUEUE);
        let work = Arc::new(Mutex::new(work));
        let threads = thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2));
        for _ in 0..threads {
            let work = Arc::clone(&work);
            thread::Builder::new().name("ingest".into()).spawn(move || run(&work))?;
        }
        Ok(Self { queue })
    }

    /// Does work and waits for it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let (answer, answered) = sync_channel(1);
        let boxed: Work = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(AppError::bug("reading a batch panicked")));
            // Its connection may have gone away.
            drop(answer.send(result));
        });
        self.queue.try_send(boxed).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => busy(),
        })?;
        answered.recv().unwrap_or_else(|_| Err(busy()))
    }
}

fn run(work: &Mutex<Receiver<Work>>) {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a thread for batches could not step back for others");
    }
    loop {
        let next = lock(work).recv();
        match next {
            Ok(work) => work(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_panics_hurts_nobody_else() {
        let pool = Pool::start().unwrap();
        let failed: Result<(), _> = pool.run(|| panic!("a defect"));
        assert_eq!(failed.unwrap_err().kind, Kind::Internal);
        assert_eq!(pool.run(|| Ok(7)).unwrap(), 7);
    }

    #[test]
    fn more_than_the_queue_holds_is_told_to_come_back() {
        let pool = Arc::new(Pool::start().unwrap());
        let (hold, held) = sync_channel::<()>(0);
        let held = Arc::new(Mutex::new(held));
        let waiting: Vec<_> = (0..QUEUE + 64)
            .map(|_| {
                let (pool, held) = (Arc::clone(&pool), Arc::clone(&held));
                thread::spawn(move || {
                    pool.run(move || lock(&held).recv().map_err(|_| AppError::bug("gone")))
                })
            })
            .collect();
        let refused = loop {
            if let Err(error) = pool.queue.try_send(Box::new(|| {})) {
                break error;
            }
        };
        assert!(matches!(refused, TrySendError::Full(_)));
        drop(hold);
        for thread in waiting {
            drop(thread.join().unwrap());
        }
    }
}
