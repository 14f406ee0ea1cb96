//! How long the programs need to start.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use freehold_tests::world::{agent_program, portal_program};

use super::{Bench, Measurement};
use crate::{
    figure::{Figure, Unit},
    portal::Portal,
    real_agent::Prepared,
};

/// How often the portal is asked.
const LOOK: Duration = Duration::from_millis(1);

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "startup",
    title: "Start",
    how: "From the start of the process to the portal's first good answer to `/readyz` (which writes to the database), and \
          to the executor's first answer on its socket, and to the moment at which the poller's poll is parked at the \
          portal (which is asked every millisecond; the executor runs). The baseline is the same program printing its \
          version, from start to end.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let mut portal = Portal::start(&bench.scratch, "startup", 10, false);
    let agent = Prepared::new(&bench.scratch, &portal, "startup-agent");
    let (mut portals, mut portal_versions) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.runs {
        portal.stop();
        portals.push(portal.begin().as_secs_f64() * 1e3);
        portal_versions.push(version(Command::new(portal_program())));
    }
    let [mut executors, mut pollers, mut agent_versions] = [const { Vec::new() }; 3];
    for _ in 0..bench.scale.runs {
        let (executor, took) = agent.executor();
        executors.push(took.as_secs_f64() * 1e3);
        portal.wait_until_parked(|parked| parked == 0, LOOK);
        let began = Instant::now();
        let poller = agent.poller();
        portal.wait_until_parked(|parked| parked > 0, LOOK);
        pollers.push(began.elapsed().as_secs_f64() * 1e3);
        drop(poller);
        drop(executor);
        agent_versions.push(version(Command::new(agent_program())));
    }
    vec![
        Figure::new("the portal, ready", Unit::Millis, portals)
            .beside("freehold --version", portal_versions),
        Figure::new("the executor, answering", Unit::Millis, executors)
            .beside("freehold-agent --version", agent_versions.clone()),
        Figure::new("the poller, its poll parked", Unit::Millis, pollers)
            .beside("freehold-agent --version", agent_versions),
    ]
}

fn version(mut command: Command) -> f64 {
    let began = Instant::now();
    let output = command.arg("--version").output().expect("a program of ours");
    assert!(output.status.success(), "--version fails");
    began.elapsed().as_secs_f64() * 1e3
}
