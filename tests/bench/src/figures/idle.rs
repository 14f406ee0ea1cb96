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

/// Time for what a start brings: the first long poll, and the first inventory, which waits for its end.
const SETTLING: Duration = Duration::from_secs(40);

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "idle",
    title: "Idle",
    how: "Resident memory of portal, poller and executor over TLS with everything as it is configured by default (a poll \
          is held for 25 s), and the processor time of both halves of the agent, scaled to a minute, by the kernel's clock \
          of each process: the programs that an inventory starts every five minutes are not in it. Resident memory counts \
          pages of the program's file and of libraries in full, however many processes share them; what a process has \
          written itself stands apart. The baseline is a bare agent: one process that only polls, with the same HTTP, TLS \
          and signature crates, out of the file of this measuring program.",
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
    let private = |pid| vec![memory(pid).private_kib / 1024.0];
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
    for (name, pid) in [("the poller", poller), ("the executor", executor)] {
        let name = format!("{name}, written by itself");
        let figure = Figure::new(name, Unit::Mib, private(pid));
        figures.push(figure.beside("a bare agent", private(bare.pid())));
    }
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
        _ => crate::page::warn("python3 is missing: processor time at idle is left out"),
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
