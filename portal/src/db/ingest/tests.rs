//! Lines, usage and health in a real file.

use super::*;
use crate::{
    clock::ManualClock,
    db::backup,
    domain::ingest::{Level, MetricKind},
};

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(1_790_000_000_000))
}

fn open(dir: &tempfile::TempDir) -> IngestDb {
    IngestDb::open(&dir.path().join("ingest.db"), Arc::new(clock())).unwrap()
}

fn tenant() -> TenantId {
    TenantId::from_uuid(uuid::Uuid::now_v7())
}

fn lines(count: i64, at: Timestamp) -> Vec<logs::NewLine> {
    (0..count)
        .map(|n| logs::NewLine {
            at: at.plus_millis(n),
            level: if n % 10 == 0 { Level::Error } else { Level::Info },
            message: format!("line {n} of some length, as lines of logs are"),
            context: Some(format!("{{\"n\":{n}}}")),
            user_id: None,
            ip: None,
        })
        .collect()
}

fn put(db: &IngestDb, tenant: TenantId, lines: Vec<logs::NewLine>) {
    db.write(move |tx| {
        let number = tx.number(tenant)?;
        logs::insert(tx, number, &lines)
    })
    .unwrap();
}

#[test]
fn pages_by_time_hold_each_line_once_while_new_ones_come() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let (a, b) = (tenant(), tenant());
    put(&db, a, lines(250, db.now()));
    put(&db, b, lines(50, db.now()));
    for (order, expected_first) in [(logs::Order::Newest, 249), (logs::Order::Oldest, 0)] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let found = db
                .read(|read| {
                    let number = read.number(a)?.unwrap();
                    logs::by_time(read, number, &logs::Filter::default(), order, after, 40)
                })
                .unwrap();
            seen.extend(found.lines);
            // Somebody else's line of the same time.
            put(&db, b, lines(1, db.now()));
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 250);
        assert!(seen[0].line.message.starts_with(&format!("line {expected_first} ")));
        let ids: std::collections::BTreeSet<u64> = seen.iter().map(|line| line.id).collect();
        assert_eq!(ids.len(), 250);
    }
}

#[test]
fn filters_and_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let (a, b) = (tenant(), tenant());
    put(&db, a, lines(100, db.now()));
    let place = db.read(logs::last_id).unwrap();
    assert_eq!(place, 100);
    put(&db, b, lines(30, db.now()));
    put(&db, a, lines(20, db.now().plus_secs(-1000)));
    let filter = logs::Filter {
        level: Some(Level::Error),
        text: Some(logs::Wanted::new("LINE 1")),
        ..logs::Filter::default()
    };
    let (found, next) = db
        .read(|read| {
            let number = read.number(a)?.unwrap();
            logs::arrived(read, number, &filter, place, 50)
        })
        .unwrap();
    assert_eq!(next, 150);
    assert_eq!(found.iter().map(|line| line.id).collect::<Vec<_>>(), [141]);
    let context =
        logs::Filter { text: Some(logs::Wanted::new("{\"n\":77}")), ..logs::Filter::default() };
    let found = db
        .read(|read| {
            let number = read.number(a)?.unwrap();
            logs::by_time(read, number, &context, logs::Order::Newest, None, 50)
        })
        .unwrap();
    assert_eq!(found.lines.len(), 1);
    assert!(found.next.is_none());
}

#[test]
fn deleted_lines_give_their_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ingest.db");
    let clock = clock();
    let db = IngestDb::open(&path, Arc::new(clock.clone())).unwrap();
    let a = tenant();
    for _ in 0..20 {
        put(&db, a, lines(1000, db.now()));
    }
    clock.advance_secs(100);
    put(&db, a, lines(10, db.now()));
    let before = db.read(retention::size).unwrap();
    let until = db.now().plus_secs(-50);
    let mut deleted = 0;
    loop {
        let now = db.write(move |tx| retention::delete_lines(tx, until, 3000)).unwrap();
        if now == 0 {
            break;
        }
        deleted += now;
    }
    assert_eq!(deleted, 20_000);
    let mut steps = 0;
    while db.read(retention::size).unwrap().free_pages > 0 {
        db.write(|tx| retention::give_back(tx, 100)).unwrap();
        steps += 1;
        assert!(steps < 1000, "pages do not go back");
    }
    let after = db.read(retention::size).unwrap();
    assert!(steps > 1 && after.file * 10 < before.file, "{before:?} {after:?} {steps}");
    db.close();
    assert_eq!(fs::metadata(&path).unwrap().len(), after.file);
    assert!(backup::check(&path).unwrap().is_empty());
    // Numbers go on: a reader's position stays good.
    let db = IngestDb::open(&path, Arc::new(clock)).unwrap();
    assert_eq!(db.read(logs::last_id).unwrap(), 20_010);
}

#[test]
fn usage_is_added_up_and_the_latest_reading_stays() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let a = tenant();
    let value = |value: f64, secs: i64, kind| usage::NewValue {
        metric: "m".into(),
        kind,
        value,
        at: db.now().plus_secs(secs),
    };
    let values = [
        value(5.0, 10, MetricKind::Gauge),
        value(2.0, 5, MetricKind::Gauge),
        value(1.5, 0, MetricKind::Counter),
    ];
    db.write(move |tx| {
        let number = tx.number(a)?;
        for value in &values {
            usage::add(tx, number, 7, value)?;
        }
        Ok(())
    })
    .unwrap();
    let days = db
        .read(|read| {
            let number = read.number(a)?.unwrap();
            usage::days(read, number, (0, 10), None, (0, "", ""), 10)
        })
        .unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!((days[0].kind.as_str(), days[0].sum), ("counter", 1.5));
    let gauge = &days[1];
    assert_eq!((gauge.count, gauge.sum, gauge.min, gauge.max, gauge.last), (2, 7.0, 2.0, 5.0, 5.0));
}

#[test]
fn a_damaged_file_is_moved_aside_and_a_newer_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ingest.db");
    fs::write(&path, b"this is no database, though long enough to be read as one".repeat(100))
        .unwrap();
    let db = open(&dir);
    put(&db, tenant(), lines(1, db.now()));
    db.close();
    drop(db);
    let aside = fs::read_dir(dir.path()).unwrap().any(|entry| {
        entry.unwrap().file_name().to_string_lossy().starts_with("ingest.db.damaged-")
    });
    assert!(aside);
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = IngestDb::open(&path, Arc::new(clock())).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("made anew"), "{error}");
    // The portal's database in its place is not taken for it.
    let other = dir.path().join("other.db");
    drop(Db::open(&other, Arc::new(clock())).unwrap());
    assert!(matches!(IngestDb::open(&other, Arc::new(clock())), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_file_of_the_first_version_is_brought_up_and_its_ids_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ingest.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(INGEST.migrations[0].1).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.pragma_update(None, "application_id", INGEST.application_id).unwrap();
    old.execute_batch(
        "INSERT INTO tenants (id, tenant) VALUES (1, 'a'), (2, 'b');
         INSERT INTO batches (tenant_id, kind, batch, digest, answer, received_at)
         VALUES (1, 'logs', 'xy', x'00', '{}', 1), (1, 'usage', 'xy', x'00', '{}', 1);",
    )
    .unwrap();
    drop(old);
    let db = open(&dir);
    let each = batches::kept_bytes("xy", "{}");
    let kept = db.read(batches::kept).unwrap().unwrap();
    assert_eq!(kept, batches::Kept { total: 2 * each, most: 1, of_most: 2 * each });
    // Those of logs go first.
    let gone = |db: &IngestDb| db.write(|tx| retention::delete_batches_of(tx, 1, 5)).unwrap();
    assert_eq!(gone(&db), 1);
    let left = db.read(batches::kept).unwrap().unwrap();
    assert_eq!(left.total, each);
    let found = db.write(|tx| batches::find(tx, 1, batches::BatchKind::Usage, "xy")).unwrap();
    assert!(found.is_some());
    assert_eq!((gone(&db), gone(&db)), (1, 0));
    assert_eq!(db.read(batches::kept).unwrap(), None);
    db.close();
    assert!(backup::check(&path).unwrap().is_empty());
}
