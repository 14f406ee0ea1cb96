//! Lines of tenants' logs a second, and what license validation feels of them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{Bench, Measurement};
use crate::{
    disk::Disk,
    figure::{Figure, Goal, Unit},
    http::{Connection, request},
    load,
    portal::Portal,
    stats::percentile,
    tenant_app::TenantApp,
};

/// Lines of a batch.
const LINES: usize = 500;
/// Connections at once.
const CONNECTIONS: usize = 16;
/// Batches a second while validation is measured: fifty thousand lines.
const PACE: u32 = 100;
/// Connections that they come over.
const PACED: u32 = 4;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "ingest-logs",
    title: "Logs of tenants' apps",
    how: "Batches of 500 lines of some 180 bytes, each with an id of its own, over 16 kept connections, client and server \
          on the same processors. The portal answers when a batch is on the disk. The baseline is the disk's own rate of \
          durable writes by one thread. Then questions about a license, one after the other over one connection, alone and \
          while a hundred such batches a second come over four others: the 99th percentile of the time to the answer.",
    run,
};

/// A batch that was never sent before.
fn batch(app: &TenantApp, number: usize) -> Vec<u8> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let mut body = format!("{{\"batchId\":\"bench-{number}-{now}\",\"logs\":[");
    for line in 0..LINES {
        let comma = if line == 0 { "" } else { "," };
        body.push_str(&format!(
            "{comma}{{\"level\":\"info\",\"message\":\"GET /api/orders/{line} answered 200 in {} ms\",\"timestamp\":{now},\
             \"context\":{{\"order\":{line},\"batch\":{number}}},\"userId\":\"user-{}\",\"ip\":\"203.0.113.{}\"}}",
            line % 90,
            line % 40,
            line % 250
        ));
    }
    body.push_str("]}");
    request("POST", "/api/tenant-logs", &[("x-api-key", &app.api_key)], body.as_bytes())
}

fn run(bench: &Bench) -> Vec<Figure> {
    let scale = &bench.scale;
    let lines = "ingest_lines_per_minute = 100000000\ningest_mb_per_day = 10000000";
    let mut portal = Portal::prepare_with(&bench.scratch, "ingest-logs", 1, false, lines);
    portal.begin();
    let app = TenantApp::new(&portal);
    let disk = Disk::new(portal.folder());
    let mut connections: Vec<Connection> = (0..CONNECTIONS).map(|_| portal.connect()).collect();
    let each = (scale.requests / 25).div_ceil(CONNECTIONS);
    let (mut rates, mut writes) = (Vec::new(), Vec::new());
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let mut number = 0;
    for run in 0..=scale.runs {
        let batches: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS)
            .map(|_| {
                (0..each)
                    .map(|_| {
                        number += 1;
                        batch(&app, number)
                    })
                    .collect()
            })
            .collect();
        let took = load::run(&mut connections, &batches, 200);
        let quiet = questions(&portal, &app, scale.requests / 4);
        let busy = while_lines_come(&portal, &app, &mut number, scale.requests / 4);
        if run > 0 {
            rates.push(took.rate() * LINES as f64);
            writes.push(disk.rate(scale.commits / 2));
            alone.push(quiet);
            beside.push(busy);
        }
    }
    vec![
        Figure::new("durable lines, 500 a batch", Unit::PerSecond, rates)
            .beside("durable writes, one thread", writes)
            .goal(Goal::AtLeast(50_000.0)),
        Figure::new("license validation while 50,000 lines/s come, p99", Unit::Micros, beside)
            .beside("the same, alone", alone)
            .goal(Goal::RatioAtMost(2.0)),
    ]
}

/// The 99th percentile of the time to an answer, in microseconds.
fn questions(portal: &Portal, app: &TenantApp, count: usize) -> f64 {
    let mut connection = portal.connect();
    let question = app.question();
    let times: Vec<f64> = (0..count.max(100))
        .map(|_| {
            let began = Instant::now();
            connection.call(&question).expect(200);
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    percentile(&times, 99.0)
}

/// The same while batches come at a steady pace.
fn while_lines_come(portal: &Portal, app: &TenantApp, number: &mut usize, count: usize) -> f64 {
    let over = AtomicBool::new(false);
    let first = *number;
    let every = Duration::from_secs(1) / (PACE / PACED);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..PACED as usize)
            .map(|sender| {
                let over = &over;
                scope.spawn(move || {
                    let mut connection = portal.connect();
                    let mut sent = 0;
                    let began = Instant::now();
                    while !over.load(Ordering::Relaxed) {
                        let lines = batch(app, first + 1 + sent * PACED as usize + sender);
                        connection.call(&lines).expect(200);
                        sent += 1;
                        thread::sleep((every * sent as u32).saturating_sub(began.elapsed()));
                    }
                    sent
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        let found = questions(portal, app, count);
        over.store(true, Ordering::Relaxed);
        let sent: usize = senders.into_iter().map(|sender| sender.join().expect("a sender")).sum();
        *number += sent + PACED as usize;
        found
    })
}
