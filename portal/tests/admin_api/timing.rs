//! How long it takes to look a key up tells nobody whether there is such a key.
//!
//! Measured in pairs, one after the other, so that whatever else the machine does meets both alike.

use std::{hint::black_box, time::Instant};

use freehold_portal::domain::license_key::LicenseKey;
use serde_json::json;

use crate::validation::App;

const KEYS: &str = "/api/v1/tenants/acme/keys";

/// Pairs of one measurement.
const PAIRS: usize = 20_000;
/// Medians that differ by less are the same: a quarter.
const ALIKE: f64 = 0.25;
/// Measurements of which the best counts: on a busy machine a single one proves nothing.
const TRIES: usize = 3;

/// By what part the medians of two things differ, in the best of three measurements.
fn difference(mut one: impl FnMut(), mut other: impl FnMut()) -> f64 {
    let nanos = |what: &mut dyn FnMut()| {
        let began = Instant::now();
        what();
        began.elapsed().as_nanos() as f64
    };
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // Neither is always the one that finds the caches warm.
            if pair % 2 == 0 {
                first.push(nanos(&mut one));
                second.push(nanos(&mut other));
            } else {
                second.push(nanos(&mut other));
                first.push(nanos(&mut one));
            }
        }
        let (first, second) = (median(first), median(second));
        best = best.min((first - second).abs() / first.max(second));
        if best < ALIKE {
            break;
        }
    }
    best
}

#[test]
fn a_key_that_is_known_takes_as_long_as_one_that_is_not() {
    let (app, stranger) = (App::new(json!({})), App::new(json!({})));
    let made = app.world.as_owner("POST", KEYS).send().expect(201);
    let (revoked, id) = (made["secret"].as_str().unwrap(), made["key"]["id"].as_str().unwrap());
    app.world.as_owner("DELETE", &format!("{KEYS}/{id}")).send().expect(204);

    let desk = &app.world.portal.licensing;
    let (snapshot, now) = (desk.snapshot(), app.world.portal.db.now());
    let look = |secret: &str| {
        black_box(desk.tenant_key(&snapshot, black_box(secret), now).is_ok());
    };
    assert!(desk.tenant_key(&snapshot, &app.api_key, now).is_ok());
    assert!(desk.tenant_key(&snapshot, revoked, now).is_err());
    assert!(desk.tenant_key(&snapshot, &stranger.api_key, now).is_err());
    let good = difference(|| look(&app.api_key), || look(&stranger.api_key));
    assert!(good < ALIKE, "a good key and an unknown one differ by {good:.2}");
    let ended = difference(|| look(revoked), || look(&stranger.api_key));
    assert!(ended < ALIKE, "a revoked key and an unknown one differ by {ended:.2}");

    let parse = |text: &str| LicenseKey::parse(text).unwrap();
    let (own, unknown) = (parse(&app.key), parse(&stranger.key));
    let open = |key: &LicenseKey| {
        black_box(desk.license(&snapshot, black_box(key)).is_some());
    };
    assert!(desk.license(&snapshot, &own).is_some() && desk.license(&snapshot, &unknown).is_none());
    let licenses = difference(|| open(&own), || open(&unknown));
    assert!(licenses < ALIKE, "an own license and an unknown one differ by {licenses:.2}");

    // That it would be seen: a way that is left before the hash, or gone twice.
    let short = difference(
        || look(&app.api_key),
        || {
            black_box(snapshot.size());
        },
    );
    assert!(short > ALIKE, "a lookup without a hash is not told apart: {short:.2}");
    let twice = difference(
        || look(&app.api_key),
        || {
            look(&stranger.api_key);
            look(&stranger.api_key);
        },
    );
    assert!(twice > ALIKE, "two lookups are not told from one: {twice:.2}");
}
