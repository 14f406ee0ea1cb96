//! `freehold-bench`: measures the real programs beside baselines of the same run. `script/bench` builds
//! everything and runs it.

mod agent;
mod bare_agent;
mod disk;
mod figure;
mod figures;
mod hello;
mod http;
mod load;
mod machine;
mod page;
mod peers;
mod portal;
mod proc;
mod real_agent;
mod scale;
mod seat;
mod seed;
mod stats;
mod tenant_app;
mod tls;
mod wrk;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Instant};

use clap::{Parser, Subcommand};
use freehold_protocol::ids::AgentId;
use freehold_tests::scratch::Scratch;

use crate::{
    figures::{ALL, Bench, Measurement},
    scale::Scale,
};

/// Measures Freehold's programs, each figure beside a baseline of the same run
#[derive(Debug, Parser)]
struct Args {
    /// A look in a few minutes, with small counts
    #[arg(long, conflicts_with = "smoke")]
    quick: bool,
    /// Only that every measurement works; its figures mean nothing
    #[arg(long)]
    smoke: bool,
    /// Write the page to this file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// How this was called, for the page
    #[arg(long, default_value = "script/bench", hide = true)]
    called: String,
    /// Measure only these
    names: Vec<String>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it is its own baseline.
#[derive(Debug, Subcommand)]
enum Role {
    /// The bare server
    #[command(hide = true)]
    Hello {
        address: SocketAddr,
        #[arg(long)]
        tls: Option<PathBuf>,
    },
    /// The bare agent
    #[command(hide = true)]
    BareAgent {
        url: String,
        id: AgentId,
        #[arg(long)]
        ca: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.role {
        Some(Role::Hello { address, tls }) => hello::serve(address, tls.as_deref()),
        Some(Role::BareAgent { url, id, ca }) => bare_agent::run(&url, id, ca),
        None => return measure(&args),
    }
    ExitCode::SUCCESS
}

fn measure(args: &Args) -> ExitCode {
    let known = |name: &str| ALL.iter().any(|measurement| measurement.name == name);
    if let Some(unknown) = args.names.iter().find(|name| !known(name)) {
        let names: Vec<_> = ALL.iter().map(|measurement| measurement.name).collect();
        page::warn(&format!("there is no measurement {unknown}; use {}", names.join(", ")));
        return ExitCode::from(2);
    }
    let wanted = |measurement: &&Measurement| {
        args.names.is_empty() || args.names.iter().any(|name| name == measurement.name)
    };
    let scale = match (args.quick, args.smoke) {
        (true, _) => Scale::QUICK,
        (_, true) => Scale::SMOKE,
        _ => Scale::FULL,
    };
    let bench = Bench { scale, scratch: Scratch::new("bench") };
    let machine = machine::lines(bench.scratch.path());
    for line in &machine {
        page::say(line);
    }
    let mut results = Vec::new();
    for measurement in ALL.iter().filter(wanted) {
        let began = Instant::now();
        let figures = (measurement.run)(&bench);
        page::print(measurement, &figures);
        page::say(&format!("  in {:.1} s", began.elapsed().as_secs_f64()));
        results.push((measurement, figures));
    }
    let (met, missed) = page::verdicts(&results);
    if args.smoke {
        let empty = results.iter().filter(|(_, figures)| figures.is_empty());
        let left_out: Vec<_> = empty.map(|(measurement, _)| measurement.name).collect();
        page::say("\nthe measurements work; figures of so few runs mean nothing");
        if !left_out.is_empty() {
            page::say(&format!("left out of a smoke run: {}", left_out.join(", ")));
        }
    } else {
        page::say(&format!("\ngoals met: {met}, missed: {missed} ({} run)", bench.scale.name));
    }
    if let Some(path) = &args.page {
        page::write(path, &args.called, &machine, &results);
        page::say(&format!("written: {}", path.display()));
    }
    ExitCode::SUCCESS
}
