//! Ends the agent between two records of its journal: a test that waited for events would come too
//! late for a step of a few milliseconds, and would not know where it had struck.

use super::{Half, Held, World};
use freehold_agent::saga::state::Record;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, config::DbConfig};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest that a job may take which is cut off everywhere.
const LIMIT: Duration = Duration::from_secs(900);
/// Between two looks at the journal; the shortest step takes some milliseconds.
const PAUSE: Duration = Duration::from_micros(300);

/// A place in a job's journal: this record is the last one. Steps are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// A step has been begun.
    Started(usize),
    /// A step is done, and the next one is not begun.
    Done(usize),
    /// The job has turned back, and nothing is undone.
    TurnedBack,
    /// A step is undone, and the undo of the one before it is not.
    Undone(usize),
}

impl Edge {
    /// Both edges of every step of a job that goes forward.
    pub fn forward(steps: usize) -> BTreeSet<Self> {
        (0..steps).flat_map(|step| [Self::Started(step), Self::Done(step)]).collect()
    }

    /// Every edge of a job that turns back in its last step.
    pub fn back(steps: usize) -> BTreeSet<Self> {
        (0..steps).map(Self::Undone).chain([Self::TurnedBack]).collect()
    }

    fn of(record: &Record) -> Option<Self> {
        match record {
            Record::Started { step, .. } => Some(Self::Started(*step)),
            Record::Done { step, .. } => Some(Self::Done(*step)),
            Record::TurnedBack { .. } => Some(Self::TurnedBack),
            Record::Undone { step } => Some(Self::Undone(*step)),
            _ => None,
        }
    }
}

/// What is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The executor; it is started again a moment later.
    Executor,
    /// Both halves and the process that watches over them.
    All,
}

/// A job that was cut off.
struct Wound {
    edge: Edge,
    /// The number of the last record before the cut.
    seen: i64,
    /// The last record of what is on disk: the one of before, or one that was being written.
    durable: Last,
}

impl World {
    /// Follows a job until it rests in the journal, and cuts the agent off at each edge that is still
    /// `left`; an edge that went by between two looks stays in it. Returns how often the job must have
    /// been taken up again.
    #[track_caller]
    pub fn cut_off(&mut self, job: &str, left: &mut BTreeSet<Edge>, cut: Cut) -> usize {
        let mut follower = Follower::new(self, job);
        let mut wounds: Vec<Wound> = Vec::new();
        while let Some(Met { edge, last, .. }) = follower.next(self, left) {
            // Whoever opens the journal next finds it as a crash leaves it.
            follower.close();
            let look = || Reader::open_copy(&follower.path).last(job).expect("records stay");
            let durable = match cut {
                Cut::Executor => self.agent_ref().kill_half_and(Half::Executor, look),
                Cut::All => {
                    self.agent().kill();
                    let durable = look();
                    self.agent().start();
                    durable
                }
            };
            // A step that was not to be begun has not been, whatever was being written; one that had
            // been begun may have come to its end.
            if durable.n == last.n || !matches!(edge, Edge::Started(_)) {
                left.remove(&edge);
            }
            // Nor is it cut off once more before it has gone on.
            follower.seen = durable.n;
            wounds.push(Wound { edge, seen: last.n, durable });
        }
        for Wound { edge, seen, durable } in &wounds {
            if let Edge::Started(step) = edge
                && durable.n == *seen
            {
                let next = follower.journal().record(job, seen + 1);
                assert!(
                    matches!(&next, Some(Record::Again { step: at, .. }) if at == step),
                    "after {edge:?} the job goes on with {next:?}"
                );
            }
        }
        wounds.iter().filter(|wound| !wound.durable.rests).count()
    }

    /// Has something happen while the executor stands still at the first of these edges that is met.
    /// One edge of a short step may go by between two looks; several do not.
    #[track_caller]
    pub fn at_edge(&self, job: &str, edges: &[Edge], act: impl FnOnce()) {
        let wanted = edges.iter().copied().collect();
        let met = Follower::new(self, job).next(self, &wanted);
        let met = met.unwrap_or_else(|| panic!("job {job} rests and was not met at {edges:?}"));
        act();
        met.held.release();
    }
}

/// A job at an edge, and the executor standing still there.
struct Met {
    edge: Edge,
    last: Last,
    held: Held,
}

/// Follows the records of a job.
struct Follower<'a> {
    job: &'a str,
    path: PathBuf,
    journal: Option<Reader>,
    seen: i64,
    began: Instant,
}

impl<'a> Follower<'a> {
    fn new(world: &World, job: &'a str) -> Self {
        let path = world.agent_ref().journal();
        Self { job, path, journal: None, seen: 0, began: Instant::now() }
    }

    fn journal(&mut self) -> &Reader {
        self.journal.get_or_insert_with(|| Reader::open(&self.path))
    }

    fn close(&mut self) {
        self.journal = None;
    }

    /// The next edge of these that is met; nothing when the job rests first.
    #[track_caller]
    fn next(&mut self, world: &World, wanted: &BTreeSet<Edge>) -> Option<Met> {
        let job = self.job;
        let edge_of = |last: &Last| Edge::of(&last.record).filter(|edge| wanted.contains(edge));
        loop {
            assert!(self.began.elapsed() < LIMIT, "job {job} does not rest; left: {wanted:?}");
            if let Some(last) = self.journal().last(job) {
                if last.n != self.seen && edge_of(&last).is_some() {
                    // It may have gone on meanwhile; where it stands still is what counts.
                    let held = world.agent_ref().hold(Half::Executor);
                    let last = self.journal().last(job).expect("records stay");
                    self.seen = last.n;
                    if let Some(edge) = edge_of(&last) {
                        return Some(Met { edge, last, held });
                    }
                    held.release();
                }
                if last.rests {
                    return None;
                }
                self.seen = last.n;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The last record of a job.
struct Last {
    n: i64,
    record: Record,
    /// Whether nothing will follow it.
    rests: bool,
}

/// The journal, read beside the agent.
struct Reader(Connection);

impl Reader {
    fn open(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).expect("the journal opens");
        // The agent may be recovering it.
        connection.busy_timeout(Duration::from_secs(30)).expect("a time limit");
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .expect("a setting");
        Self(connection)
    }

    /// What whoever opens it next will find, without being the one that finds it.
    fn open_copy(path: &Path) -> Self {
        let copy = path.with_extension("copy");
        for ending in ["", "-wal"] {
            let name = |path: &Path| format!("{}{ending}", path.display());
            std::fs::copy(name(path), name(&copy)).expect("the journal can be copied");
        }
        Self::open(&copy)
    }

    fn last(&self, job: &str) -> Option<Last> {
        let mut statement = self
            .0
            .prepare_cached(
                "SELECT r.n, r.record, s.status FROM sagas s JOIN saga_records r ON r.saga = s.seq
                 WHERE s.job = ?1 ORDER BY s.attempt DESC, r.n DESC LIMIT 1",
            )
            .expect("a statement");
        let row = statement
            .query_row([job], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })
            .optional()
            .expect("the journal can be read");
        row.map(|(n, record, status)| Last {
            n,
            record: parse(&record),
            rests: !matches!(status.as_str(), "running" | "unwinding"),
        })
    }

    fn record(&self, job: &str, n: i64) -> Option<Record> {
        let text: Option<String> = self
            .0
            .query_row(
                "SELECT r.record FROM sagas s JOIN saga_records r ON r.saga = s.seq
                 WHERE s.job = ?1 AND r.n = ?2 ORDER BY s.attempt DESC LIMIT 1",
                rusqlite::params![job, n],
                |row| row.get(0),
            )
            .optional()
            .expect("the journal can be read");
        text.as_deref().map(parse)
    }
}

fn parse(record: &str) -> Record {
    serde_json::from_str(record).unwrap_or_else(|error| panic!("{error}: {record}"))
}
