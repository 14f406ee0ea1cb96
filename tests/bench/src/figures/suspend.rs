//! From the order to suspend a license to the first answer that says so.

use std::time::Instant;

use serde_json::Value;

use super::{Bench, Measurement};
use crate::{
    figure::{Figure, Goal, Unit},
    http::Connection,
    portal::Portal,
    seed,
    tenant_app::TenantApp,
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "suspend",
    title: "Suspending a license",
    how: "From the moment before an admin's request to suspend a license is sent, to the moment at which its app has been told \
          `SUSPENDED`, over two kept connections and one after the other. Validations are answered out of memory, and a change makes \
          all of it anew: so it is measured with as many licenses and API keys in the database as a large portal has. The \
          baseline is the same with one license and one key.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let portal = Portal::start(&bench.scratch, "suspend", 1, false);
    let app = TenantApp::new(&portal);
    let (mut admin, mut asks) = (portal.connect(), portal.connect());
    let mut series = |runs| -> Vec<f64> {
        (0..runs).map(|_| suspended_after(&portal, &app, &mut admin, &mut asks)).collect()
    };
    let few = series(bench.scale.runs);
    seed::licenses(&portal.database(), bench.scale.licenses);
    // The first change takes up what was written behind the portal's back.
    series(1);
    let name = format!("suspended and refused, {} licenses and API keys", bench.scale.licenses + 1);
    vec![
        Figure::new(name, Unit::Millis, series(bench.scale.runs))
            .beside("one license", few)
            .goal(Goal::AtMost(1000.0)),
    ]
}

/// In milliseconds. Afterwards the license is worth something again.
fn suspended_after(
    portal: &Portal,
    app: &TenantApp,
    admin: &mut Connection,
    asks: &mut Connection,
) -> f64 {
    let change = |what: &str, body: &[u8]| {
        portal.owner("POST", &format!("/api/v1/licenses/{}/{what}", app.license), body)
    };
    let suspend = change("suspend", br#"{"reason":"unpaid"}"#);
    assert_eq!(code(app, asks), "VALID");
    let began = Instant::now();
    admin.call(&suspend).expect(200);
    while code(app, asks) != "SUSPENDED" {}
    let took = began.elapsed();
    admin.call(&change("reinstate", b"{}")).expect(200);
    while code(app, asks) != "VALID" {}
    took.as_secs_f64() * 1e3
}

fn code(app: &TenantApp, asks: &mut Connection) -> String {
    let answer: Value =
        serde_json::from_slice(&asks.call(&app.question()).expect(200)).expect("an answer");
    answer["code"].as_str().expect("its code").to_owned()
}
