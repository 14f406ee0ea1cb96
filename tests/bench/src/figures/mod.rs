//! The measurements, one file per subject. Each returns figures with one value a run and, measured in
//! between, their baselines.

mod certbot;
mod commits;
mod deploy;
mod fan_out;
mod growth;
mod idle;
mod ingest;
mod ingest_logs;
mod jobs;
mod latency;
mod nginx;
mod parked;
mod requests;
mod sizes;
mod startup;
mod suspend;
mod validate;

use freehold_tests::scratch::Scratch;

use crate::{figure::Figure, scale::Scale};

/// What every measurement is given.
#[derive(Debug)]
pub struct Bench {
    /// How much.
    pub scale: Scale,
    /// Where.
    pub scratch: Scratch,
}

/// A measurement.
pub struct Measurement {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, as a heading.
    pub title: &'static str,
    /// How it is measured: what exactly begins and ends a figure, and what the baseline is.
    pub how: &'static str,
    /// Does it.
    pub run: fn(&Bench) -> Vec<Figure>,
}

/// All of them, in the order of the page.
pub const ALL: &[Measurement] = &[
    latency::MEASUREMENT,
    fan_out::MEASUREMENT,
    jobs::MEASUREMENT,
    ingest::MEASUREMENT,
    validate::MEASUREMENT,
    suspend::MEASUREMENT,
    ingest_logs::MEASUREMENT,
    commits::MEASUREMENT,
    requests::MEASUREMENT,
    parked::MEASUREMENT,
    growth::MEASUREMENT,
    idle::MEASUREMENT,
    startup::MEASUREMENT,
    sizes::MEASUREMENT,
    deploy::MEASUREMENT,
    nginx::MEASUREMENT,
    certbot::MEASUREMENT,
];
