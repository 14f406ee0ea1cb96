//! How much is measured: everything, enough for a look, or just that it works.

use std::time::Duration;

/// See the module.
#[derive(Debug, Clone)]
pub struct Scale {
    /// Its name.
    pub name: &'static str,
    /// Runs of each measurement.
    pub runs: usize,
    /// Jobs whose latency is taken in a run.
    pub latencies: usize,
    /// The same with the real agent, which carries each job out.
    pub real_latencies: usize,
    /// Agents that are parked meanwhile.
    pub parked_meanwhile: usize,
    /// Agents of a fan-out.
    pub fan_out: usize,
    /// How often each run fans out.
    pub fan_outs: usize,
    /// Simulated agents that work at the same time, for rates.
    pub agents: usize,
    /// Rounds of one job each for all of them.
    pub rounds: usize,
    /// Requests of a run.
    pub requests: usize,
    /// Polls parked when memory is looked at.
    pub parked: &'static [usize],
    /// How long idle processes are watched.
    pub idle: Duration,
    /// How long wrk asks in a run.
    pub wrk: Duration,
    /// How long commits are counted in a run.
    pub commits: Duration,
    /// Deploys.
    pub deploys: usize,
    /// Certificates that are asked for.
    pub certificates: u32,
    /// Hosts of the large fleet.
    pub fleet: usize,
    /// Jobs in the long history.
    pub history: u64,
    /// Licenses, and API keys, of a large portal.
    pub licenses: u32,
}

impl Scale {
    /// Everything; about a quarter of an hour.
    pub const FULL: Self = Self {
        name: "full",
        runs: 5,
        latencies: 200,
        real_latencies: 8,
        parked_meanwhile: 1000,
        fan_out: 50,
        fan_outs: 5,
        agents: 128,
        rounds: 20,
        requests: 20_000,
        parked: &[1000, 10_000],
        idle: Duration::from_secs(60),
        wrk: Duration::from_secs(2),
        commits: Duration::from_secs(2),
        deploys: 3,
        certificates: 50,
        fleet: 10_000,
        history: 1_000_000,
        licenses: 50_000,
    };

    /// A look; a few minutes.
    pub const QUICK: Self = Self {
        name: "quick",
        runs: 3,
        latencies: 40,
        real_latencies: 3,
        parked_meanwhile: 200,
        fan_out: 50,
        fan_outs: 1,
        agents: 64,
        rounds: 6,
        requests: 3000,
        parked: &[500],
        idle: Duration::from_secs(5),
        wrk: Duration::from_secs(1),
        commits: Duration::from_millis(400),
        deploys: 0,
        certificates: 0,
        fleet: 1000,
        history: 20_000,
        licenses: 5000,
    };

    /// That it works; a few seconds in a development build.
    pub const SMOKE: Self = Self {
        name: "smoke",
        runs: 1,
        latencies: 3,
        real_latencies: 0,
        parked_meanwhile: 4,
        fan_out: 3,
        fan_outs: 1,
        agents: 4,
        rounds: 2,
        requests: 40,
        parked: &[8],
        idle: Duration::from_millis(200),
        wrk: Duration::from_secs(1),
        commits: Duration::from_millis(20),
        deploys: 0,
        certificates: 0,
        fleet: 12,
        history: 50,
        licenses: 20,
    };
}
