//! What a poll costs as the fleet and its history grow.

use super::{Bench, Measurement};
use crate::{
    agent::Agent,
    figure::{Figure, Goal, Unit},
    http::Connection,
    load,
    portal::Portal,
    proc::cpu_nanos,
    seed,
};

/// Hosts of the small fleet, and hosts that poll in every fleet.
const SMALL: usize = 10;
/// Connections at once.
const CONNECTIONS: usize = 10;
/// Largest share of its nonces that a host uses in a run.
const POLLS: usize = 1000;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "growth",
    title: "Growth",
    how: "The portal's processor time of an empty poll of the same ten hosts, with nothing else in the database; in a large \
          fleet of which every other host works on a job; and with a long history of jobs besides. The time is the kernel's \
          count for the portal's threads, so that the disk's waits are not in it. The baseline is the small portal.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let mut small = Portal::prepare(&bench.scratch, "growth-small", SMALL, false);
    let mut large = Portal::prepare(&bench.scratch, "growth-large", scale.fleet, false);
    let mut long = Portal::prepare(&bench.scratch, "growth-long", scale.fleet, false);
    for portal in [&large, &long] {
        seed::busy(&portal.database(), SMALL as u64);
    }
    seed::history(&long.database(), scale.history);
    let mut costs = [const { Vec::new() }; 3];
    for (portal, list) in [&mut small, &mut large, &mut long].into_iter().zip(&mut costs) {
        portal.begin();
        let mut polling: Vec<Agent> = (0..SMALL).map(|n| portal.agent(n)).collect();
        let mut lines: Vec<Connection> = (0..CONNECTIONS).map(|_| portal.connect()).collect();
        let each = (scale.requests / CONNECTIONS).min(POLLS / (scale.runs + 1)).max(1);
        for number in 0..=scale.runs {
            let requests: Vec<Vec<Vec<u8>>> = polling
                .iter_mut()
                .map(|agent| (0..each).map(|_| agent.poll(0, 2)).collect())
                .collect();
            let before = cpu_nanos(portal.pid());
            let took = load::run(&mut lines, &requests, 200);
            if number > 0 {
                list.push((cpu_nanos(portal.pid()) - before) / took.requests as f64 / 1e3);
            }
        }
        portal.stop();
    }
    let [small, large, long] = costs;
    let baseline = format!("{SMALL} hosts, no job");
    let (fleet, history) = (scale.fleet, scale.history);
    vec![
        Figure::new(
            format!("an empty poll, {fleet} hosts, as many running jobs"),
            Unit::Micros,
            large,
        )
        .beside(&baseline, small.clone())
        .goal(Goal::RatioAtMost(1.25)),
        Figure::new(
            format!("an empty poll, {fleet} hosts, {history} jobs of the past"),
            Unit::Micros,
            long,
        )
        .beside(&baseline, small)
        .goal(Goal::RatioAtMost(1.25)),
    ]
}
