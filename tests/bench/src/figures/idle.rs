//! What idle processes cost.

use std::{process::Command, thread, time::Duration};

use freehold_tests::process::Daemon;

use super::{Bench, Measurement};
use crate::{
    figure::{Figure, Goal, Unit},
    portal::Portal,
    proc::{cpu_millis_of, memory},
    real_agent::RealAgent,
};

/// Time for what a start brings: the first inventory, the first long poll.
const SETTLING: Duration = Duration::from_secs(10);

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "idle",
    title: "Idle",
    how: "Resident memory of portal, poller and executor over TLS with everything as it is configured by default (a poll \
          is held for 25 s), and the processor time of both halves of the agent, scaled to a minute; perf counts it, the \
          kernel's own files are not fine enough. The baseline is a bare agent: one process with the same HTTP, TLS and \
          signature crates that only polls.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let mut portal = Portal::prepare_with(&bench.scratch, "idle", 1, true, "");
    portal.begin();
    let agent = RealAgent::start(&bench.scratch, &portal, "idle-agent", false);
    let bare = bare_agent(bench, &portal);
    thread::sleep(SETTLING.min(scale.idle));
    let [poller, executor] = agent.pids();
    let minute = 60.0 / scale.idle.as_secs_f64();
    let cpu = cpu_millis_of(&[poller, executor, bare.pid()], scale.idle);
    let mib = |pid| vec![memory(pid).resident_kib / 1024.0];
    let mut figures = vec![
        Figure::new("the portal, one agent parked", Unit::Mib, mib(portal.pid()))
            .goal(Goal::AtMost(15.0)),
        Figure::new("the agent's poller", Unit::Mib, mib(poller))
            .beside("a bare agent", mib(bare.pid()))
            .goal(Goal::AtMost(6.0)),
        Figure::new("the agent's executor", Unit::Mib, mib(executor))
            .beside("a bare agent", mib(bare.pid()))
            .goal(Goal::AtMost(6.0)),
    ];
    match cpu.as_deref() {
        Some(&[poller, executor, bare]) => {
            let both = vec![(poller + executor) * minute];
            figures.push(
                Figure::new("both, processor time a minute", Unit::Millis, both)
                    .beside("a bare agent", vec![bare * minute])
                    .goal(Goal::AtMost(2.0)),
            );
            for (name, millis) in [("the poller", poller), ("the executor", executor)] {
                let name = format!("{name}, processor time a minute");
                figures.push(Figure::new(name, Unit::Millis, vec![millis * minute]));
            }
        }
        _ => crate::page::warn("perf is missing (linux-perf): processor time at idle is left out"),
    }
    figures
}

fn bare_agent(bench: &Bench, portal: &Portal) -> Daemon {
    let folder = bench.scratch.folder("bare-agent");
    let mut command = Command::new(std::env::current_exe().expect("a path of our own"));
    command.arg("bare-agent").arg(portal.url()).arg(portal.agent_id(0).to_string());
    if let Some(authority) = portal.authority() {
        command.arg("--ca").arg(authority.ca());
    }
    Daemon::start("bare agent", &command, &folder.join("log"))
}
