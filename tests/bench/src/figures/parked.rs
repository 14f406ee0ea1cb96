//! Memory and threads with many parked polls.

use super::{Bench, Measurement};
use crate::{
    figure::{Figure, Goal, Unit},
    hello,
    http::Connection,
    portal::Portal,
    proc::{Memory, memory},
};

/// Ten thousand polls take ten seconds to park.
const MOST_RUNS: usize = 3;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "parked",
    title: "Parked polls",
    how: "Resident memory and threads of the portal while polls of so many agents are parked, less those before the first \
          connection, divided by their number. Each was signed, verified and looked for work. The kernel's own memory \
          (socket buffers, thread stacks in the kernel) is not in it. The baseline is the bare server on the same HTTP layer \
          with as many requests parked that hold nothing.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let mut figures = Vec::new();
    let most = bench.scale.parked.iter().copied().max().unwrap_or(0);
    for tls in [false, true] {
        let kind = if tls { "TLS" } else { "plain" };
        let mut portal = Portal::prepare(&bench.scratch, &format!("parked-{kind}"), most, tls);
        for &count in bench.scale.parked {
            let [mut polls, mut bare, mut resident, mut threads] = [const { Vec::new() }; 4];
            for _ in 0..bench.scale.runs.min(MOST_RUNS) {
                // Started anew, so that what an earlier run has left does not hide anything.
                portal.begin();
                let (each, whole) = park_polls(&portal, count);
                portal.stop();
                polls.push(each);
                resident.push(whole.resident_kib / 1024.0);
                threads.push(whole.threads);
                bare.push(park_bare(bench, count, tls));
            }
            let goal = if tls { 80.0 } else { 40.0 };
            figures.push(
                Figure::new(format!("a parked poll, {kind}, {count} of them"), Unit::Kib, polls)
                    .beside("a parked request, bare", bare)
                    .goal(Goal::AtMost(goal)),
            );
            figures.push(Figure::new(
                format!("the portal with {count} parked polls, {kind}"),
                Unit::Mib,
                resident,
            ));
            figures.push(Figure::new(
                format!("its threads with {count} parked polls, {kind}"),
                Unit::Count,
                threads,
            ));
        }
    }
    figures
}

/// KiB of each, and the whole process.
fn park_polls(portal: &Portal, count: usize) -> (f64, Memory) {
    let before = memory(portal.pid());
    let mut connections = Vec::with_capacity(count);
    for n in 0..count {
        let mut connection = portal.connect();
        connection.send(&portal.agent(n).poll(55, 2));
        connections.push(connection);
    }
    portal.wait_parked(count);
    let after = memory(portal.pid());
    drop(connections);
    ((after.resident_kib - before.resident_kib) / count as f64, after)
}

fn park_bare(bench: &Bench, count: usize, tls: bool) -> f64 {
    let bare = hello::Running::start(&bench.scratch, tls);
    let before = memory(bare.pid());
    let park = hello::Running::get("/park");
    let connections: Vec<Connection> = (0..count)
        .map(|_| {
            let mut connection = bare.connect();
            connection.send(&park);
            connection
        })
        .collect();
    let began = std::time::Instant::now();
    while memory(bare.pid()).threads < count as f64 {
        assert!(began.elapsed().as_secs() < 60, "the bare server does not take all connections");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // The last of them have their thread and may not have read their request yet.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let after = memory(bare.pid());
    drop(connections);
    (after.resident_kib - before.resident_kib) / count as f64
}
