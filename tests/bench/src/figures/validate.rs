//! License validations a second.

use std::path::Path;

use serde_json::json;

use super::{Bench, Measurement};
use crate::{
    figure::{Figure, Goal, Unit},
    hello, page, peers,
    portal::Portal,
    tenant_app::{TenantApp, VALIDATE},
    wrk::{self, Seen},
};

/// Connections at once.
const CONNECTIONS: usize = 64;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "validate",
    title: "License validation",
    how: "wrk asks `POST /api/v1/licenses/validate` about a valid license over 64 kept connections, on the processors that the \
          server has; the answer carries a signed lease, which everybody here keeps for a minute. Beside it the portal's own \
          HTTP layer that answers `hello`, and the same service as one would write it with Express and better-sqlite3 and \
          with FastAPI and SQLite (tests/bench/peers), each as one process. `script/bench --peers` installs these two; they \
          are left out where it has not run, and the whole where wrk is not installed.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let portal = Portal::start(&bench.scratch, "validate", 1, false);
    let app = TenantApp::new(&portal);
    portal.connect().call(&app.question()).expect(200);
    let script = bench.scratch.path().join("validate.lua");
    write_script(&script, &app);
    let bare = hello::Running::start(&bench.scratch, false);
    let peers = peers::start(&bench.scratch, &app);
    if peers.is_empty() {
        page::warn("Express and FastAPI are not installed: `script/bench --peers` does it");
    }
    let ask = |address, path, script: Option<&Path>| {
        wrk::ask(address, path, script, CONNECTIONS, bench.scale.wrk)
    };
    let (mut ours, mut hello) = (Vec::new(), Vec::new());
    let mut theirs: Vec<Vec<Seen>> = vec![Vec::new(); peers.len()];
    for run in 0..=bench.scale.runs {
        let seen = (ask(portal.address(), VALIDATE, Some(&script)), ask(bare.address(), "/", None));
        let (Some(own), Some(bare)) = seen else {
            page::warn("wrk is not installed, or had errors: license validations are not measured");
            return Vec::new();
        };
        let beside: Vec<Seen> = peers
            .iter()
            .map(|peer| {
                ask(peer.address(), VALIDATE, Some(&script))
                    .unwrap_or_else(|| panic!("{} answered with errors", peer.name))
            })
            .collect();
        if run > 0 {
            ours.push(own);
            hello.push(bare);
            for (list, seen) in theirs.iter_mut().zip(beside) {
                list.push(seen);
            }
        }
    }
    let rates = |list: &[Seen]| list.iter().map(|seen| seen.rate).collect::<Vec<_>>();
    let slowest = |list: &[Seen]| list.iter().map(|seen| seen.p99).collect::<Vec<_>>();
    let mut figures = vec![
        Figure::new("license validations, 64 connections", Unit::PerSecond, rates(&ours))
            .beside("bare hello", rates(&hello))
            .goal(Goal::AtLeast(30_000.0)),
        Figure::new("time to an answer, p99", Unit::Micros, slowest(&ours))
            .beside("bare hello", slowest(&hello))
            .goal(Goal::AtMost(4000.0)),
    ];
    for (peer, seen) in peers.iter().zip(&theirs) {
        figures.push(
            Figure::new("license validations", Unit::PerSecond, rates(&ours))
                .beside(peer.name, rates(seen))
                .goal(Goal::RatioAtLeast(2.5)),
        );
        figures.push(
            Figure::new("time to an answer, p99", Unit::Micros, slowest(&ours))
                .beside(peer.name, slowest(seen)),
        );
    }
    figures
}

/// The question in wrk's language. JSON strings of plain letters are Lua strings, too.
fn write_script(path: &Path, app: &TenantApp) {
    let text = format!(
        "wrk.method = \"POST\"\nwrk.body = {}\nwrk.headers[\"content-type\"] = \"application/json\"\nwrk.headers[\"x-api-key\"] = {}\n",
        json!(app.question_body()),
        json!(app.api_key),
    );
    std::fs::write(path, text).expect("a script for wrk");
}
