//! The agent's configuration: one TOML file, every value overridable by an environment variable
//! and by `--set`.
//!
//! The order is: built-in defaults, `/etc/freehold/agent.toml`, `FREEHOLD_AGENT_*`, `--set`. A key
//! that nobody knows is an error at every level, because a misspelt limit is no limit.

mod check;
mod layers;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use freehold_protocol::ids::PortRange;
use serde::{Deserialize, Serialize};

pub use layers::{ConfigError, DEFAULT_PATH, ENV_PREFIX, load};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The executor's folder: journal, keys, tenants. Only root reads it.
    pub state_dir: PathBuf,
    /// The poller's folder: its key and where the portal is.
    pub poller_dir: PathBuf,
    /// The socket between the two.
    pub socket: PathBuf,
    /// The account of the poller; empty in development, when both run as the same user.
    pub poller_user: String,
    /// How many jobs run at the same time.
    pub workers: u32,
    /// How long a stop waits for the steps that run, in seconds; longer ones are cut, and run again at
    /// the next start. freehold-executor.service must allow more (`TimeoutStopSec`).
    pub stop_grace_secs: u32,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,freehold_agent::poller=debug`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// How the portal is reached.
    pub portal: PortalConfig,
    /// Where programs are, by name; those not named are where Debian installs them.
    pub programs: BTreeMap<String, PathBuf>,
    /// The web server.
    pub nginx: NginxConfig,
    /// The ACME client.
    pub certbot: CertbotConfig,
    /// Certificates that the operator installs.
    pub certificates: CertificatesConfig,
    /// How deployed sites are looked at.
    pub probe: ProbeConfig,
    /// Host ports by role, in place of the blueprint's ranges, for example `backend = "9000-9099"`.
    pub ports: BTreeMap<String, PortRange>,
    /// How full the host may be before a deploy is refused.
    pub thresholds: Thresholds,
    /// What the portal is told on its own.
    pub inventory: InventoryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/freehold".into(),
            poller_dir: "/var/lib/freehold-agent".into(),
            socket: "/run/freehold/executor.sock".into(),
            poller_user: "freehold-agent".into(),
            workers: 2,
            stop_grace_secs: 300,
            log: "info".into(),
            log_format: LogFormat::Text,
            portal: PortalConfig::default(),
            programs: BTreeMap::new(),
            nginx: NginxConfig::default(),
            certbot: CertbotConfig::default(),
            certificates: CertificatesConfig::default(),
            probe: ProbeConfig::default(),
            ports: BTreeMap::new(),
            thresholds: Thresholds::default(),
            inventory: InventoryConfig::default(),
        }
    }
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

/// How the portal is reached. Its address came with the enrollment token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortalConfig {
    /// PEM file with further certificate authorities, for a portal with a private one; empty: only
    /// the system's.
    pub ca_file: PathBuf,
    /// PEM file with the system's certificate authorities.
    pub system_ca_file: PathBuf,
    /// Proxy such as `http://proxy:3128`; empty: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count.
    pub proxy: String,
    /// Longest time to build a connection, in seconds.
    pub connect_timeout_secs: u32,
    /// Longest time of a request besides a poll's wait, in seconds.
    pub request_timeout_secs: u32,
    /// Longest pause between two attempts while the portal does not answer, in seconds.
    pub max_backoff_secs: u32,
}

impl Default for PortalConfig {
    fn default() -> Self {
        Self {
            ca_file: PathBuf::new(),
            system_ca_file: "/etc/ssl/certs/ca-certificates.crt".into(),
            proxy: String::new(),
            connect_timeout_secs: 10,
            request_timeout_secs: 30,
            max_backoff_secs: 300,
        }
    }
}

/// The web server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NginxConfig {
    /// Further arguments of every nginx call, such as `["-c", "/opt/nginx/nginx.conf"]`.
    pub args: Vec<String>,
    /// The folder for tenant sites; nginx.conf must include its `*.conf` in the `http` block.
    pub include_dir: PathBuf,
    /// The address that sites listen on; empty: all of them, IPv4 and IPv6.
    pub listen: String,
    /// The plain port.
    pub http_port: u16,
    /// The TLS port.
    pub https_port: u16,
    /// How nginx is told to read its configuration again.
    pub reload: ReloadWith,
}

impl Default for NginxConfig {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            include_dir: "/etc/nginx/freehold.d".into(),
            listen: String::new(),
            http_port: 80,
            https_port: 443,
            reload: ReloadWith::Systemctl,
        }
    }
}

/// How nginx is told to read its configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadWith {
    /// `systemctl reload nginx`.
    Systemctl,
    /// `nginx -s reload`, where systemd does not run nginx.
    Nginx,
}

/// The ACME client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertbotConfig {
    /// Directory address of the ACME server; empty: Let's Encrypt.
    pub server: String,
    /// Account address for expiry mails; empty: none is given.
    pub email: String,
    /// JSON file `{"kid": "…", "hmacKey": "…"}` with the external account binding; empty: none.
    pub eab_file: PathBuf,
    /// certbot's `--config-dir`.
    pub config_dir: PathBuf,
    /// certbot's `--work-dir`.
    pub work_dir: PathBuf,
    /// certbot's `--logs-dir`.
    pub logs_dir: PathBuf,
    /// PEM file with the certificate authority of the ACME server itself; empty: the system's.
    pub ca_file: PathBuf,
    /// The folder from which `/.well-known/acme-challenge/` is served.
    pub webroot: PathBuf,
    /// How often certificates are looked at, in hours.
    pub renew_check_hours: u32,
    /// A certificate with less time left is renewed, in days; one that lives less than twice as long
    /// is renewed in the last third of its life.
    pub renew_before_days: u32,
}

impl Default for CertbotConfig {
    fn default() -> Self {
        Self {
            server: String::new(),
            email: String::new(),
            eab_file: PathBuf::new(),
            config_dir: "/etc/letsencrypt".into(),
            work_dir: "/var/lib/letsencrypt".into(),
            logs_dir: "/var/log/letsencrypt".into(),
            ca_file: PathBuf::new(),
            webroot: "/var/www/freehold-acme".into(),
            renew_check_hours: 12,
            renew_before_days: 30,
        }
    }
}

/// Certificates that the operator installs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificatesConfig {
    /// One folder per certificate, with `fullchain.pem` and `privkey.pem`.
    pub dir: PathBuf,
}

impl Default for CertificatesConfig {
    fn default() -> Self {
        Self { dir: "/etc/freehold/certificates".into() }
    }
}

/// How deployed sites are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// PEM file with further certificate authorities that a site's certificate may come from (an
    /// ACME server of your own); empty: only the system's.
    pub ca_file: PathBuf,
    /// Where the public site is looked for; a host behind NAT seldom reaches its own public address.
    pub address: String,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self { ca_file: PathBuf::new(), address: "127.0.0.1".into() }
    }
}

/// How full the host may be, new tenant included, before a deploy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Of the memory, in percent.
    pub memory_percent: u32,
    /// Of the processors, in percent.
    pub cpu_percent: u32,
    /// Of the disk, in percent.
    pub disk_percent: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { memory_percent: 80, cpu_percent: 90, disk_percent: 85 }
    }
}

/// What the portal is told on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InventoryConfig {
    /// Between two inventories, in seconds; a change is told sooner.
    pub interval_secs: u32,
    /// Between two counts of what tenants have on the disk, in hours; 0: it is never counted.
    pub disk_hours: u32,
}

impl Default for InventoryConfig {
    fn default() -> Self {
        Self { interval_secs: 300, disk_hours: 1 }
    }
}

impl Config {
    /// The folder of the executor's keys.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        self.state_dir.join("keys")
    }
    /// The journal.
    #[must_use]
    pub fn journal_path(&self) -> PathBuf {
        self.state_dir.join("journal.db")
    }
    /// The folder of tenants' files.
    #[must_use]
    pub fn tenants_dir(&self) -> PathBuf {
        self.state_dir.join("tenants")
    }
}
