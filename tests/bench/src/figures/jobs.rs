//! Jobs a second through their whole life at the portal.

use std::{thread, time::Instant};

use super::{Bench, Measurement};
use crate::{
    disk::Disk,
    figure::{Figure, Goal, Unit},
    http::Connection,
    portal::Portal,
    proc::cpu_nanos,
    seat::Seat,
};

/// Threads of the client.
const THREADS: usize = 2;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "jobs",
    title: "Jobs a second",
    how: "Jobs that are queued by an admin's request, signed, delivered to a parked agent, verified there, reported with \
          a signed report and settled. Every one of the three changes is a row on the disk before it is answered. The \
          client's signatures and checks are made on the same processors. The baseline is the disk's own rate of durable \
          writes by one thread.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let portal = Portal::start(&bench.scratch, "jobs", scale.agents, false);
    let disk = Disk::new(portal.folder());
    let mut seats: Vec<Seat> = (0..scale.agents).map(|host| Seat::new(&portal, host)).collect();
    let mut admins: Vec<Connection> = seats.iter().map(|_| portal.connect()).collect();
    seats.iter_mut().for_each(Seat::park);
    let (mut rates, mut baseline, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..=scale.runs {
        let cpu = cpu_nanos(portal.pid());
        let began = Instant::now();
        let part = seats.len().div_ceil(THREADS);
        thread::scope(|scope| {
            for (seats, admins) in seats.chunks_mut(part).zip(admins.chunks_mut(part)) {
                let portal = &portal;
                scope.spawn(move || {
                    for _ in 0..scale.rounds {
                        round(portal, seats, admins);
                    }
                });
            }
        });
        let took = began.elapsed().as_secs_f64();
        let jobs = (scale.agents * scale.rounds) as f64;
        if number > 0 {
            rates.push(jobs / took);
            costs.push((cpu_nanos(portal.pid()) - cpu) / jobs / 1e3);
            baseline.push(disk.rate(scale.commits));
        }
    }
    vec![
        Figure::new("durable jobs, queued to reported", Unit::PerSecond, rates)
            .beside("durable writes, one thread", baseline)
            .goal(Goal::AtLeast(2000.0)),
        Figure::new("the portal's processor time of a job", Unit::Micros, costs),
    ]
}

/// One job for each agent, from the queue to the report.
fn round(portal: &Portal, seats: &mut [Seat], admins: &mut [Connection]) {
    for (seat, admin) in seats.iter().zip(admins.iter_mut()) {
        admin.send(&portal.queue(seat.host));
    }
    for seat in seats.iter_mut() {
        for one in &seat.wait() {
            seat.send_report(portal, one);
        }
    }
    for (seat, admin) in seats.iter_mut().zip(admins.iter_mut()) {
        seat.reported();
        seat.park();
        admin.receive().expect(202);
    }
}
