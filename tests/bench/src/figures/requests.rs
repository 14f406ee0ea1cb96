//! Small requests a second.

use super::{Bench, Measurement};
use crate::{
    agent::Agent,
    figure::{Figure, Goal, Unit},
    hello,
    http::Connection,
    load::{self, Took},
    portal::Portal,
    proc::cpu_nanos,
    wrk,
};

/// Connections at once.
const CONNECTIONS: usize = 64;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "requests",
    title: "Small requests",
    how: "Requests over 64 kept connections, client and server on the same processors, requests signed before the clock \
          starts. The bare server is the portal's own HTTP layer with a handler that answers `hello`. An empty poll is one \
          that does not wait and finds nothing: the portal verifies the request's signature, notes that the agent was \
          there, looks for work and signs its answer. The second baseline of a poll is the bare server verifying the same \
          signature and signing as large an answer, and doing nothing else: what the protocol's signatures cost anybody. \
          Where wrk is installed it asks the bare server as well, over as many connections: what another client gets out of it.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    // So many agents that none comes near the number of requests that one agent may send.
    let agents = CONNECTIONS.max(scale.requests * (scale.runs + 1) / 1000);
    let portal = Portal::start(&bench.scratch, "requests", agents, false);
    let bare = hello::Running::start(&bench.scratch, false);
    let mut polling: Vec<Agent> = (0..agents).map(|n| portal.agent(n)).collect();
    let mut to_bare: Vec<Connection> = (0..CONNECTIONS).map(|_| bare.connect()).collect();
    let mut to_portal: Vec<Connection> = (0..CONNECTIONS).map(|_| portal.connect()).collect();
    let signer = portal.signer_for(bare.address());
    let each = scale.requests.div_ceil(CONNECTIONS);
    let mut all = [const { Vec::new() }; 4];
    let mut by_wrk = Vec::new();
    for number in 0..=scale.runs {
        let hello = load::repeated(&hello::Running::get("/"), CONNECTIONS, each);
        let signed: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS)
            .map(|_| (0..each).map(|_| signer.poll_at("/signed", 0, 2)).collect())
            .collect();
        let me = load::repeated(&portal.owner("GET", "/api/v1/me", b""), CONNECTIONS, each);
        let mut next = 0;
        let polls: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS)
            .map(|_| {
                (0..each)
                    .map(|_| {
                        next = (next + 1) % agents;
                        polling[next].poll(0, 2)
                    })
                    .collect()
            })
            .collect();
        let results = [
            measured(bare.pid(), &mut to_bare, &hello),
            measured(bare.pid(), &mut to_bare, &signed),
            measured(portal.pid(), &mut to_portal, &me),
            measured(portal.pid(), &mut to_portal, &polls),
        ];
        if number > 0 {
            by_wrk.extend(
                wrk::ask(bare.address(), "/", None, CONNECTIONS, scale.wrk).map(|seen| seen.rate),
            );
            for (list, result) in all.iter_mut().zip(results) {
                list.push(result);
            }
        }
    }
    let rates = |which: usize| all[which].iter().map(|one: &(Took, f64)| one.0.rate()).collect();
    let costs = |which: usize| all[which].iter().map(|one: &(Took, f64)| one.1).collect();
    let bare_hello = "bare hello";
    let bare_signed = "bare, same signatures";
    let mut figures = vec![
        Figure::new("bare hello", Unit::PerSecond, rates(0)),
        Figure::new("GET /api/v1/me with a token", Unit::PerSecond, rates(2))
            .beside(bare_hello, rates(0)),
        Figure::new("empty poll", Unit::PerSecond, rates(3))
            .beside(bare_hello, rates(0))
            .goal(Goal::RatioAtLeast(0.7)),
        Figure::new("empty poll", Unit::PerSecond, rates(3)).beside(bare_signed, rates(1)),
        Figure::new("empty poll, the portal's processor time", Unit::Micros, costs(3))
            .beside(bare_signed, costs(1)),
        Figure::new("the same signatures alone, processor time", Unit::Micros, costs(1))
            .beside(bare_hello, costs(0)),
    ];
    if by_wrk.len() == scale.runs {
        let figure = Figure::new("bare hello, asked by wrk", Unit::PerSecond, by_wrk);
        figures.insert(1, figure.beside(bare_hello, rates(0)));
    }
    figures
}

/// A load, and the server's processor time of a request in microseconds.
fn measured(pid: u32, to: &mut [Connection], requests: &[Vec<Vec<u8>>]) -> (Took, f64) {
    let before = cpu_nanos(pid);
    let took = load::run(to, requests, 200);
    (took, (cpu_nanos(pid) - before) / took.requests as f64 / 1e3)
}
