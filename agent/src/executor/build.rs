//! From the configuration to an executor: the one place where its parts are put together.

use std::{path::PathBuf, sync::Arc, time::Duration};

use freehold_protocol::{
    failure::{Failure, FailureClass},
    ids::AgentId,
    job::{CheckTenant, Work},
    report::{HealthStatus, HostFacts, JobResult, TenantHealth},
    time::Timestamp,
};
use uuid::Uuid;

use super::{Executor, Parts, inventory::Survey, portal_time::PortalClock, upkeep::Upkeep};
use crate::{
    cli::CliError,
    clock::{Clock, SystemClock},
    config::{self, Config},
    exit::Exit,
    host::{facts as host_facts, nginx},
    identity::{self, Paths},
    journal::{
        Journal, JournalError, Missing,
        sagas::SagaId,
        tenants::{TenantRecord, TenantState},
    },
    plan::{Order, plan},
    runner::{Activity, CancelToken, Commands, Programs, Runner, System, Watch},
    saga::{
        Stage,
        context::{Context, Host},
        engine::{Engine, Patience},
        step::{Before, RunEnd, Step, StepOutput},
        steps::{Actions, secrets_of},
    },
};

/// From the start to the first look at certificates: jobs that were left open go first.
const FIRST_UPKEEP: Duration = Duration::from_secs(300);

/// An executor as configured. A host that was never enrolled gets its journal now; an enrolled one
/// must have it.
///
/// # Errors
/// When the journal, a key or a setting cannot be used.
pub fn executor(config: &Config) -> Result<Arc<Executor>, CliError> {
    let paths = Paths::of_service(config);
    let missing = if paths.report.exists() { Missing::Refuse } else { Missing::Create };
    identity::ensure_folder(&config.state_dir, None).map_err(|error| {
        CliError::new(
            Exit::Failed,
            format!("cannot make {}: {error}", config.state_dir.display()),
            "run the executor as root",
        )
    })?;
    let journal = Journal::open(&config.journal_path(), missing)?;
    let clock = Arc::new(PortalClock::new(Arc::new(SystemClock)));
    let host = Host::new(config, Box::new(system(config)?))
        .map_err(|failure| CliError::new(Exit::Usage, failure.what, failure.advice))?;
    let host = Arc::new(host);
    let engine = Engine::new(
        journal.clone(),
        Arc::clone(&host),
        Arc::new(Actions),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Patience::default(),
    );
    let survey = HostSurvey {
        host,
        journal: journal.clone(),
        state_dir: config.state_dir.clone(),
        clock: Arc::clone(&clock),
    };
    Ok(Executor::new(Parts {
        journal,
        engine,
        clock,
        survey: Box::new(survey),
        report_key: paths.report,
        workers: config.workers,
        inventory_interval: Duration::from_secs(config.inventory.interval_secs.into()),
        upkeep: Upkeep {
            first: FIRST_UPKEEP,
            every: Duration::from_secs(u64::from(config.certbot.renew_check_hours) * 3600),
            before_days: config.certbot.renew_before_days,
        },
        measure_every: hours(config.inventory.disk_hours),
    })?)
}

/// That many hours; nothing for 0.
fn hours(hours: u32) -> Option<Duration> {
    (hours > 0).then(|| Duration::from_secs(u64::from(hours) * 3600))
}

/// The runner of host commands.
///
/// # Errors
/// When a program's name or path is not usable.
pub fn system(config: &Config) -> Result<System, CliError> {
    let table: toml::Table = config
        .programs
        .iter()
        .map(|(name, path)| (name.clone(), path.display().to_string().into()))
        .collect();
    let programs: Programs = table.try_into().map_err(|error| {
        CliError::new(
            Exit::Usage,
            format!("programs: {error}"),
            "the names are docker, nginx, certbot, systemctl, restic, psql and pg-dump",
        )
    })?;
    Ok(System::new(programs, config.state_dir.clone(), config.state_dir.join("docker")))
}

/// nginx as the host functions want it.
///
/// # Errors
/// When a path cannot stand in nginx's notation.
pub fn nginx_settings(config: &Config) -> Result<nginx::Settings, CliError> {
    let usage =
        |what: String| CliError::new(Exit::Usage, what, "see [nginx] and [certbot] in agent.toml");
    let webroot = config
        .certbot
        .webroot
        .to_str()
        .ok_or_else(|| usage("certbot.webroot: not UTF-8".into()))?
        .parse()
        .map_err(|error| usage(format!("certbot.webroot: {error}")))?;
    let listen = if config.nginx.listen.is_empty() {
        nginx::everywhere()
    } else {
        let address = config.nginx.listen.parse();
        vec![address.map_err(|error| usage(format!("nginx.listen: {error}")))?]
    };
    Ok(nginx::Settings {
        args: config.nginx.args.clone(),
        include_dir: config.nginx.include_dir.clone(),
        listen,
        http_port: config.nginx.http_port,
        https_port: config.nginx.https_port,
        reload: match config.nginx.reload {
            config::ReloadWith::Systemctl => nginx::ReloadWith::Systemctl,
            config::ReloadWith::Nginx => nginx::ReloadWith::Nginx,
        },
        webroot,
    })
}

/// Runs some host functions outside of any job.
pub fn with_commands<T>(runner: &dyn Runner, work: impl FnOnce(&Commands<'_>) -> T) -> T {
    with_commands_until(runner, &CancelToken::new(), work)
}

/// The same, ended by a token.
pub fn with_commands_until<T>(
    runner: &dyn Runner,
    cancel: &CancelToken,
    work: impl FnOnce(&Commands<'_>) -> T,
) -> T {
    let activity = Activity::new();
    let watch = Watch { cancel, activity: &activity, on_line: &|_, _| {}, secrets: &[] };
    work(&Commands::new(runner, watch))
}

/// The host's facts.
///
/// # Errors
/// When a setting cannot be used.
pub fn facts(config: &Config, now: Timestamp) -> Result<HostFacts, CliError> {
    let settings = nginx_settings(config)?;
    let system = system(config)?;
    Ok(with_commands(&system, |commands| {
        host_facts::collect(commands, &settings, &config.state_dir, now)
    }))
}

/// Looks at the real host.
#[derive(Debug)]
struct HostSurvey {
    host: Arc<Host>,
    journal: Journal,
    state_dir: PathBuf,
    clock: Arc<PortalClock>,
}

impl Survey for HostSurvey {
    fn facts(&self) -> HostFacts {
        with_commands(self.host.runner.as_ref(), |commands| {
            host_facts::collect(
                commands,
                &self.host.config.nginx,
                &self.state_dir,
                self.clock.now(),
            )
        })
    }

    fn tenants(&self) -> Result<Vec<TenantHealth>, JournalError> {
        let tenants = self.journal.tenants()?;
        let deployed = tenants.iter().filter(|tenant| tenant.state == TenantState::Deployed);
        Ok(deployed.map(|tenant| self.health(tenant, &tenants)).collect())
    }
}

impl HostSurvey {
    /// What a `check-tenant` job would find, without a job.
    fn health(&self, tenant: &TenantRecord, all: &[TenantRecord]) -> TenantHealth {
        let order = Order {
            portal: tenant.portal,
            agent: AgentId::from_uuid(Uuid::nil()),
            job: tenant.mark,
            attempt: 1,
            actor: "inventory".into(),
            timeout_secs: 120,
            seal_to: None,
            work: Work::CheckTenant(CheckTenant {
                tenant: tenant.tenant,
                slug: tenant.slug.clone(),
            }),
            app_env: None,
        };
        let found = plan(&order, all).and_then(|plan| {
            let (cancel, activity) = (CancelToken::new(), Activity::new());
            let secrets = secrets_of(&self.host, &plan, SagaId::NONE);
            let context = Context {
                plan: &plan,
                saga: SagaId::NONE,
                host: &self.host,
                journal: &self.journal,
                cancel: &cancel,
                activity: &activity,
                now: self.clock.now(),
                before: &Before::Nothing,
                outputs: &[],
                secrets: &secrets,
                progress: &|_| {},
                say: &|_| {},
            };
            match Actions.action(Step::CheckTenant).run(&context) {
                RunEnd::Done(StepOutput::Result(result)) => match *result {
                    JobResult::Checked(health) => Ok(health),
                    _ => Err(none_found("the check found something else")),
                },
                RunEnd::Done(_) => Err(none_found("the check found nothing")),
                RunEnd::Failed(failure) | RunEnd::Unclear(failure) => Err(failure),
            }
        });
        found.unwrap_or_else(|failure| TenantHealth {
            tenant: tenant.tenant,
            at: self.clock.now(),
            status: HealthStatus::Unhealthy,
            containers: Vec::new(),
            backend: None,
            public: None,
            certificate_expires: None,
            disk: None,
            problems: vec![format!("it could not be looked at: {}", failure.what)],
        })
    }
}

fn none_found(what: &str) -> Failure {
    Failure::new(FailureClass::Bug, what, "please report this")
}
