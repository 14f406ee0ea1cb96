//! Reports and events a second.

use super::{Bench, Measurement};
use crate::{
    agent::Taken,
    disk::Disk,
    figure::{Figure, Unit},
    http::Connection,
    load,
    portal::Portal,
    seat::Seat,
};

/// Jobs that each agent holds in a run: what one poll brings at most.
const JOBS: usize = 8;
/// Events in one request, as an agent sends them when many wait.
const BUNDLE: u64 = 50;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "ingest",
    title: "Reports and events",
    how: "Signed reports, and signed requests with one event and with fifty, as many connections at once as there are \
          agents. They are signed before the clock starts; the portal verifies each, a report twice (the request and the \
          report in it), and answers when it is on the disk. The baseline is the disk's own rate of durable writes by one \
          thread.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let portal = Portal::start(&bench.scratch, "ingest", scale.agents, false);
    let disk = Disk::new(portal.folder());
    let mut seats: Vec<Seat> = (0..scale.agents).map(|host| Seat::new(&portal, host)).collect();
    let mut lines: Vec<Connection> = seats.iter().map(|_| portal.connect()).collect();
    let mut reports = Rates::default();
    let mut single = Rates::default();
    let mut bundled = Rates::default();
    for number in 0..=scale.runs {
        let queue: Vec<Vec<Vec<u8>>> =
            seats.iter().map(|seat| vec![portal.queue(seat.host); JOBS]).collect();
        load::run(&mut lines, &queue, 202);
        let taken: Vec<Vec<Taken>> = seats.iter_mut().map(|seat| seat.ask(JOBS as u32)).collect();
        assert!(taken.iter().all(|jobs| jobs.len() == JOBS), "every job comes with one poll");
        let warm = number == 0;
        let requests = each(&seats, &taken, |seat, one| seat.agent.events(one.job.job_id, 1, 1));
        single.add(&disk, bench, load::run(&mut lines, &requests, 200).rate(), warm);
        let requests =
            each(&seats, &taken, |seat, one| seat.agent.events(one.job.job_id, 2, BUNDLE));
        let rate = load::run(&mut lines, &requests, 200).rate() * BUNDLE as f64;
        bundled.add(&disk, bench, rate, warm);
        let requests = each(&seats, &taken, |seat, one| seat.agent.report(one));
        reports.add(&disk, bench, load::run(&mut lines, &requests, 204).rate(), warm);
    }
    vec![
        reports.figure("reports"),
        single.figure("events, one a request"),
        bundled.figure(&format!("events, {BUNDLE} a request")),
    ]
}

fn each(
    seats: &[Seat],
    taken: &[Vec<Taken>],
    request: impl Fn(&Seat, &Taken) -> Vec<u8>,
) -> Vec<Vec<Vec<u8>>> {
    seats
        .iter()
        .zip(taken)
        .map(|(seat, jobs)| jobs.iter().map(|one| request(seat, one)).collect())
        .collect()
}

#[derive(Default)]
struct Rates {
    runs: Vec<f64>,
    disk: Vec<f64>,
}

impl Rates {
    fn add(&mut self, disk: &Disk, bench: &Bench, rate: f64, warm: bool) {
        if !warm {
            self.runs.push(rate);
            self.disk.push(disk.rate(bench.scale.commits / 2));
        }
    }

    fn figure(self, name: &str) -> Figure {
        Figure::new(name, Unit::PerSecond, self.runs)
            .beside("durable writes, one thread", self.disk)
    }
}
