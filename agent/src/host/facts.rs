//! What the host is and has free.

use std::collections::BTreeMap;
use std::path::Path;

use freehold_protocol::failure::{Failure, FailureClass};
use freehold_protocol::report::HostFacts;
use freehold_protocol::time::Timestamp;

use super::{certbot, compose, docker, nginx};
use crate::runner::Commands;

/// How full the host may be, new tenant included, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Of the memory.
    pub memory_percent: u32,
    /// Of the processors.
    pub cpu_percent: u32,
    /// Of the disk.
    pub disk_percent: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { memory_percent: 80, cpu_percent: 90, disk_percent: 85 }
    }
}

/// What a tenant needs of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Disk in MiB.
    pub disk_mib: u64,
}

impl Default for Need {
    fn default() -> Self {
        Self { memory_mib: 4096, cpu_millis: 1000, disk_mib: 20 * 1024 }
    }
}

/// Total and available memory in MiB, from the text of `/proc/meminfo`.
#[must_use]
pub fn parse_meminfo(text: &str) -> Option<(u64, u64)> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some((kib("MemTotal")? / 1024, kib("MemAvailable")? / 1024))
}

/// The one-minute load average times 100, from the text of `/proc/loadavg`.
#[must_use]
pub fn parse_loadavg(text: &str) -> Option<u32> {
    let (whole, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let two: String = hundredths.chars().chain("00".chars()).take(2).collect();
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(two.parse().ok()?)
}

/// The name of the distribution, from the text of `/etc/os-release`.
#[must_use]
pub fn parse_os_release(text: &str) -> String {
    text.lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or("unknown", |name| name.trim_matches(['"', '\'']))
        .to_owned()
}

/// Size and free space in MiB of the disk that a path is on; the nearest folder that exists counts.
///
/// # Errors
/// When it cannot be asked.
pub fn disk(path: &Path) -> std::io::Result<(u64, u64)> {
    let place = path.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(place)?;
    let mib = |blocks: u64| blocks.saturating_mul(stat.f_frsize) / (1024 * 1024);
    Ok((mib(stat.f_blocks), mib(stat.f_bavail)))
}

/// Looks at the host. What cannot be learnt is zero or absent, and a problem says why.
#[must_use]
pub fn collect(
    commands: &Commands<'_>,
    nginx_settings: &nginx::Settings,
    state_dir: &Path,
    now: Timestamp,
) -> HostFacts {
    let (mut facts, _) = without_certbot(commands, nginx_settings, state_dir, now);
    // A second or more, for the version of a program that few jobs need.
    match certbot::version(commands) {
        Ok(version) => {
            facts.tools.insert("certbot".to_owned(), version);
        }
        Err(error) => facts.problems.push(error.failure(
            FailureClass::Host,
            "certbot does not answer",
            "install the package certbot, or deploy with installed certificates only",
        )),
    }
    facts
}

/// As [`collect`], without asking certbot. With nginx's whole configuration, unless it is too long
/// or refused.
#[must_use]
pub fn without_certbot(
    commands: &Commands<'_>,
    nginx_settings: &nginx::Settings,
    state_dir: &Path,
    now: Timestamp,
) -> (HostFacts, Option<String>) {
    let mut problems = Vec::new();
    let mut tools = BTreeMap::new();
    let mut note = |name: &str, version: Result<String, Failure>| match version {
        Ok(version) => {
            tools.insert(name.to_owned(), version);
        }
        Err(failure) => problems.push(failure),
    };
    let (info, server) =
        commands.both(docker::info, |commands| nginx::look(commands, nginx_settings));
    note("docker", info.as_ref().map(|info| info.engine.clone()).map_err(Failure::from));
    let info = info.ok();
    // The client knows its plugins; one that does not tell is asked.
    let compose = info.as_ref().and_then(|info| info.compose.clone());
    note("compose", compose.map_or_else(|| compose::version(commands).map_err(Failure::from), Ok));
    let mut config = None;
    match server {
        Ok(look) => {
            note("nginx", Ok(look.version));
            config = Some(look.config);
        }
        Err(error) => {
            note("nginx", nginx::version(commands).map_err(Failure::from));
            problems.push(error.into());
        }
    }
    if info.as_ref().is_some_and(|info| !info.limits) {
        problems.push(Failure::new(
            FailureClass::Host,
            "the engine cannot limit memory, processors or processes",
            "enable the memory, cpu and pids control groups of the kernel (see `docker info`)",
        ));
    }
    let root_dir = info.map_or_else(|| "/var/lib/docker".to_owned(), |info| info.root_dir);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory = parse_meminfo(&read("/proc/meminfo"));
    let disk_of_engine = disk(Path::new(&root_dir));
    if memory.is_none() || disk_of_engine.is_err() {
        problems.push(Failure::new(
            FailureClass::Host,
            "the host's memory or disk cannot be measured",
            format!("check that /proc/meminfo and {root_dir} can be read by the executor"),
        ));
    }
    // A full state disk stops the journal, and with it everything.
    if let Ok((_, free)) = disk(state_dir)
        && free < 256
    {
        problems.push(Failure::new(
            FailureClass::Host,
            format!("only {free} MiB are free for {}", state_dir.display()),
            format!("free space on the disk of {}", state_dir.display()),
        ));
    }
    let (memory_total_mib, memory_available_mib) = memory.unwrap_or_default();
    let (disk_total_mib, disk_available_mib) = disk_of_engine.unwrap_or_default();
    let facts = HostFacts {
        at: now,
        os: parse_os_release(&read("/etc/os-release")),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        memory_total_mib,
        memory_available_mib,
        cpus: std::thread::available_parallelism()
            .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        load_percent: parse_loadavg(&read("/proc/loadavg")).unwrap_or(0),
        disk_total_mib,
        disk_available_mib,
        tools,
        problems,
    };
    (facts, config)
}

/// Why a tenant does not fit; empty when it does.
#[must_use]
pub fn lacks(facts: &HostFacts, need: Need, thresholds: Thresholds) -> Vec<Failure> {
    let mut lacks = Vec::new();
    let mut check = |what: &str,
                     total: u64,
                     available: u64,
                     need: u64,
                     percent: u32,
                     advice: &str| {
        let used = total.saturating_sub(available).saturating_add(need);
        if used.saturating_mul(100) > total.saturating_mul(percent.into()) {
            lacks.push(Failure::new(
                FailureClass::Host,
                format!(
                    "not enough {what}: {need} MiB are needed and {available} of {total} MiB are free, of which {}% must stay free",
                    100_u32.saturating_sub(percent)
                ),
                advice,
            ));
        }
    };
    check(
        "memory",
        facts.memory_total_mib,
        facts.memory_available_mib,
        need.memory_mib,
        thresholds.memory_percent,
        "move a tenant to another host, add memory, or lower `resources` in the blueprint",
    );
    check(
        "disk",
        facts.disk_total_mib,
        facts.disk_available_mib,
        need.disk_mib,
        thresholds.disk_percent,
        "run `docker system prune`, enlarge the disk, or lower `resources` in the blueprint",
    );
    let busy = facts.load_percent >= facts.cpus.saturating_mul(thresholds.cpu_percent);
    if busy || facts.cpus.saturating_mul(1000) < need.cpu_millis {
        lacks.push(Failure::new(
            FailureClass::Host,
            format!(
                "not enough processors: {}.{:02} of {} are busy and {}.{:03} are needed",
                facts.load_percent / 100,
                facts.load_percent % 100,
                facts.cpus,
                need.cpu_millis / 1000,
                need.cpu_millis % 1000
            ),
            "wait until the load is lower (see `uptime`), or move a tenant to another host",
        ));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let text = "MemTotal:       24684092 kB\nMemFree: 1 kB\nMemAvailable:   20971520 kB\n";
        assert_eq!(parse_meminfo(text), Some((24105, 20480)));
        assert_eq!(parse_meminfo("MemTotal: 5 kB\n"), None);
        assert_eq!(parse_loadavg("2.12 1.07 0.62 3/412 999\n"), Some(212));
        assert_eq!(parse_loadavg("0.5 x"), Some(50));
        assert_eq!(parse_loadavg(""), None);
        assert_eq!(parse_os_release("ID=debian\nPRETTY_NAME=\"Debian 12\"\n"), "Debian 12");
        assert!(parse_meminfo(&std::fs::read_to_string("/proc/meminfo").unwrap()).is_some());
        assert!(disk(Path::new("/no/such/folder")).unwrap().0 > 0);
    }

    fn facts() -> HostFacts {
        HostFacts {
            at: Timestamp::from_millis(0),
            os: String::new(),
            kernel: String::new(),
            arch: String::new(),
            memory_total_mib: 10_000,
            memory_available_mib: 6_000,
            cpus: 2,
            load_percent: 100,
            disk_total_mib: 100_000,
            disk_available_mib: 50_000,
            tools: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    #[test]
    fn thresholds_count_the_new_tenant() {
        let lacks = |facts: &HostFacts, need| lacks(facts, need, Thresholds::default());
        let need = Need { memory_mib: 4_000, cpu_millis: 2000, disk_mib: 35_000 };
        assert_eq!(lacks(&facts(), need), []);
        let more = Need { memory_mib: 4_001, ..need };
        assert!(lacks(&facts(), more)[0].what.contains("memory"));
        let more = Need { disk_mib: 35_001, ..need };
        assert!(lacks(&facts(), more)[0].what.contains("disk"));
        let busy = HostFacts { load_percent: 180, ..facts() };
        assert!(lacks(&busy, need)[0].what.contains("1.80 of 2 are busy"));
        assert_eq!(lacks(&facts(), Need { cpu_millis: 2001, ..need }).len(), 1);
    }
}
