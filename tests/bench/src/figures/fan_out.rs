//! A job for each of many parked agents at once.

use std::{thread, time::Instant};

use super::{Bench, Measurement};
use crate::{
    figure::{Figure, Goal, Unit},
    hello,
    http::Connection,
    portal::Portal,
    seat::{PARKING, Seat},
    stats::percentile,
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "fan-out",
    title: "Fan-out",
    how: "One job for each of the parked agents: from the first of the admin's requests, sent on as many connections \
          at once, to the moment at which the last agent has received and verified its job. The baseline is as many \
          small requests at once to the bare server on the same HTTP layer, which writes nothing to the disk.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let portal = Portal::start(&bench.scratch, "fan-out", scale.fan_out, false);
    let bare = hello::Running::start(&bench.scratch, false);
    let mut seats: Vec<Seat> = (0..scale.fan_out).map(|host| Seat::new(&portal, host)).collect();
    let mut admins: Vec<Connection> = seats.iter().map(|_| portal.connect()).collect();
    let mut plain: Vec<Connection> = seats.iter().map(|_| bare.connect()).collect();
    let get = hello::Running::get("/");
    let (mut runs, mut baseline) = (Vec::new(), Vec::new());
    // The first one warms up: prepared statements, threads, pages.
    for number in 0..=scale.runs {
        let (mut times, mut plain_times) = (Vec::new(), Vec::new());
        for _ in 0..scale.fan_outs {
            times.push(fan_out(&portal, &mut seats, &mut admins));
            let began = Instant::now();
            plain.iter_mut().for_each(|connection| connection.send(&get));
            plain.iter_mut().for_each(|connection| drop(connection.receive().expect(200)));
            plain_times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        if number > 0 {
            runs.push(percentile(&times, 50.0));
            baseline.push(percentile(&plain_times, 50.0));
        }
    }
    let name = format!("fan-out to {} agents", scale.fan_out);
    vec![
        Figure::new(name, Unit::Millis, runs)
            .beside("as many small requests, bare", baseline)
            .goal(Goal::AtMost(80.0)),
    ]
}

fn fan_out(portal: &Portal, seats: &mut [Seat], admins: &mut [Connection]) -> f64 {
    seats.iter_mut().for_each(Seat::park);
    portal.wait_parked(seats.len());
    thread::sleep(PARKING);
    let requests: Vec<Vec<u8>> = seats.iter().map(|seat| portal.queue(seat.host)).collect();
    let began = Instant::now();
    for (admin, request) in admins.iter_mut().zip(&requests) {
        admin.send(request);
    }
    let taken: Vec<_> = seats.iter_mut().map(Seat::wait).collect();
    let took = began.elapsed();
    admins.iter_mut().for_each(|admin| drop(admin.receive().expect(202)));
    for (seat, jobs) in seats.iter_mut().zip(&taken) {
        assert_eq!(jobs.len(), 1, "one job for each host");
        seat.report(portal, &jobs[0]);
    }
    took.as_secs_f64() * 1e3
}
