//! Group commit, refused files, audit, backup and durability, on real files.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::Barrier,
    thread,
};

use rusqlite::params;
use serde_json::json;

use super::*;
use crate::{
    clock::{ManualClock, SystemClock},
    error::Kind,
};

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_790_000_000_000)))
}

fn open(path: &Path) -> Db {
    Db::open(path, clock()).unwrap()
}

fn put(tx: &Tx<'_>, name: &str) -> Result<(), AppError> {
    tx.sql().execute("INSERT INTO meta (name, value) VALUES (?1, 'x')", [name])?;
    Ok(())
}

fn count(db: &Db) -> u64 {
    db.read(|read| Ok(read.sql().query_row("SELECT count(*) FROM meta", [], |row| row.get(0))?))
        .unwrap()
}

#[test]
fn a_failing_write_of_many_threads_hurts_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("portal.db"));
    let barrier = Arc::new(Barrier::new(32));
    let threads: Vec<_> = (0..32)
        .map(|n| {
            let (db, barrier) = (db.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                let name = format!("n{n}");
                db.write(move |tx| {
                    put(tx, &name)?;
                    match n % 4 {
                        0 => Err(AppError::conflict("no", "no")),
                        1 if n == 1 => panic!("a defect in one write"),
                        _ => Ok(()),
                    }
                })
            })
        })
        .collect();
    let good = threads
        .into_iter()
        .filter(|_| true)
        .map(|t| t.join().unwrap())
        .filter(Result::is_ok)
        .count();
    assert_eq!(good, 32 - 8 - 1);
    assert_eq!(count(&db), good as u64);
    assert!(db.fatal().is_none());
}

/// Says another time whenever it is asked: a transaction asks once, so that the times that writes see
/// tell their transactions apart.
#[derive(Debug, Default)]
struct CountingClock(std::sync::atomic::AtomicI64);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    }
}

#[test]
fn writes_that_wait_share_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("portal.db"), Arc::new(CountingClock::default())).unwrap();
    let (hold, held) = sync_channel::<()>(0);
    let (begun, begins) = sync_channel::<()>(0);
    let first = db.clone();
    let first = thread::spawn(move || {
        first.write(move |tx| {
            begun.send(()).unwrap();
            held.recv().unwrap();
            Ok(tx.now())
        })
    });
    // From here on it is in a transaction that takes nobody in any more.
    begins.recv().unwrap();
    let asking = Arc::new(Barrier::new(65));
    let threads: Vec<_> = (0..64)
        .map(|n| {
            let (db, asking) = (db.clone(), Arc::clone(&asking));
            thread::spawn(move || {
                asking.wait();
                db.write(move |tx| {
                    put(tx, &format!("n{n}"))?;
                    Ok(tx.now())
                })
            })
        })
        .collect();
    asking.wait();
    // Time to come into the queue; who does not make it adds a commit.
    thread::sleep(Duration::from_millis(300));
    hold.send(()).unwrap();
    let alone = first.join().unwrap().unwrap();
    let commits: std::collections::BTreeSet<_> =
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
    assert!(!commits.contains(&alone));
    assert!(commits.len() <= 4, "64 writes took {} commits", commits.len());
    assert_eq!(count(&db), 64);
}

#[test]
fn a_waking_write_tells_its_hook_only_after_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("portal.db"));
    let woken = Arc::new(Mutex::new(Vec::new()));
    let (seen, reader) = (Arc::clone(&woken), db.clone());
    db.on_wake(move |agent| lock(&seen).push((agent, count(&reader))));
    let agent = AgentId::from_uuid(uuid::Uuid::now_v7());
    db.write(move |tx| {
        put(tx, "a")?;
        tx.wake(agent);
        Ok(())
    })
    .unwrap();
    let other = db.write(move |tx| -> Result<(), AppError> {
        tx.wake(agent);
        Err(AppError::conflict("no", "no"))
    });
    assert!(other.is_err());
    db.write(|_| Ok(())).unwrap();
    assert_eq!(*lock(&woken), [(agent, 1)]);
}

#[test]
fn a_newer_database_is_refused_untouched_and_named_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal.db");
    open(&path).close();
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let error = Db::open(&path, clock()).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 99, known, .. } if known == PORTAL.version())
    );
    let text = error.to_string();
    assert!(text.contains("99") && text.contains(&PORTAL.version().to_string()), "{text}");
    assert!(text.contains("restore"), "{text}");
    assert!(matches!(
        backup::backup(&path, &dir.path().join("copy")),
        Err(backup::BackupError::Open { source: OpenError::Newer { .. }, .. })
    ));
}

#[test]
fn another_programs_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE x (a)").unwrap();
    assert!(matches!(Db::open(&path, clock()), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_changed_or_missing_audit_row_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal.db");
    let db = open(&path);
    for n in 0..3 {
        db.write(move |tx| {
            let id = n.to_string();
            let entry = audit::Entry {
                actor: "system",
                action: "test.done",
                object_kind: "test",
                object_id: &id,
                detail: json!({}),
            };
            audit::append(tx, &entry)
        })
        .unwrap();
    }
    assert_eq!(backup::check(&path).unwrap(), Vec::<String>::new());
    db.write(|tx| Ok(tx.sql().execute("UPDATE audit SET actor = 'me' WHERE n = 2", [])?)).unwrap();
    assert_eq!(backup::check(&path).unwrap(), ["audit entry 2 was changed"]);
    db.write(|tx| Ok(tx.sql().execute("DELETE FROM audit WHERE n = 1", [])?)).unwrap();
    assert_eq!(backup::check(&path).unwrap(), ["audit entry 1 is missing"]);
}

#[test]
fn backup_while_open_then_restore_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal.db");
    let copy = dir.path().join("backup.db");
    let db = open(&path);
    db.write(|tx| put(tx, "before")).unwrap();
    backup::backup(&path, &copy).unwrap();
    assert!(matches!(backup::backup(&path, &copy), Err(backup::BackupError::Exists { .. })));
    db.write(|tx| put(tx, "after")).unwrap();
    let now = db.now();
    let held = crate::instance::InstanceLock::take(dir.path()).unwrap();
    let busy = restore::restore(dir.path(), &path, &copy, now);
    assert!(matches!(busy, Err(backup::BackupError::InUse(_))));
    drop(held);
    db.close();
    drop(db);
    let kept = restore::restore(dir.path(), &path, &copy, now).unwrap().unwrap();
    assert_eq!(count(&open(&path)), 1);
    assert_eq!(count(&open(&kept)), 2);
    std::fs::write(&copy, b"not a database at all, but long enough to be looked at").unwrap();
    assert!(restore::restore(dir.path(), &path, &copy, now).is_err());
    assert_eq!(count(&open(&path)), 1);
}

/// Not a test of its own: the child that the next test kills. It writes and prints what was
/// acknowledged.
#[test]
fn child_that_is_killed() {
    let Some(path) = std::env::var_os("FREEHOLD_TEST_KILLED_DB") else { return };
    let db = Db::open(Path::new(&path), Arc::new(SystemClock)).unwrap();
    for n in 0.. {
        db.write(move |tx| put(tx, &format!("k{n}"))).unwrap();
        println!("acknowledged {n}");
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal.db");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "db::tests::child_that_is_killed", "--nocapture"])
        .env("FREEHOLD_TEST_KILLED_DB", &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some((_, n)) = line.unwrap().split_once("acknowledged ") {
            let n: u64 = n.parse().unwrap();
            last = Some(n);
            if n == 100 {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    let last = last.unwrap();
    assert!(last >= 100);
    let db = open(&path);
    let found: u64 = db
        .read(|read| {
            Ok(read.sql().query_row(
                "SELECT count(*) FROM meta WHERE name LIKE 'k%'",
                params![],
                |row| row.get(0),
            )?)
        })
        .unwrap();
    assert!(found > last, "{found} rows, but {last} was acknowledged");
    assert!(backup::check(&path).unwrap().is_empty());
}

#[test]
fn the_database_and_its_log_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal.db");
    let db = open(&path);
    db.write(|tx| put(tx, "a")).unwrap();
    for file in ["portal.db", "portal.db-wal"] {
        let mode = std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_with_the_remedy_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal.db");
    let garbage = vec![0xa5; 20_000];
    std::fs::write(&path, &garbage).unwrap();
    let error = Db::open(&path, clock()).unwrap_err();
    assert!(error.to_string().contains("freehold db restore FILE"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), garbage);
}

#[test]
fn a_statement_that_fails_in_the_file_system_ends_all_writing() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("portal.db"));
    let failed = db.write(|_| -> Result<(), AppError> {
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        Err(rusqlite::Error::SqliteFailure(full, None).into())
    });
    assert!(matches!(failed.unwrap_err().kind, Kind::Unavailable { .. }));
    assert!(db.fatal().is_some());
    assert!(matches!(db.write(|tx| put(tx, "b")).unwrap_err().kind, Kind::Unavailable { .. }));
}

const POLL: [&str; 5] =
    [jobs::READY, jobs::OUT_TO, jobs::HAS_OUT_TO, jobs::NEXT_NOT_BEFORE, jobs::moves::RENEW_SILENT];

#[test]
fn a_cached_statement_is_planned_once_whatever_is_bound_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portal.db");
    open(&path).close();
    let planned_again = |connection: &Connection, sql: &str| {
        let mut statement = connection.prepare(sql).unwrap();
        let count = statement.parameter_count();
        for value in 1..4 {
            let values = rusqlite::params_from_iter(vec![value; count]);
            let mut rows = statement.query(values).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        statement.get_status(rusqlite::StatementStatus::RePrepare)
    };
    let plain = Connection::open(&path).unwrap();
    assert!(planned_again(&plain, jobs::READY) > 0, "SQLite's default");
    let ours = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    for sql in POLL {
        assert_eq!(planned_again(&ours, sql), 0, "{sql}");
    }
}

/// A poll costs the same with ten hosts and with ten thousand, and with a million jobs at rest.
#[test]
fn the_statements_of_a_poll_look_at_their_own_host_alone() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("portal.db"));
    let (own_host, own_tenant) =
        ("jobs_by_host (host_id=? AND state=?)", "(tenant_id=? AND state=?)");
    for sql in POLL {
        let plan: Vec<String> = db
            .read(|read| {
                let mut statement = read.sql().prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let count = statement.parameter_count();
                let rows = statement
                    .query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get(3))?
                    .collect::<Result<_, _>>()?;
                Ok(rows)
            })
            .unwrap();
        let steps: Vec<_> =
            plan.iter().filter(|line| line.contains("SCAN ") || line.contains("SEARCH ")).collect();
        assert!(plan.iter().any(|line| line.contains(own_host)), "{sql}: {plan:?}");
        for step in steps {
            let good =
                [own_host, own_tenant, "agents USING INDEX sqlite_autoindex_agents_1 (id=?)"];
            assert!(good.iter().any(|part| step.contains(part)), "{sql}: {step}");
        }
    }
}
