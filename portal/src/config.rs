//! The portal's configuration: one TOML file, every value overridable by an environment variable
//! (`FREEHOLD_PORTAL_` and the key in capitals). Unknown keys are errors at both levels, because a
//! misspelt limit is no limit.

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{app::queue_job::JobRules, http::server};

/// Where the file is unless `--config` says otherwise. Only there may it be missing.
pub const DEFAULT_PATH: &str = "/etc/freehold/portal.toml";
/// Every variable that starts with it must be a known key.
pub const ENV_PREFIX: &str = "FREEHOLD_PORTAL_";
/// Largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Without a certificate it must be a loopback address.
    pub listen: SocketAddr,
    /// How agents, admins and tenants' apps reach the portal; stands in enrollment tokens and is
    /// delivered to apps, and its host and port are what agents sign. Empty: `http://` and the listen
    /// address, which is of no use to apps.
    pub public_url: String,
    /// Folder of the database.
    pub data_dir: PathBuf,
    /// Folder of the keys. Empty: `keys` under the data folder.
    pub keys_dir: PathBuf,
    /// PEM file with the certificate chain; empty: plain HTTP behind a proxy on this machine.
    pub tls_certificate: PathBuf,
    /// PEM file with its private key.
    pub tls_key: PathBuf,
    /// How often the two files are looked at for a renewed certificate, in seconds.
    pub tls_reload_secs: u64,
    /// Whether a proxy on this machine says who the client is (`X-Forwarded-For`).
    pub behind_proxy: bool,
    /// Connections at once. Each waiting agent is one.
    pub max_connections: usize,
    /// Connections at once from one address; 0: no limit of its own.
    pub max_connections_per_address: usize,
    /// Requests a minute from one address (IPv6: one /64) whose sender is not known; 0: no limit.
    pub requests_per_minute: u32,
    /// Requests a minute of one API token or user; 0: no limit.
    pub requests_per_minute_per_token: u32,
    /// Questions about licenses a minute with one API key of a tenant; 0: no limit.
    pub validations_per_minute_per_key: u32,
    /// Requests a minute from one address that may fail to prove who asks.
    pub failures_per_minute: u32,
    /// Origins whose pages may use the API, such as `https://admin.example.com`.
    pub cors_origins: Vec<String>,
    /// How long a poll waits for a job, in seconds.
    pub poll_wait_secs: u32,
    /// How long a leased job is held for an agent that is silent, in seconds; then it is shown as
    /// lost. The job itself goes on when the agent is back.
    pub lease_secs: u32,
    /// Minutes without progress after which a running job is cancelled.
    pub stale_job_minutes: u32,
    /// Minutes that a queued job waits for its host before it expires.
    pub job_expiry_minutes: u32,
    /// Attempts of a job whose failure a retry may mend.
    pub max_attempts: u32,
    /// Whether somebody else than who asked must approve a provision request.
    pub four_eyes: bool,
    /// Whether a tenant's first deployment needs an approved provision request.
    pub approval_required: bool,
    /// Days for which a finished job keeps the events that tell its steps.
    pub keep_events_days: u32,
    /// Most events of all jobs together; beyond it those of the oldest finished jobs go.
    pub keep_events_max: u32,
    /// Days for which finished jobs with their reports, their envelopes once the agent holds them, and
    /// spent enrollment tokens are kept. The audit log is kept for ever.
    pub keep_jobs_days: u32,
    /// Most finished jobs; beyond it the oldest go.
    pub keep_jobs_max: u32,
    /// Lines of logs, values of usage and reports of health that one tenant's apps may send a minute.
    pub ingest_lines_per_minute: u32,
    /// Megabytes, unpacked, that one tenant's apps may send a day.
    pub ingest_mb_per_day: u32,
    /// Days for which lines of tenants' logs are kept.
    pub keep_logs_days: u32,
    /// Megabytes of the database of logs and usage; beyond it the oldest lines go.
    pub keep_logs_mb: u32,
    /// Days for which usage per day is kept.
    pub keep_usage_days: u32,
    /// Seconds that requests in hand have to finish at shutdown.
    pub shutdown_grace_secs: u64,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people and journald.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8600)),
            public_url: String::new(),
            data_dir: "/var/lib/freehold-portal".into(),
            keys_dir: PathBuf::new(),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_reload_secs: 60,
            behind_proxy: false,
            max_connections: 12_000,
            max_connections_per_address: 0,
            requests_per_minute: 100,
            requests_per_minute_per_token: 1_200,
            validations_per_minute_per_key: 60_000,
            failures_per_minute: 10,
            cors_origins: Vec::new(),
            poll_wait_secs: 25,
            lease_secs: 120,
            stale_job_minutes: 30,
            job_expiry_minutes: 60,
            max_attempts: 3,
            four_eyes: true,
            approval_required: false,
            keep_events_days: 30,
            keep_events_max: 1_000_000,
            keep_jobs_days: 90,
            keep_jobs_max: 50_000,
            ingest_lines_per_minute: 30_000,
            ingest_mb_per_day: 1024,
            keep_logs_days: 30,
            keep_logs_mb: 4096,
            keep_usage_days: 800,
            shutdown_grace_secs: 20,
            log: "info".into(),
            log_format: LogFormat::Text,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key is unknown or a value is wrong.
    #[error("{origin}: {message}")]
    Value {
        /// The file or variable.
        origin: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl Config {
    /// Loads the configuration: defaults, then the file (`None`: the default path, which may be
    /// missing), then `environment`.
    ///
    /// # Errors
    /// See [`ConfigError`]; the message names the key and where it stands.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = read_file(path)?;
        let file = path.unwrap_or(Path::new(DEFAULT_PATH)).display().to_string();
        // Judged alone first, so that a mistake in the file is told as one of the file.
        parse(table.clone(), &file)?;
        let known = Table::try_from(Self::default()).expect("the defaults are TOML");
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
            if rest == "CONFIG" {
                continue;
            }
            let origin = format!("environment variable {name}");
            let key = rest.to_ascii_lowercase();
            let default = known.get(&key).ok_or_else(|| ConfigError::Value {
                origin: origin.clone(),
                message: "there is no such setting".into(),
            })?;
            let value = typed(default, &text)
                .map_err(|message| ConfigError::Value { origin: origin.clone(), message })?;
            table.insert(key, value);
        }
        let config = parse(table, &file)?;
        config.check().map_err(|message| ConfigError::Value { origin: file, message })?;
        Ok(config)
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("portal.db")
    }

    /// The file of the database of what tenants' apps send.
    #[must_use]
    pub fn ingest_database(&self) -> PathBuf {
        self.data_dir.join("ingest.db")
    }

    /// The key folder.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        if self.keys_dir.as_os_str().is_empty() {
            self.data_dir.join("keys")
        } else {
            self.keys_dir.clone()
        }
    }

    /// How agents and admins reach the portal, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> String {
        if self.public_url.is_empty() {
            format!("http://{}", self.listen)
        } else {
            self.public_url.trim_end_matches('/').to_owned()
        }
    }

    /// The same for apps on the hosts, for whom an address that nobody has set is none.
    #[must_use]
    pub fn url_for_apps(&self) -> Option<String> {
        (!self.public_url.is_empty()).then(|| self.public_url())
    }

    /// Host and port of the public address, as agents sign them.
    #[must_use]
    pub fn authority(&self) -> String {
        let url = self.public_url();
        url.split_once("://").map_or(url.as_str(), |(_, authority)| authority).to_owned()
    }

    /// How jobs are queued.
    #[must_use]
    pub fn job_rules(&self) -> JobRules {
        JobRules {
            max_attempts: self.max_attempts,
            expiry_secs: i64::from(self.job_expiry_minutes) * 60,
            has_public_url: !self.public_url.is_empty(),
            approval_required: self.approval_required,
        }
    }

    /// What the HTTP layer needs.
    #[must_use]
    pub fn server(&self) -> server::Config {
        let tls = !self.tls_certificate.as_os_str().is_empty();
        server::Config {
            listen: self.listen,
            tls: tls.then(|| server::TlsFiles {
                chain: self.tls_certificate.clone(),
                key: self.tls_key.clone(),
                check_every: Duration::from_secs(self.tls_reload_secs),
            }),
            forwarded: if self.behind_proxy {
                server::Forwarded::TrustLoopback
            } else {
                server::Forwarded::Ignore
            },
            limits: server::Limits {
                max_connections: self.max_connections,
                max_connections_per_ip: self.max_connections_per_address,
                grace: Duration::from_secs(self.shutdown_grace_secs),
                ..server::Limits::default()
            },
        }
    }

    fn check(&self) -> Result<(), String> {
        if !self.data_dir.is_absolute() {
            return Err(format!(
                "data_dir: \"{}\" is not an absolute path; name it in full",
                self.data_dir.display()
            ));
        }
        let with_certificate = !self.tls_certificate.as_os_str().is_empty();
        if with_certificate == self.tls_key.as_os_str().is_empty() {
            return Err("tls_certificate and tls_key: give both or none".into());
        }
        if !with_certificate && !self.listen.ip().is_loopback() {
            return Err(format!(
                "listen: {} is reachable from outside without TLS; set tls_certificate and tls_key, or listen on 127.0.0.1 behind a proxy",
                self.listen
            ));
        }
        if !self.public_url.is_empty() {
            check_url("public_url", &self.public_url)?;
        }
        for origin in &self.cors_origins {
            check_url("cors_origins", origin)?;
            if origin.ends_with('/') {
                return Err(format!(
                    "cors_origins: write \"{origin}\" without the slash at its end"
                ));
            }
        }
        // Otherwise every client would have the proxy's address: the failures of one would lock all
        // out, and all would count as this machine.
        if self.public_url.starts_with("https://") && !with_certificate && !self.behind_proxy {
            return Err(
                "behind_proxy: public_url is https and the portal has no certificate, so a proxy must be in front; set behind_proxy = true (and have the proxy set X-Forwarded-For), or give tls_certificate and tls_key".into(),
            );
        }
        for (key, value, least, most) in [
            ("requests_per_minute", self.requests_per_minute, 0, 1_000_000),
            ("requests_per_minute_per_token", self.requests_per_minute_per_token, 0, 1_000_000),
            ("validations_per_minute_per_key", self.validations_per_minute_per_key, 0, 10_000_000),
            ("failures_per_minute", self.failures_per_minute, 1, 100_000),
            ("poll_wait_secs", self.poll_wait_secs, 1, freehold_protocol::wire::MAX_WAIT_SECS),
            ("lease_secs", self.lease_secs, 60, 3600),
            ("stale_job_minutes", self.stale_job_minutes, 1, 1440),
            ("job_expiry_minutes", self.job_expiry_minutes, 1, 10_080),
            ("max_attempts", self.max_attempts, 1, 20),
            ("keep_events_days", self.keep_events_days, 1, 3650),
            ("keep_events_max", self.keep_events_max, 10_000, 100_000_000),
            ("keep_jobs_days", self.keep_jobs_days, 1, 3650),
            ("keep_jobs_max", self.keep_jobs_max, 100, 10_000_000),
            // The largest batch must fit.
            ("ingest_lines_per_minute", self.ingest_lines_per_minute, 5_000, 100_000_000),
            ("ingest_mb_per_day", self.ingest_mb_per_day, 8, 10_000_000),
            ("keep_logs_days", self.keep_logs_days, 1, 3650),
            ("keep_logs_mb", self.keep_logs_mb, 16, 10_000_000),
            ("keep_usage_days", self.keep_usage_days, 60, 3650),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("{key}: {value} is out of range; use {least} to {most}"));
            }
        }
        if !(16..=100_000).contains(&self.max_connections) {
            return Err(format!(
                "max_connections: {} is out of range; use 16 to 100000",
                self.max_connections
            ));
        }
        Ok(())
    }
}

fn check_url(key: &str, url: &str) -> Result<(), String> {
    let plain_ok = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "localhost" | "[::1]") || host.starts_with("127.")
    };
    let authority = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(authority), _) => authority,
        (None, Some(authority)) if plain_ok(authority.trim_end_matches('/')) => authority,
        _ => {
            return Err(format!(
                "{key}: \"{url}\" must start with https:// (http:// is for loopback only)"
            ));
        }
    };
    let authority = authority.trim_end_matches('/');
    if authority.is_empty()
        || authority.contains(['/', '?', '#', '@', ' '])
        || !authority.is_ascii()
    {
        return Err(format!(
            "{key}: \"{url}\" must be scheme, host and port only, for example https://portal.example.com"
        ));
    }
    if authority.to_ascii_lowercase() != authority {
        return Err(format!("{key}: write \"{url}\" in lower case"));
    }
    Ok(())
}

fn read_file(path: Option<&Path>) -> Result<Table, ConfigError> {
    let file = path.unwrap_or(Path::new(DEFAULT_PATH));
    let failed = |source| ConfigError::Read { path: file.to_owned(), source };
    let text = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => String::new(),
        Err(error) => return Err(failed(error)),
        Ok(data) if data.len() > MAX_FILE_BYTES => {
            return Err(failed(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes"))));
        }
        Ok(_) => fs::read_to_string(file).map_err(failed)?,
    };
    text.parse::<Table>().map_err(|error| ConfigError::Value {
        origin: file.display().to_string(),
        message: error.to_string().trim_end().to_owned(),
    })
}

fn parse(table: Table, origin: &str) -> Result<Config, ConfigError> {
    table.try_into::<Config>().map_err(|error| ConfigError::Value {
        origin: origin.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

/// A text from the environment in the type that the setting's default has.
fn typed(default: &Value, text: &str) -> Result<Value, String> {
    match default {
        Value::Integer(_) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| format!("\"{text}\" is not a whole number")),
        Value::Boolean(_) => {
            text.parse().map(Value::Boolean).map_err(|_| format!("\"{text}\" is not true or false"))
        }
        // Several, with commas between them.
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}
