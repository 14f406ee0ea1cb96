//! How often nginx is touched.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use freehold_tests::world::{Setup, Tenant, World, blueprint};
use serde_json::json;

use super::{Bench, Measurement};
use crate::figure::{Figure, Goal, Unit};

/// Without a call for so long after its first, a look at the host is over. The next one comes 15 s after it at
/// the earliest: a job that is started now is counted alone.
const CALM: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "nginx",
    title: "nginx",
    how: "How often a job lets nginx check its configuration and load it: a program in nginx's place writes down when it was \
          called and how, and calls nginx. A change is a step that alters a site: a first deploy has two (the plain site \
          that answers the authority, and the site itself), so has a move to another domain; a removal has one. Each has \
          one check and one reload. Before anything is changed, a deploy also looks at the whole configuration once, since \
          it must be known what else serves the domain (nginx checks what it prints), and a removal lets nginx check once \
          that it will take the change. The agent's looks at the host ask nginx, too: each job is started just after one.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    if bench.scale.deploys == 0 {
        return Vec::new();
    }
    let notes = Notes::new(bench);
    let setup = Setup {
        agent: vec![
            format!("programs.nginx={}", notes.program.display()),
            // The agent looks at its host at its start and after jobs only.
            "inventory.interval_secs=3600".to_owned(),
        ],
        ..Setup::default()
    };
    let world = World::start_with("bench-nginx", setup);
    let release = world.push(&blueprint(&[]));
    let tenant = world.tenant("acme");
    world.create(&tenant, release);
    let deploy = || drop(world.deploy(&tenant, release));
    let mut figures = Vec::new();
    // The agent's first look at the host, which comes with the portal's first answer.
    notes.await_look(0);
    let mut count = |what: &str, looks: usize, changes: usize, job: &dyn Fn()| {
        let calls = notes.during(job);
        let figure = |of: &str, value: usize, most: usize| {
            let name = format!("{what}, {changes} changes: {of}");
            Figure::new(name, Unit::Count, vec![value as f64]).goal(Goal::AtMost(most as f64))
        };
        figures.push(figure("checks", calls.checks, looks + changes));
        figures.push(figure("reloads", calls.reloads, changes));
    };
    count("first deploy", 1, 2, &deploy);
    count("the same again", 1, 0, &deploy);
    move_away(&world, &tenant);
    count("move to another domain", 1, 2, &deploy);
    count("removal", 1, 1, &|| {
        let removal = world.queue_remove(&tenant, "delete");
        drop(world.succeeds(&removal));
    });
    figures
}

fn move_away(world: &World, tenant: &Tenant) {
    let path = format!("/tenants/{}", tenant.slug);
    let reply = world.api().patch(&path, &json!({ "domain": format!("new-{}", tenant.domain) }));
    assert_eq!(reply.status, 200, "{}", reply.text);
}

/// Whether a call has this argument.
fn has(call: &str, word: &str) -> bool {
    call.split(' ').any(|argument| argument == word)
}

/// Calls of nginx in the time of one job.
#[derive(Debug, Default)]
struct Calls {
    checks: usize,
    reloads: usize,
}

/// The program in nginx's place, and what it has written down.
struct Notes {
    program: PathBuf,
    file: PathBuf,
}

impl Notes {
    fn new(bench: &Bench) -> Self {
        let folder = bench.scratch.folder("nginx-calls");
        let (program, file) = (folder.join("nginx"), folder.join("calls"));
        let text =
            format!("#!/bin/sh\necho \"$*\" >>'{}'\nexec /usr/sbin/nginx \"$@\"\n", file.display());
        fs::write(&program, text).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
        Self { program, file }
    }

    /// The arguments of each call so far.
    fn all(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What is called while a job is done; ends when the look at the host that follows it is over.
    fn during(&self, job: &dyn Fn()) -> Calls {
        let before = self.all().len();
        job();
        let all = self.all();
        let mut calls = Calls::default();
        for call in &all[before..] {
            calls.checks += usize::from(has(call, "-t") || has(call, "-T"));
            calls.reloads += usize::from(has(call, "reload"));
        }
        self.await_look(all.len());
        calls
    }

    /// Waits until the look at the host that comes after `calls` calls is over.
    fn await_look(&self, calls: usize) {
        let began = Instant::now();
        let mut last = (calls, Instant::now());
        while last.0 == calls || last.1.elapsed() < CALM {
            assert!(began.elapsed() < PATIENCE, "no look at the host, or no end: {:?}", self.all());
            thread::sleep(Duration::from_millis(100));
            let calls = self.all().len();
            if calls != last.0 {
                last = (calls, Instant::now());
            }
        }
    }
}
