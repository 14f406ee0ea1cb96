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

/// Windows in which an idle agent is watched.
const MOST_WINDOWS: usize = 3;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "idle",
    title: "Idle",
    how: "Resident memory of portal, poller and executor over TLS with everything as it is configured by default (a poll \
          is held for 25 s), and the processor time of both halves of the agent, scaled to a minute, by the kernel's clock \
          of each process, in windows that follow each other: the programs that an inventory starts every five minutes are \
          not in it. Resident memory counts \
          pages of the program's file and of libraries in full, however many processes share them; what a process has \
          written itself stands apart. The baseline is a bare agent: one process that only polls, with the same HTTP, TLS \
          and signature crates, out of the file of this measuring program.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let mut portal = Portal::prepare_with(&bench.scratch, "idle", 1, true, "");
    portal.begin();
    let agent = RealAgent::start(&bench.scratch, &portal, "idle-agent");
    let bare = bare_agent(bench, &portal);
    thread::sleep(SETTLING.min(scale.idle));
    let [poller, executor] = agent.pids();
    let minute = 60.0 / scale.idle.as_secs_f64();
    let pids = [portal.pid(), poller, executor, bare.pid()];
    let [mut resident, mut private, mut millis] = [const { [const { Vec::new() }; 4] }; 3];
    for _ in 0..scale.runs.min(MOST_WINDOWS) {
        match cpu_millis_of(&pids, scale.idle) {
            Some(all) => {
                all.iter().zip(&mut millis).for_each(|(one, list)| list.push(one * minute))
            }
            None => crate::page::warn("python3 is missing: processor time at idle is left out"),
        }
        for (at, &pid) in pids.iter().enumerate() {
            let now = memory(pid);
            resident[at].push(now.resident_kib / 1024.0);
            private[at].push(now.private_kib / 1024.0);
        }
    }
    let [in_portal, in_poller, in_executor, in_bare] = resident;
    let mut figures = vec![
        Figure::new("the portal, one agent parked", Unit::Mib, in_portal).goal(Goal::AtMost(15.0)),
        Figure::new("the agent's poller", Unit::Mib, in_poller)
            .beside("a bare agent", in_bare.clone())
            .goal(Goal::AtMost(6.0)),
        Figure::new("the agent's executor", Unit::Mib, in_executor)
            .beside("a bare agent", in_bare)
            .goal(Goal::AtMost(6.0)),
    ];
    let [of_portal, of_poller, of_executor, of_bare] = private;
    figures.push(Figure::new("the portal, written by itself", Unit::Mib, of_portal));
    for (name, own) in [("the poller", of_poller), ("the executor", of_executor)] {
        let figure = Figure::new(format!("{name}, written by itself"), Unit::Mib, own);
        figures.push(figure.beside("a bare agent", of_bare.clone()));
    }
    let [_, of_poller, of_executor, of_bare] = millis;
    if !of_bare.is_empty() {
        let both = of_poller.iter().zip(&of_executor).map(|(one, other)| one + other).collect();
        figures.push(
            Figure::new("both, processor time a minute", Unit::Millis, both)
                .beside("a bare agent", of_bare)
                .goal(Goal::AtMost(2.0)),
        );
        for (name, own) in [("the poller", of_poller), ("the executor", of_executor)] {
            let name = format!("{name}, processor time a minute");
            figures.push(Figure::new(name, Unit::Millis, own));
        }
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
