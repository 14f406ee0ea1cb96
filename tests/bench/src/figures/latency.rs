//! From an admin's request to a job in the hands of its agent.

use std::{thread, time::Instant};

use super::{Bench, Measurement};
use crate::{
    disk::Disk,
    figure::{Figure, Goal, Unit},
    http::Connection,
    portal::Portal,
    real_agent::RealAgent,
    seat::{PARKING, Seat},
    stats::percentile,
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "latency",
    title: "Queue to start",
    how: "From the moment before the admin's request that queues a job is written to the portal's socket, to the \
          moment at which the parked agent has received the job and verified every signature (simulated agents) or \
          has it in its journal on the disk (the real agent: poller and executor as two processes; by its log). In between lie \
          two commits with `synchronous=FULL`, the one that queues and the one that signs the job into the agent's \
          chain; so the baseline is two durable writes of 4 KiB to the same disk, one after the other. The real \
          agent adds a commit of its own, and so does its baseline.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let portal =
        Portal::start(&bench.scratch, "latency", scale.parked_meanwhile + scale.runs, false);
    let disk = Disk::new(portal.folder());
    let mut admin = portal.connect();
    let mut alone = Series::default();
    let mut crowded = Series::default();
    for number in 0..scale.runs {
        let mut seat = Seat::new(&portal, scale.parked_meanwhile + number);
        seat.park();
        alone.add(&disk, 2, scale.latencies, || queue_to_verified(&portal, &mut admin, &mut seat));
    }
    let mut seats: Vec<Seat> =
        (0..scale.parked_meanwhile).map(|host| Seat::new(&portal, host)).collect();
    for number in 0..scale.runs {
        for seat in &mut seats {
            // Parked anew in each run, so that no wait ends by itself within one.
            seat.reconnect(&portal);
            seat.park();
        }
        portal.wait_parked(seats.len());
        let mut next = number * 7;
        crowded.add(&disk, 2, scale.latencies, || {
            next = (next + 13) % seats.len();
            queue_to_verified(&portal, &mut admin, &mut seats[next])
        });
    }
    drop(seats);
    let mut figures = alone.figures("one agent parked", 2, "p99");
    let crowd = format!("{} agents parked", scale.parked_meanwhile);
    figures.extend(crowded.figures(&crowd, 2, "p99"));
    if scale.real_latencies > 0 {
        let real = RealAgent::start(&bench.scratch, &portal, "latency-agent");
        let mut series = Series::default();
        for _ in 0..scale.runs {
            series.add(&disk, 3, scale.real_latencies, || {
                real.accept_a_job(&portal, &mut admin).as_secs_f64() * 1e3
            });
        }
        figures.extend(series.figures("the real agent, job in its journal", 3, "slowest"));
    }
    figures
}

/// One job's way; in milliseconds. Afterwards the job is reported and the agent parked again.
fn queue_to_verified(portal: &Portal, admin: &mut Connection, seat: &mut Seat) -> f64 {
    let queue = portal.queue(seat.host);
    thread::sleep(PARKING);
    let began = Instant::now();
    admin.send(&queue);
    let mut taken = seat.wait();
    let took = began.elapsed();
    assert_eq!(taken.len(), 1, "one job was queued");
    admin.receive().expect(202);
    seat.report(portal, &taken.remove(0));
    seat.park();
    took.as_secs_f64() * 1e3
}

/// Percentiles of each run, of the latencies and of the disk.
#[derive(Default)]
struct Series {
    p50: Vec<f64>,
    p99: Vec<f64>,
    disk_p50: Vec<f64>,
    disk_p99: Vec<f64>,
}

impl Series {
    fn add(&mut self, disk: &Disk, writes: usize, count: usize, mut one: impl FnMut() -> f64) {
        let mut times = Vec::with_capacity(count);
        let mut disk_times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(one());
            // In between, so that a busy moment of the disk is seen by both.
            disk_times.push(disk.times(writes).iter().sum());
        }
        self.p50.push(percentile(&times, 50.0));
        self.p99.push(percentile(&times, 99.0));
        self.disk_p50.push(percentile(&disk_times, 50.0));
        self.disk_p99.push(percentile(&disk_times, 99.0));
    }

    /// `worst` is what the 99th percentile of so many values is called.
    fn figures(self, who: &str, writes: usize, worst: &str) -> Vec<Figure> {
        let baseline = |what: &str| format!("{writes} durable writes, {what}");
        vec![
            Figure::new(format!("queue to start, {who}, p50"), Unit::Millis, self.p50)
                .beside(baseline("p50"), self.disk_p50)
                .goal(Goal::AtMost(3.0)),
            Figure::new(format!("queue to start, {who}, {worst}"), Unit::Millis, self.p99)
                .beside(baseline(worst), self.disk_p99)
                .goal(Goal::AtMost(10.0)),
        ]
    }
}
