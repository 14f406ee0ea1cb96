//! Commits of the portal's database: what group commit gives.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use freehold_portal::{
    app::queue_job::{JobRules, QueueJob},
    clock::SystemClock,
    db::{Db, hosts},
};
use freehold_protocol::{
    ids::HostId,
    job::{ProbeHost, Work},
};

use super::{Bench, Measurement};
use crate::{
    disk::Disk,
    figure::{Figure, Goal, Unit},
    portal::Portal,
    seed::host_name,
};

const WRITERS: usize = 64;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "commits",
    title: "Commits",
    how: "Queuing a job (the row and its indexes, the audit row with its hash) through the portal's own database code \
          in one process, acknowledged after `COMMIT` with `synchronous=FULL`: one writer that waits for each, and 64. \
          The baseline is the disk's own rate of durable writes of 4 KiB by one thread; that of 64 writers is one writer.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let portal = Portal::prepare(&bench.scratch, "commits", 1, false);
    let disk = Disk::new(portal.folder());
    let db = Db::open(&portal.database(), Arc::new(SystemClock)).expect("the portal's database");
    let name = host_name(0).parse().expect("a name");
    let host = db.read(|read| hosts::by_name(read, &name)).expect("a read").expect("a host").id;
    let (mut one, mut many, mut fsyncs) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..=bench.scale.runs {
        let (single, grouped) = (rate(bench, &db, host, 1), rate(bench, &db, host, WRITERS));
        let fsync = disk.rate(bench.scale.commits);
        if number > 0 {
            one.push(single);
            many.push(grouped);
            fsyncs.push(fsync);
        }
    }
    db.close();
    vec![
        Figure::new("commits, one writer", Unit::PerSecond, one.clone())
            .beside("durable writes, one thread", fsyncs),
        Figure::new(format!("commits, {WRITERS} writers"), Unit::PerSecond, many)
            .beside("commits, one writer", one)
            .goal(Goal::RatioAtLeast(10.0)),
    ]
}

fn rate(bench: &Bench, db: &Db, host: HostId, writers: usize) -> f64 {
    let stop = AtomicBool::new(false);
    let count = AtomicU64::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let job = QueueJob {
                        host,
                        work: Work::ProbeHost(ProbeHost {}).into(),
                        actor: "bench".into(),
                        rules: JobRules {
                            max_attempts: 3,
                            expiry_secs: 3600,
                            has_public_url: false,
                            approval_required: false,
                        },
                    };
                    db.write(move |tx| job.apply(tx)).expect("a commit");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(bench.scale.commits);
        stop.store(true, Ordering::Relaxed);
    });
    count.into_inner() as f64 / began.elapsed().as_secs_f64()
}
