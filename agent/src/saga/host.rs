//! The host as the agent's configuration describes it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::ids::Email;
use freehold_protocol::secret::Secret;
use serde::Deserialize;

use super::context::{Host, HostConfig, Waits};
use super::locks::Locks;
use crate::config::{Config, ReloadWith};
use crate::host::certbot::AccountBinding;
use crate::host::facts::Thresholds;
use crate::host::probe::Roots;
use crate::host::{certbot, nginx};
use crate::identity::Paths;
use crate::runner::Runner;

/// The file of an external account binding.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EabFile {
    kid: String,
    hmac_key: String,
}

fn wrong(key: &str, why: impl std::fmt::Display, remedy: &str) -> Failure {
    Failure::new(
        FailureClass::Host,
        format!("the configuration's {key} cannot be used: {why}"),
        remedy,
    )
}

impl Host {
    /// Puts a host together from the agent's configuration.
    ///
    /// # Errors
    /// When a value cannot be used, with its key.
    pub fn new(config: &Config, runner: Box<dyn Runner>) -> Result<Self, Failure> {
        Ok(Self { runner, config: HostConfig::from_config(config)?, locks: Locks::default() })
    }
}

impl HostConfig {
    /// Reads what steps need from the agent's configuration.
    ///
    /// # Errors
    /// When a value cannot be used, with its key.
    pub fn from_config(config: &Config) -> Result<Self, Failure> {
        let webroot = config.certbot.webroot.to_string_lossy().parse().map_err(|error| {
            wrong("certbot.webroot", error, "use an absolute path of letters, digits and ._-")
        })?;
        let listen = match config.nginx.listen.as_str() {
            "" => nginx::everywhere(),
            address => vec![address.parse::<IpAddr>().map_err(|error| {
                wrong("nginx.listen", error, "use an IP address, or leave it empty for all")
            })?],
        };
        let ports = config
            .ports
            .iter()
            .map(|(role, range)| {
                let role = role.parse().map_err(|error| {
                    wrong("ports", error, "name the role as the blueprint does")
                })?;
                Ok((role, *range))
            })
            .collect::<Result<_, Failure>>()?;
        let address: IpAddr = config.probe.address.parse().map_err(|error| {
            wrong("probe.address", error, "use an IP address, for example 127.0.0.1")
        })?;
        let authorities: Vec<&Path> = [&config.portal.system_ca_file, &config.probe.ca_file]
            .into_iter()
            .filter(|file| !file.as_os_str().is_empty())
            .map(AsRef::as_ref)
            .collect();
        Ok(Self {
            tenants_dir: config.tenants_dir(),
            seal_key: Paths::of_service(config).seal,
            nginx: nginx::Settings {
                args: config.nginx.args.clone(),
                include_dir: config.nginx.include_dir.clone(),
                listen,
                http_port: config.nginx.http_port,
                https_port: config.nginx.https_port,
                reload: match config.nginx.reload {
                    ReloadWith::Systemctl => nginx::ReloadWith::Systemctl,
                    ReloadWith::Nginx => nginx::ReloadWith::Nginx,
                },
                webroot,
            },
            certbot: certbot_settings(config)?,
            certificates_dir: config.certificates.dir.clone(),
            ports,
            thresholds: Thresholds {
                memory_percent: config.thresholds.memory_percent,
                cpu_percent: config.thresholds.cpu_percent,
                disk_percent: config.thresholds.disk_percent,
            },
            roots: Some(Roots::read(&authorities)?),
            public: SocketAddr::new(address, config.nginx.https_port),
            waits: Waits::default(),
            measures_disk: config.inventory.disk_hours > 0,
        })
    }
}

fn certbot_settings(config: &Config) -> Result<certbot::Settings, Failure> {
    let certbot = &config.certbot;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let email = some(&certbot.email)
        .map(|text| text.parse::<Email>())
        .transpose()
        .map_err(|error| wrong("certbot.email", error, "use an address, or leave it empty"))?;
    let eab = if certbot.eab_file.as_os_str().is_empty() {
        None
    } else {
        let remedy = "use a JSON file {\"kid\": \"…\", \"hmacKey\": \"…\"} that root can read";
        let text = std::fs::read_to_string(&certbot.eab_file)
            .map_err(|error| wrong("certbot.eab_file", error, remedy))?;
        // The parser's message could quote the key.
        let file: EabFile = serde_json::from_slice(text.as_bytes())
            .map_err(|_| wrong("certbot.eab_file", "it is not of the expected form", remedy))?;
        Some(AccountBinding { kid: file.kid, hmac_key: Secret::new(file.hmac_key) })
    };
    Ok(certbot::Settings {
        server: some(&certbot.server),
        email,
        eab,
        config_dir: certbot.config_dir.clone(),
        work_dir: certbot.work_dir.clone(),
        logs_dir: certbot.logs_dir.clone(),
        ca_file: (!certbot.ca_file.as_os_str().is_empty()).then(|| certbot.ca_file.clone()),
        webroot: certbot.webroot.clone(),
    })
}
