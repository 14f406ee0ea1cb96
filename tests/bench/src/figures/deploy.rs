//! What a tenant's deploy costs beside the same stack under plain Docker Compose.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use freehold_portal::api::jobs::JobView;
use freehold_protocol::report::EventKind;
use freehold_tests::world::{Tenant, World, blueprint, steps_of};

use super::{Bench, Measurement};
use crate::figure::{Figure, Goal, Unit};

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "deploy",
    title: "Deploys",
    how: "The reference blueprint (three containers, PostgreSQL among them) on the real engine, nginx and certbot, with an \
          ACME server on the same machine: from the row in the job table to its end, by the portal's clock. A deploy is all \
          twelve steps; the time of the certificate's step is taken out and shown apart. The baseline is what an operator \
          would type in the very folder that the agent has written: `docker compose up -d --wait`, and `docker compose down \
          -v` for a removal with its data; the second baseline of a deploy is that and the same two commands of the product \
          (migrate, onboard) through `docker compose run --rm`, which a deploy does, too. Images are on the host already, and \
          so is another tenant, as on every host but a new one. The steps are by the agent's clock.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    if bench.scale.deploys == 0 {
        return Vec::new();
    }
    let world = World::start("bench");
    let release = world.push(&blueprint(&[]));
    let mut all = Times::default();
    let neighbour = world.tenant("neighbour");
    world.create(&neighbour, release);
    world.deploy(&neighbour, release);
    for number in 0..bench.scale.deploys {
        let tenant = world.tenant(&format!("t{number}"));
        world.create(&tenant, release);
        all.add(one(&world, bench, &tenant, release));
    }
    all.figures()
}

/// Seconds of one tenant's life.
#[derive(Default)]
struct Times {
    deploy: Vec<f64>,
    certificate: Vec<f64>,
    up: Vec<f64>,
    up_and_hooks: Vec<f64>,
    again: Vec<f64>,
    up_again: Vec<f64>,
    remove: Vec<f64>,
    down: Vec<f64>,
    reloads: Vec<f64>,
    steps: Vec<(String, Vec<f64>)>,
    steps_again: Vec<(String, Vec<f64>)>,
}

fn one(world: &World, bench: &Bench, tenant: &Tenant, release: u64) -> Times {
    let reloads = reloads(world);
    let job = world.deploy(tenant, release);
    let steps = steps(world, &job);
    let certificate = steps.iter().find(|(step, _)| step == "certificate");
    let certificate = certificate.expect("a deploy has a certificate").1[0];
    let mut times = Times {
        deploy: vec![seconds(&job) - certificate],
        certificate: vec![certificate],
        reloads: vec![(self::reloads(world) - reloads) as f64],
        steps,
        ..Times::default()
    };
    let again = world.deploy(tenant, release);
    times.again.push(seconds(&again));
    times.steps_again = self::steps(world, &again);
    let folder = world.folder(tenant);
    times.up_again.push(compose(&folder, &["up", "-d", "--wait"], ""));
    let copy = copied(bench, &folder, &tenant.slug);
    let removal = world.queue_remove(tenant, "delete");
    times.remove.push(seconds(&world.succeeds(&removal)));
    let up = compose(&copy, &["up", "-d", "--wait"], "");
    let migrate = compose(&copy, &["run", "--rm", "-T", "--no-deps", "backend", "migrate"], "");
    let admin = r#"{"email":"anna@bare.example.com","name":"Anna","password":"a-long-password-1"}"#;
    let onboard = compose(&copy, &["run", "--rm", "-T", "--no-deps", "backend", "onboard"], admin);
    times.up.push(up);
    times.up_and_hooks.push(up + migrate + onboard);
    times.down.push(compose(&copy, &["down", "-v"], ""));
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
        self.up_and_hooks.extend(other.up_and_hooks);
        for (mine, others) in
            [(&mut self.steps, other.steps), (&mut self.steps_again, other.steps_again)]
        {
            for (step, values) in others {
                match mine.iter_mut().find(|(known, _)| *known == step) {
                    Some((_, known)) => known.extend(values),
                    None => mine.push((step, values)),
                }
            }
        }
    }

    fn figures(self) -> Vec<Figure> {
        let mut figures = vec![
            Figure::new("deploy, the certificate apart", Unit::Seconds, self.deploy.clone())
                .beside("compose up --wait", self.up)
                .goal(Goal::RatioAtMost(1.05)),
            Figure::new("deploy, the certificate apart", Unit::Seconds, self.deploy)
                .beside("compose up --wait, migrate, onboard", self.up_and_hooks),
            Figure::new("its certificate", Unit::Seconds, self.certificate),
            Figure::new("deploy again, nothing changes", Unit::Seconds, self.again)
                .beside("compose up --wait again", self.up_again)
                .goal(Goal::RatioAtMost(1.15)),
            Figure::new("remove with data", Unit::Seconds, self.remove)
                .beside("compose down -v", self.down),
            Figure::new("reloads of nginx in a first deploy", Unit::Count, self.reloads),
        ];
        for (deploy, steps) in [("deploy", self.steps), ("again", self.steps_again)] {
            figures.extend(steps.into_iter().map(|(step, values)| {
                Figure::new(format!("{deploy}: {step}"), Unit::Seconds, values)
            }));
        }
        figures
    }
}

/// From the row in the table to the end.
fn seconds(job: &JobView) -> f64 {
    let ended = job.ended_at.expect("a job that rests");
    ended.millis_since(job.created_at) as f64 / 1e3
}

/// How long each step ran, by the agent's clock, and what was between them.
fn steps(world: &World, job: &JobView) -> Vec<(String, Vec<f64>)> {
    let events = world.events(&job.id.to_string());
    let mut steps: Vec<(String, Vec<f64>)> = Vec::new();
    for name in steps_of(&events) {
        let at = |what: EventKind| {
            let found = events.iter().find(|event| event.step == name && event.what == what);
            found.expect("the step's event").at
        };
        let millis = at(EventKind::StepDone).millis_since(at(EventKind::StepStarted));
        steps.push((name, vec![millis as f64 / 1e3]));
    }
    let within: f64 = steps.iter().map(|(_, values)| values[0]).sum();
    steps.push(("between the steps, before and after".to_owned(), vec![seconds(job) - within]));
    steps
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

fn compose(folder: &Path, args: &[&str], input: &str) -> f64 {
    let began = Instant::now();
    let mut child = Command::new("docker")
        .arg("compose")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker compose");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that does not read has no use for it.
    if let Err(error) = stdin.write_all(input.as_bytes()) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{args:?}");
    }
    drop(stdin);
    let output = child.wait_with_output().expect("docker compose");
    let took = began.elapsed().as_secs_f64();
    assert!(
        output.status.success(),
        "{args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    took
}
