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
    let keep = "keep_jobs_days = 3650\nkeep_jobs_max = 10000000\npoll_wait_secs = 55";
    let prepare = |name, hosts| Portal::prepare_with(&bench.scratch, name, hosts, false, keep);
    let small = prepare("growth-small", SMALL);
    let large = prepare("growth-large", scale.fleet);
    let long = prepare("growth-long", scale.fleet);
    for portal in [&large, &long] {
        seed::busy(&portal.database(), SMALL as u64);
    }
    seed::history(&long.database(), scale.history);
    let before = seed::jobs(&long.database());
    let mut fleets = [small, large, long].map(Fleet::begin);
    let each = (scale.requests / CONNECTIONS).min(POLLS / (scale.runs + 1)).max(1);
    for number in 0..=scale.runs {
        for fleet in &mut fleets {
            let cost = fleet.cost(each);
            // The first reads what a start must read.
            if number > 0 {
                fleet.costs.push(cost);
            }
        }
    }
    let [small, large, long] = fleets.map(|mut fleet| {
        fleet.portal.stop();
        fleet
    });
    assert_eq!(seed::jobs(&long.portal.database()), before, "the history was deleted meanwhile");
    let [small, large, long] = [small.costs, large.costs, long.costs];
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

/// A portal that runs, and the hosts of it that poll.
struct Fleet {
    portal: Portal,
    polling: Vec<Agent>,
    lines: Vec<Connection>,
    /// Of an empty poll, run by run, in microseconds.
    costs: Vec<f64>,
}

impl Fleet {
    fn begin(mut portal: Portal) -> Self {
        portal.begin();
        let polling = (0..SMALL).map(|n| portal.agent(n)).collect();
        let lines = (0..CONNECTIONS).map(|_| portal.connect()).collect();
        Self { portal, polling, lines, costs: Vec::new() }
    }

    /// The portal's processor time of a poll, in microseconds; each host polls `each` times.
    fn cost(&mut self, each: usize) -> f64 {
        let requests: Vec<Vec<Vec<u8>>> = self
            .polling
            .iter_mut()
            .map(|agent| (0..each).map(|_| agent.poll(0, 2)).collect())
            .collect();
        let before = cpu_nanos(self.portal.pid());
        let took = load::run(&mut self.lines, &requests, 200);
        (cpu_nanos(self.portal.pid()) - before) / took.requests as f64 / 1e3
    }
}
