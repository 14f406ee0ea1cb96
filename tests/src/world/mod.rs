//! A whole Freehold of a test's own: portal, agent, nginx, certificate authority, one enrolled
//! host, all real, in a scratch folder. The Docker engine is shared; everything of a world carries
//! its tag there, and nothing else is looked at or removed.

mod agent;
mod api;
mod disk;
mod docker;
mod edges;
mod evidence;
mod jobs;
mod ledger;
mod portal;
mod programs;
mod snapshot;
mod tenant;

use std::sync::atomic::{AtomicU16, Ordering};

use agent::Held;
pub use agent::{Agent, Half};
pub use api::{Api, Reply};
pub use docker::docker;
pub use edges::{Cut, Edge};
pub use jobs::{DEPLOY_STEPS, steps_of};
pub use portal::{Portal, Tls};
pub use programs::{Outcome, agent_program, portal_program, run};
pub use snapshot::Snapshot;
pub use tenant::{Tenant, blueprint};

use crate::{acme::Acme, nginx::Nginx, ports, scratch::Scratch};

/// The name of a world's host.
pub const HOST: &str = "vps-1";
/// Ports of one world: half for backends, half for frontends.
const PORTS: u16 = 20;
/// The first of all: below those of `crate::ports`, above those that blueprints name.
const FIRST_PORT: u16 = 10_000;
/// Worlds that all test processes of the machine may have at one time.
const WORLDS: u16 = 400;

/// What a test may want to be different.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Lines of the portal's configuration.
    pub portal: Vec<String>,
    /// The portal speaks TLS with a certificate of a private authority, and agents and admins
    /// call it by this name; the test itself calls it `localhost`.
    pub tls: Option<String>,
    /// Tenants' apps reach the portal: it listens on every address, with `tls` by that of the engine's
    /// default bridge, which is this machine to every container.
    pub apps: bool,
    /// `key=value` for the agent's `--set`.
    pub agent: Vec<String>,
    /// Further environment of the agent.
    pub agent_env: Vec<(String, String)>,
    /// How far the agent's clock is off, as libfaketime reads it: `-1d`. The time since the start of
    /// the machine stays true, as on a real host.
    pub agent_clock: Option<String>,
    /// Size of a disk of its own for the agent's state folder, in KiB.
    pub state_disk_kib: Option<u32>,
    /// Size of a disk of its own for the folder of tenants' files, in KiB.
    pub tenants_disk_kib: Option<u32>,
    /// Size of a disk of its own for the portal's data folder, in KiB.
    pub data_disk_kib: Option<u32>,
    /// Whether to leave out the host: no enrollment, no agent.
    pub no_host: bool,
}

/// See the module. Dropping it ends all programs and removes all that they made.
#[derive(Debug)]
pub struct World {
    // Ended in this order: the agent first, so that it does not look for what is gone.
    agent: Agent,
    portal: Portal,
    /// The certificate authority.
    pub acme: Acme,
    /// The web server.
    pub nginx: Nginx,
    ears: docker::Ears,
    tag: String,
    ports: ports::Range,
    scratch: Scratch,
}

impl World {
    /// Starts one; `name` is for its folder's.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, Setup::default())
    }

    /// Starts one that differs.
    pub fn start_with(name: &str, setup: Setup) -> Self {
        static COUNT: AtomicU16 = AtomicU16::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Letters and digits only: it is part of a tenant's short name.
        let tag = format!("w{:x}x{number:x}", std::process::id());
        let claim = ports::claim(FIRST_PORT, PORTS, WORLDS);
        let first = claim.first();

        programs::check();
        let scratch = Scratch::new(name);
        ledger::note(&tag, &scratch);
        let ears = docker::Ears::open(&scratch);
        let nginx = Nginx::start(&scratch);
        let acme = Acme::start(&scratch, nginx.http_port());
        let mut setup = setup;
        if setup.apps {
            setup.tls = Some(docker::bridge_address());
        }
        let portal = Portal::start(&scratch, &setup);
        let agent = Agent::prepare(&scratch, (&portal, &nginx, &acme), first, &setup);
        let mut world = Self { agent, portal, acme, nginx, ears, tag, ports: claim, scratch };
        if !setup.no_host {
            world.enroll();
            world.agent.start();
        }
        world
    }

    /// Adds the host on the portal.
    pub fn add_host(&self) {
        let body = serde_json::json!({ "name": HOST });
        self.api().call("POST", "/hosts", Some(&body)).expect(201);
    }

    /// Adds the host on the portal and enrolls the agent as it.
    pub fn enroll(&mut self) {
        self.add_host();
        let token = self.enrollment_token(None);
        let outcome = self.agent.enroll(&token, &[]);
        assert!(outcome.success(), "the agent does not enroll: {outcome}");
    }

    /// A new enrollment token for the host.
    pub fn enrollment_token(&self, ttl_minutes: Option<u32>) -> String {
        let body = ttl_minutes
            .map_or(serde_json::json!({}), |minutes| serde_json::json!({ "ttlMinutes": minutes }));
        let path = format!("/hosts/{HOST}/enrollment-tokens");
        let answer = self.api().call("POST", &path, Some(&body)).expect(201);
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// The portal's API, as the owner.
    pub fn api(&self) -> &Api {
        self.portal.api()
    }

    /// The portal.
    pub fn portal(&mut self) -> &mut Portal {
        &mut self.portal
    }

    /// The agent.
    pub fn agent(&mut self) -> &mut Agent {
        &mut self.agent
    }

    /// The agent, to look at.
    pub fn agent_ref(&self) -> &Agent {
        &self.agent
    }

    /// The portal, to look at.
    pub fn portal_ref(&self) -> &Portal {
        &self.portal
    }

    /// What every tenant's short name in this world ends with.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// First port and number of ports that this world's host may give to tenants.
    pub fn port_range(&self) -> (u16, u16) {
        (self.ports.first(), PORTS)
    }

    /// The world's folder.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Runs `freehold` as the owner; it trusts the portal's authority.
    pub fn cli<I, A>(&self, args: I) -> Outcome
    where
        I: IntoIterator<Item = A>,
        A: AsRef<std::ffi::OsStr>,
    {
        self.cli_as(self.api().token(), args)
    }

    /// Runs `freehold` with somebody's token; it trusts the portal's authority.
    pub fn cli_as<I, A>(&self, token: &str, args: I) -> Outcome
    where
        I: IntoIterator<Item = A>,
        A: AsRef<std::ffi::OsStr>,
    {
        let mut all: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        if let Some(tls) = self.portal.tls() {
            all.extend(["--ca-file".into(), tls.ca.clone().into_os_string()]);
        }
        self.cli_with(token, all)
    }

    /// Runs `freehold` as the owner, knowing the system's authorities only.
    pub fn cli_as_is<I, A>(&self, args: I) -> Outcome
    where
        I: IntoIterator<Item = A>,
        A: AsRef<std::ffi::OsStr>,
    {
        self.cli_with(self.api().token(), args)
    }

    fn cli_with<I, A>(&self, token: &str, args: I) -> Outcome
    where
        I: IntoIterator<Item = A>,
        A: AsRef<std::ffi::OsStr>,
    {
        let mut command = std::process::Command::new(portal_program());
        command
            .args(args)
            .env("FREEHOLD_URL", self.api().url())
            .env("FREEHOLD_TOKEN", token)
            .env("HOME", self.scratch.path())
            .env_remove("XDG_CONFIG_HOME");
        run(command, None)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            evidence::print(self);
        }
        self.agent.stop();
        self.portal.stop();
        let unnamed = self.ears.unnamed_volumes(&self.tag);
        self.ears.close();
        docker::remove_all(&self.tag);
        docker::remove_volumes(unnamed.into_keys());
    }
}
