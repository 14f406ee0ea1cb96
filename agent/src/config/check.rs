//! Rules that a type alone cannot say.

use std::{net::IpAddr, path::Path};

use super::Config;

/// Refuses values that would fail later, far from their cause.
pub(super) fn check(config: &Config) -> Result<(), String> {
    for (key, path) in [
        ("state_dir", &config.state_dir),
        ("poller_dir", &config.poller_dir),
        ("socket", &config.socket),
        ("portal.system_ca_file", &config.portal.system_ca_file),
        ("nginx.include_dir", &config.nginx.include_dir),
        ("certbot.config_dir", &config.certbot.config_dir),
        ("certbot.work_dir", &config.certbot.work_dir),
        ("certbot.logs_dir", &config.certbot.logs_dir),
        ("certbot.webroot", &config.certbot.webroot),
        ("certificates.dir", &config.certificates.dir),
    ] {
        absolute(key, path)?;
    }
    for (key, path) in [
        ("portal.ca_file", &config.portal.ca_file),
        ("certbot.eab_file", &config.certbot.eab_file),
        ("certbot.ca_file", &config.certbot.ca_file),
        ("probe.ca_file", &config.probe.ca_file),
    ] {
        if !path.as_os_str().is_empty() {
            absolute(key, path)?;
        }
    }
    for (program, path) in &config.programs {
        absolute(&format!("programs.{program}"), path)?;
    }
    // A socket's address is at most 107 bytes long (unix(7)).
    if config.socket.as_os_str().len() > 107 {
        return Err("socket: a socket's path is at most 107 bytes; choose a shorter one".into());
    }
    within("workers", config.workers, 1, 8)?;
    within("stop_grace_secs", config.stop_grace_secs, 1, 3600)?;
    within("portal.connect_timeout_secs", config.portal.connect_timeout_secs, 1, 120)?;
    within("portal.request_timeout_secs", config.portal.request_timeout_secs, 5, 300)?;
    within("portal.max_backoff_secs", config.portal.max_backoff_secs, 5, 3600)?;
    within("thresholds.memory_percent", config.thresholds.memory_percent, 1, 100)?;
    within("thresholds.cpu_percent", config.thresholds.cpu_percent, 1, 100_000)?;
    within("thresholds.disk_percent", config.thresholds.disk_percent, 1, 100)?;
    within("inventory.interval_secs", config.inventory.interval_secs, 10, 86_400)?;
    within("inventory.disk_hours", config.inventory.disk_hours, 0, 168)?;
    within("certbot.renew_check_hours", config.certbot.renew_check_hours, 1, 168)?;
    within("certbot.renew_before_days", config.certbot.renew_before_days, 1, 180)?;
    if config.nginx.http_port == 0 || config.nginx.https_port == 0 {
        return Err("nginx: a port of 0 cannot be listened on; use for example 80 and 443".into());
    }
    if config.nginx.http_port == config.nginx.https_port {
        return Err("nginx: http_port and https_port must differ".into());
    }
    for (key, address) in
        [("nginx.listen", &config.nginx.listen), ("probe.address", &config.probe.address)]
    {
        if !(address.is_empty() && key == "nginx.listen") && address.parse::<IpAddr>().is_err() {
            return Err(format!(
                "{key}: \"{address}\" is not an IP address, for example 127.0.0.1"
            ));
        }
    }
    let server = &config.certbot.server;
    if !server.is_empty() && !server.starts_with("https://") {
        return Err("certbot.server: use the https:// address of the ACME directory".into());
    }
    Ok(())
}

fn absolute(key: &str, path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(format!("{key}: \"{}\" is not an absolute path; name it in full", path.display()))
}

fn within(key: &str, value: u32, least: u32, most: u32) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{key}: {value} is out of range; use {least} to {most}"))
}
