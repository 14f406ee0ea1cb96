//! From the configuration to an executor: the one place where its parts are put together.

use std::{path::PathBuf, sync::Arc, time::Duration};

use freehold_protocol::{report::HostFacts, report::TenantHealth, time::Timestamp};

use super::{Executor, Parts, inventory::Survey, portal_time::PortalClock};
use crate::{
    cli::CliError,
    clock::{Clock, SystemClock},
    config::{self, Config},
    exit::Exit,
    host::{facts as host_facts, nginx},
    identity::{self, Paths},
    journal::{Journal, Missing},
    runner::{Activity, CancelToken, Commands, Programs, System, Watch},
};

/// An executor as configured. A host that was never enrolled gets its journal now; an enrolled one
/// must have it.
///
/// # Errors
/// When the journal, a key or a setting cannot be used.
pub fn executor(config: &Config) -> Result<Arc<Executor>, CliError> {
    let paths = Paths::of(config);
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
    let engine = engine(config, &journal, &clock)?;
    let survey = HostSurvey {
        system: system(config)?,
        nginx: nginx_settings(config)?,
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
    })?)
}

/// The engine with the real steps.
fn engine(
    config: &Config,
    journal: &Journal,
    clock: &Arc<PortalClock>,
) -> Result<crate::saga::engine::Engine, CliError> {
    let host = crate::saga::context::Host::new(config, Box::new(system(config)?))
        .map_err(|failure| CliError::new(Exit::Usage, failure.what, failure.advice))?;
    Ok(crate::saga::engine::Engine::new(
        journal.clone(),
        Arc::new(host),
        Arc::new(crate::saga::steps::Actions),
        Arc::clone(clock) as Arc<dyn Clock>,
        crate::saga::engine::Patience::default(),
    ))
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
    let usage = |what: String| CliError::new(Exit::Usage, what, "see [nginx] and [certbot] in agent.toml");
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
pub fn with_commands<T>(system: &System, work: impl FnOnce(&Commands<'_>) -> T) -> T {
    let (cancel, activity) = (CancelToken::new(), Activity::new());
    let watch = Watch { cancel: &cancel, activity: &activity, on_line: &|_, _| {}, secrets: &[] };
    work(&Commands::new(system, watch))
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
    system: System,
    nginx: nginx::Settings,
    state_dir: PathBuf,
    clock: Arc<PortalClock>,
}

impl Survey for HostSurvey {
    fn facts(&self) -> HostFacts {
        with_commands(&self.system, |commands| {
            host_facts::collect(commands, &self.nginx, &self.state_dir, self.clock.now())
        })
    }

    fn tenants(&self) -> Vec<TenantHealth> {
        Vec::new()
    }
}
