//! Whether certificates come when the authority refuses nonces now and then, as authorities do.

use std::{path::Path, sync::Arc, time::Instant};

use freehold_agent::{
    clock::{Clock as _, SystemClock},
    config::Config,
    executor::build,
    host::certbot,
    runner::CancelToken,
    saga::context::Host,
};
use freehold_protocol::ids::{Domain, TenantId};
use freehold_tests::{
    acme::{Acme, Options},
    nginx::Nginx,
};
use uuid::Uuid;

use super::{Bench, Measurement};
use crate::figure::{Figure, Goal, Unit};

/// How many of a hundred good nonces the authority refuses: Pebble's own default.
const REFUSED_PERCENT: u8 = 5;

pub(super) const MEASUREMENT: Measurement = Measurement {
    name: "certbot",
    title: "Certificates",
    how: "Certificates of as many domains, one after the other, through the agent's own code: real certbot with `--webroot`, \
          challenges through a real nginx, an ACME server (Pebble) on the same machine that refuses 5 of 100 good nonces, its \
          default. The baseline is certbot called once for each, as an operator would: whether it then has a certificate, and \
          how long that took.",
    run,
};

fn run(bench: &Bench) -> Vec<Figure> {
    let count = bench.scale.certificates;
    if count == 0 {
        return Vec::new();
    }
    let nginx = Nginx::start(&bench.scratch);
    let options = Options { nonce_reject_percent: REFUSED_PERCENT, ..Options::default() };
    let acme = Acme::start_with(&bench.scratch, nginx.http_port(), &options);
    let webroot = bench.scratch.folder("webroot");
    serve_challenges(&nginx, &webroot);
    let ours = Ours::new(bench, &acme, &webroot);
    let mut single = acme.certbot(&bench.scratch.folder("single"));
    single.args(["certonly", "--webroot", "--agree-tos", "--register-unsafely-without-email"]);
    single.arg("--webroot-path").arg(&webroot);
    let (mut seconds, mut single_seconds) = (Vec::new(), Vec::new());
    let (mut failed, mut single_failed) = (0, 0);
    for number in 0..count {
        let began = Instant::now();
        if let Err(error) = ours.certificate(number) {
            failed += 1;
            crate::page::warn(&format!("certificate {number}: {error}"));
        }
        seconds.push(began.elapsed().as_secs_f64());
        let mut once = acme_again(&single);
        let name = format!("single{number}");
        once.args(["--cert-name", &name, "--domain", &format!("{name}.freehold.test")]);
        let began = Instant::now();
        if !once.output().expect("certbot runs").status.success() {
            single_failed += 1;
        }
        single_seconds.push(began.elapsed().as_secs_f64());
    }
    let named = |what: &str| format!("{what}, failed of {count}");
    vec![
        Figure::new(named("certificates"), Unit::Count, vec![f64::from(failed)])
            .goal(Goal::AtMost(0.0)),
        Figure::new(named("certbot called once"), Unit::Count, vec![f64::from(single_failed)]),
        Figure::new("a certificate", Unit::Seconds, seconds)
            .beside("certbot called once", single_seconds),
    ]
}

/// A command cannot be cloned.
fn acme_again(command: &std::process::Command) -> std::process::Command {
    let mut again = std::process::Command::new(command.get_program());
    again.args(command.get_args());
    again.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    again
}

/// One site for every name, which answers the authority.
fn serve_challenges(nginx: &Nginx, webroot: &Path) {
    let site = format!(
        "server {{ listen {}:{}; server_name .freehold.test; \
         location /.well-known/acme-challenge/ {{ root {}; }} }}",
        Nginx::LISTEN,
        nginx.http_port(),
        webroot.display()
    );
    std::fs::write(nginx.sites().join("challenges.conf"), site).expect("a site");
    nginx.reload().unwrap_or_else(|error| panic!("nginx: {error}"));
    // A reload is done by new workers a moment later.
    std::thread::sleep(std::time::Duration::from_millis(300));
}

/// The agent's own code, as its executor calls it.
struct Ours {
    host: Arc<Host>,
}

impl Ours {
    fn new(bench: &Bench, acme: &Acme, webroot: &Path) -> Self {
        let home = bench.scratch.folder("certbot");
        let mut config =
            Config { state_dir: bench.scratch.folder("certbot-state"), ..Config::default() };
        config.certbot.server = acme.directory_url();
        config.certbot.ca_file = acme.server_ca();
        config.certbot.config_dir = home.join("config");
        config.certbot.work_dir = home.join("work");
        config.certbot.logs_dir = home.join("logs");
        config.certbot.webroot = webroot.to_owned();
        let runner = build::system(&config).expect("the runner of host commands");
        Self { host: Arc::new(Host::new(&config, Box::new(runner)).expect("a host")) }
    }

    fn certificate(&self, number: u32) -> Result<(), String> {
        let tenant = TenantId::from_uuid(Uuid::from_u128(u128::from(number)));
        let domain: Domain = format!("t{number}.freehold.test").parse().expect("a domain");
        let now = SystemClock.now();
        build::with_commands(self.host.runner.as_ref(), |commands| {
            let lock = self.host.locks.certbot.lock(&CancelToken::new()).expect("our turn");
            let request = certbot::Request { tenant, domain: &domain, now };
            certbot::ensure(commands, &lock, &self.host.config.certbot, &request)
        })
        .map(drop)
        .map_err(|error| freehold_protocol::failure::Failure::from(error).what)
    }
}
