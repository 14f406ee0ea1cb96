//! What a step is given: the plan, the host, and what watches it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use freehold_protocol::blueprint::names::RoleName;
use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::PortRange;
use freehold_protocol::secret::Secret;
use freehold_protocol::time::Timestamp;

use super::locks::{Locks, PortsLock};
use super::step::{Before, StepOutput};
use crate::host::certbot::CertbotLock;
use crate::host::facts::Thresholds;
use crate::host::nginx::NginxLock;
use crate::host::probe::Roots;
use crate::host::{certbot, nginx};
use crate::journal::Journal;
use crate::journal::sagas::SagaId;
use crate::plan::Plan;
use crate::runner::{Activity, CancelToken, Commands, Runner, Watch};

/// The host: where things are, who runs commands, and what only one may do.
#[derive(Debug)]
pub struct Host {
    /// Who runs commands.
    pub runner: Box<dyn Runner>,
    /// Where things are.
    pub config: HostConfig,
    /// What only one job at a time may do.
    pub locks: Locks,
}

/// Where things are on the host, and how long to wait for them.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// The folder of the tenants' folders.
    pub tenants_dir: PathBuf,
    /// The key that opens what the portal seals for this host.
    pub seal_key: PathBuf,
    /// How nginx is called.
    pub nginx: nginx::Settings,
    /// How certbot is called.
    pub certbot: certbot::Settings,
    /// The folder of certificates that the operator installs.
    pub certificates_dir: PathBuf,
    /// Ranges of host ports by role, in place of the blueprint's.
    pub ports: BTreeMap<RoleName, PortRange>,
    /// How full the host may be.
    pub thresholds: Thresholds,
    /// Whom to believe when public sites are looked at; none: they are looked at over plain HTTP
    /// only, which is for tests without a certificate authority.
    pub roots: Option<Roots>,
    /// Where public sites are looked for.
    pub public: SocketAddr,
    /// Waiting times.
    pub waits: Waits,
    /// Whether what tenants have on the disk is counted.
    pub measures_disk: bool,
}

/// Waiting times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For the containers of a stack to become healthy.
    pub start: Duration,
    /// For one image.
    pub pull: Duration,
    /// For a database to answer.
    pub database: Duration,
    /// For an address to answer well, after a start or a reload.
    pub answer: Duration,
    /// Between two looks.
    pub pause: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(300),
            pull: Duration::from_secs(1800),
            database: Duration::from_secs(120),
            answer: Duration::from_secs(60),
            pause: Duration::from_secs(1),
        }
    }
}

/// Everything that a step may use.
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The saga's number.
    pub saga: SagaId,
    /// The host.
    pub host: &'a Host,
    /// The journal: ports and tenants. Records are the engine's alone.
    pub journal: &'a Journal,
    /// Ends what runs when it is cancelled.
    pub cancel: &'a CancelToken,
    /// Is touched at every sign of life.
    pub activity: &'a Activity,
    /// When this run began.
    pub now: Timestamp,
    /// What the step's look has recorded; nothing while it looks.
    pub before: &'a Before,
    /// What earlier steps have handed on.
    pub outputs: &'a [StepOutput],
    /// The tenant's secrets ([`super::steps::secrets_of`]). A container may print them wherever it
    /// pleases, so no command of a step gives them back.
    pub secrets: &'a [Secret],
    /// Tells people how it goes: what programs print, of which some lines are enough.
    pub progress: &'a dyn Fn(&str),
    /// Tells people what was decided or found: each of these is told.
    pub say: &'a dyn Fn(&str),
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("saga", &self.saga).finish_non_exhaustive()
    }
}

/// The first pause between two looks; each is half as long again as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(40);

/// Looks at something that may take a while.
#[derive(Debug)]
pub struct Looks {
    pause: Duration,
    left: Duration,
    /// When the look that is under way began.
    began: Instant,
}

impl Looks {
    /// Waits before the next look; the answer is whether there is to be one.
    pub fn again(&mut self, context: &Context<'_>) -> bool {
        let Some(pause) = self.next_pause(context.host.config.waits.pause) else { return false };
        context.activity.touch();
        let stopped = context.cancel.sleep(pause);
        self.began = Instant::now();
        !stopped
    }

    fn next_pause(&mut self, longest: Duration) -> Option<Duration> {
        if self.left.is_zero() {
            return None;
        }
        let pause = self.pause.min(longest);
        // On a busy host a look itself takes seconds.
        let spent = self.began.elapsed() + pause.max(Duration::from_millis(1));
        self.left = self.left.saturating_sub(spent);
        // Of the pause that is kept to: one that grew beyond it would be too long for a number after
        // some two minutes.
        self.pause = pause * 3 / 2;
        Some(pause)
    }
}

#[cfg(test)]
impl Host {
    pub(crate) fn for_tests(runner: Box<dyn Runner>) -> Self {
        let nowhere = PathBuf::from("/nonexistent");
        let config = HostConfig {
            tenants_dir: nowhere.clone(),
            seal_key: nowhere.clone(),
            nginx: nginx::Settings {
                args: Vec::new(),
                include_dir: nowhere.clone(),
                listen: Vec::new(),
                http_port: 80,
                https_port: 443,
                reload: nginx::ReloadWith::Nginx,
                webroot: "/nonexistent".parse().unwrap(),
            },
            certbot: certbot::Settings {
                server: None,
                email: None,
                eab: None,
                config_dir: nowhere.clone(),
                work_dir: nowhere.clone(),
                logs_dir: nowhere.clone(),
                ca_file: None,
                webroot: nowhere.clone(),
            },
            certificates_dir: nowhere,
            ports: BTreeMap::new(),
            thresholds: Thresholds::default(),
            roots: None,
            public: SocketAddr::from(([127, 0, 0, 1], 443)),
            waits: Waits::default(),
            measures_disk: false,
        };
        Self { runner, config, locks: Locks::default() }
    }
}

impl Context<'_> {
    /// Lends a runner whose output goes to people as progress, without the tenant's secrets.
    pub fn with_commands<T>(&self, work: impl FnOnce(&Commands<'_>) -> T) -> T {
        self.with_commands_and(&[], work)
    }

    /// The same, for commands that may also show these `further` secrets.
    pub fn with_commands_and<T>(
        &self,
        further: &[Secret],
        work: impl FnOnce(&Commands<'_>) -> T,
    ) -> T {
        let on_line = |_, line: &str| (self.progress)(line);
        let secrets = [self.secrets, further].concat();
        let watch = Watch {
            cancel: self.cancel,
            activity: self.activity,
            on_line: &on_line,
            secrets: &secrets,
        };
        work(&Commands::new(&*self.host.runner, watch))
    }

    /// The configuration of the host.
    #[must_use]
    pub const fn config(&self) -> &HostConfig {
        &self.host.config
    }

    /// Looks that go on for so long, pauses alone counted: the first ones follow each other at once,
    /// since most things take a moment, and the later ones at [`Waits::pause`].
    #[must_use]
    pub fn looks(&self, within: Duration) -> Looks {
        Looks { pause: FIRST_PAUSE, left: within, began: Instant::now() }
    }

    /// Waits for the right to change nginx's sites, for as long as the step may.
    ///
    /// # Errors
    /// When the step was to stop first.
    pub fn nginx_lock(&self) -> Result<NginxLock<'_>, Failure> {
        self.host.locks.nginx.lock(self.cancel).ok_or_else(|| not_my_turn("nginx"))
    }

    /// Waits for the right to call certbot, for as long as the step may.
    ///
    /// # Errors
    /// When the step was to stop first.
    pub fn certbot_lock(&self) -> Result<CertbotLock<'_>, Failure> {
        self.host.locks.certbot.lock(self.cancel).ok_or_else(|| not_my_turn("certbot"))
    }

    /// Waits for the right to choose ports, for as long as the step may.
    ///
    /// # Errors
    /// When the step was to stop first.
    pub fn ports_lock(&self) -> Result<PortsLock<'_>, Failure> {
        self.host.locks.ports(self.cancel).ok_or_else(|| not_my_turn("ports"))
    }

    /// Where a tenant's files are.
    #[must_use]
    pub fn tenant_dir(&self) -> PathBuf {
        tenant_dir(&self.host.config.tenants_dir, self.plan)
    }
}

fn not_my_turn(with: &str) -> Failure {
    Failure::new(
        FailureClass::Host,
        format!("other jobs of this host were busy with {with} until this one was to stop"),
        "see what runs with `freehold-agent status`, then queue the job again",
    )
}

pub(super) fn tenant_dir(base: &Path, plan: &Plan) -> PathBuf {
    base.join(plan.slug().map_or("none", |slug| slug.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_go_on_for_as_long_as_they_may() {
        let longest = Duration::from_secs(1);
        let within = Duration::from_secs(3600);
        let mut looks = Looks { pause: FIRST_PAUSE, left: within, began: Instant::now() };
        let mut pauses = Vec::new();
        while let Some(pause) = looks.next_pause(longest) {
            pauses.push(pause);
            looks.began = Instant::now();
        }
        assert!(pauses.windows(2).all(|two| two[0] <= two[1]), "they grow");
        assert_eq!((pauses[0], pauses.last()), (FIRST_PAUSE, Some(&longest)));
        let sum: Duration = pauses.iter().sum();
        assert!(sum > within - longest && sum < within + longest, "{sum:?}");
    }
}
