//! What a tenant's deploy costs beside the same stack under plain Docker Compose.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use freehold_portal::api::jobs::JobView;
use freehold_protocol::report::EventKind;
use freehold_tests::world::{Tenant, World, blueprint};

use super::{Bench, Measurement};
use crate::figure::{Figure, Goal, Unit};

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "deploy",
    title: "Deploys",
    how: "The reference blueprint (three containers, PostgreSQL among them) on the real engine, nginx and certbot, with an \
          ACME server on the same machine: from the row in the job table to its end, by the portal's clock. A deploy is all \
          twelve steps; the time of the certificate's step is taken out and shown apart. The baseline is what an operator \
          would type in the very folder that the agent has written: `docker compose up -d --wait`, and `docker compose down \
          -v` for a removal with its data. Images are on the host already.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    if bench.scale.deploys == 0 {
        return Vec::new();
    }
    let world = World::start("bench");
    let release = world.push(&blueprint(&[]));
    let mut all = Times::default();
    // The first one warms the engine up.
    for number in 0..=bench.scale.deploys {
        let tenant = world.tenant(&format!("t{number}"));
        world.create(&tenant, release);
        let times = one(&world, bench, &tenant, release);
        if number > 0 {
            all.add(times);
        }
    }
    all.figures()
}

/// Seconds of one tenant's life.
#[derive(Default)]
struct Times {
    deploy: Vec<f64>,
    certificate: Vec<f64>,
    up: Vec<f64>,
    again: Vec<f64>,
    up_again: Vec<f64>,
    remove: Vec<f64>,
    down: Vec<f64>,
    reloads: Vec<f64>,
}

fn one(world: &World, bench: &Bench, tenant: &Tenant, release: u64) -> Times {
    let reloads = reloads(world);
    let job = world.deploy(tenant, release);
    let certificate = step_seconds(world, &job, "certificate");
    let mut times = Times {
        deploy: vec![seconds(&job) - certificate],
        certificate: vec![certificate],
        reloads: vec![(self::reloads(world) - reloads) as f64],
        ..Times::default()
    };
    times.again.push(seconds(&world.deploy(tenant, release)));
    let folder = world.folder(tenant);
    times.up_again.push(compose(&folder, &["up", "-d", "--wait"]));
    let copy = copied(bench, &folder, &tenant.slug);
    let removal = world.queue_remove(tenant, "delete");
    times.remove.push(seconds(&world.succeeds(&removal)));
    times.up.push(compose(&copy, &["up", "-d", "--wait"]));
    times.down.push(compose(&copy, &["down", "-v"]));
    times
}

impl Times {
    fn add(&mut self, other: Self) {
        self.deploy.extend(other.deploy);
        self.certificate.extend(other.certificate);
        self.up.extend(other.up);
        self.again.extend(other.again);
        self.up_again.extend(other.up_again);
        self.remove.extend(other.remove);
        self.down.extend(other.down);
        self.reloads.extend(other.reloads);
    }

    fn figures(self) -> Vec<Figure> {
        vec![
            Figure::new("deploy, the certificate apart", Unit::Seconds, self.deploy)
                .beside("compose up --wait", self.up)
                .goal(Goal::RatioAtMost(1.05)),
            Figure::new("its certificate", Unit::Seconds, self.certificate),
            Figure::new("deploy again, nothing changes", Unit::Seconds, self.again)
                .beside("compose up --wait again", self.up_again)
                .goal(Goal::RatioAtMost(1.15)),
            Figure::new("remove with data", Unit::Seconds, self.remove)
                .beside("compose down -v", self.down),
            Figure::new("reloads of nginx in a first deploy", Unit::Count, self.reloads),
        ]
    }
}

/// From the row in the table to the end.
fn seconds(job: &JobView) -> f64 {
    let ended = job.ended_at.expect("a job that rests");
    ended.millis_since(job.created_at) as f64 / 1e3
}

/// How long a step ran, by the agent's clock.
fn step_seconds(world: &World, job: &JobView, step: &str) -> f64 {
    let events = world.events(&job.id.to_string());
    let at = |what: EventKind| {
        let found = events.iter().find(|event| event.step == step && event.what == what);
        found.expect("the step's event").at
    };
    at(EventKind::StepDone).millis_since(at(EventKind::StepStarted)) as f64 / 1e3
}

fn reloads(world: &World) -> usize {
    world.nginx.error_log().matches("signal 1 (SIGHUP) received").count()
}

/// The folder's stack with its own project name, so that it can come up without us.
fn copied(bench: &Bench, folder: &Path, slug: &str) -> PathBuf {
    let copy = bench.scratch.folder(&format!("bare-{slug}"));
    for name in ["compose.yaml", ".env"] {
        fs::copy(folder.join(name), copy.join(name)).expect("a file of the stack");
    }
    copy
}

fn compose(folder: &Path, args: &[&str]) -> f64 {
    let began = Instant::now();
    let output = Command::new("docker")
        .arg("compose")
        .args(args)
        .current_dir(folder)
        .output()
        .expect("docker compose");
    let took = began.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}
