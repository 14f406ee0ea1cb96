//! One container of a stack.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Network;
use crate::blueprint::names::{
    ContainerHostname, ContainerPath, EnvName, ServiceName, UserSpec, VolumeName,
};
use crate::blueprint::template::Template;
use crate::ids::ImageRef;

/// One container of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Service {
    /// The image. By digest it is pinned; by tag it may also be one that only the host has.
    pub image: ImageRef,
    /// Arguments in place of the image's own command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<Template>>,
    /// Program and arguments in place of the image's own entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<Template>>,
    /// Environment variables of the container.
    #[serde(default)]
    pub environment: BTreeMap<EnvName, Template>,
    /// The numeric user in place of the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserSpec>,
    /// The working directory in place of the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<ContainerPath>,
    /// How to ask the container whether it is healthy, in place of the image's own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Services that must have come far enough before this one starts.
    #[serde(default)]
    pub depends_on: BTreeMap<ServiceName, Condition>,
    /// Named volumes to mount.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Memory file systems to mount.
    #[serde(default)]
    pub tmpfs: Vec<Tmpfs>,
    /// Whether the container's own file system is read-only.
    #[serde(default)]
    pub read_only: bool,
    /// Whether a small init process reaps orphans in the container.
    #[serde(default)]
    pub init: bool,
    /// Seconds between the stop signal and the kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_grace_secs: Option<u32>,
    /// The signal that asks the container to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<StopSignal>,
    /// What the engine does when the container ends.
    #[serde(default)]
    pub restart: Restart,
    /// Processor, memory and process limits.
    #[serde(default)]
    pub limits: Limits,
    /// Size of `/dev/shm` in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_mb: Option<u32>,
    /// Kernel capabilities beyond none at all.
    #[serde(default)]
    pub cap_add: BTreeSet<Capability>,
    /// Ports that only document what the service listens on; nothing is published by them.
    #[serde(default)]
    pub expose: BTreeSet<u16>,
    /// The host name that the container sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<ContainerHostname>,
    /// The tenant's networks to join. `None` means by rule: see [`crate::blueprint::Blueprint::networks_of`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<BTreeSet<Network>>,
}

/// A named volume inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mount {
    /// Which volume.
    pub volume: VolumeName,
    /// Where.
    pub target: ContainerPath,
    /// Whether the container may only read it.
    #[serde(default)]
    pub read_only: bool,
}

/// A memory file system inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tmpfs {
    /// Where.
    pub target: ContainerPath,
    /// Its size in MiB; [`crate::blueprint::limits::TMPFS_DEFAULT_MB`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_mb: Option<u32>,
}

/// How the engine asks a container for its health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Healthcheck {
    /// What to run in the container.
    pub test: HealthTest,
    /// Milliseconds between two checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// Milliseconds that one check may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
    /// Failures in a row that make the container unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Milliseconds after the start in which failures do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period_ms: Option<u32>,
}

/// The command of a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthTest {
    /// A program and its arguments.
    Exec(Vec<Template>),
    /// A line for the container's own shell.
    Shell(Template),
}

/// How far a service must have come before another starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// It has been started.
    Started,
    /// Its health check succeeds.
    Healthy,
    /// It has ended with status 0.
    Completed,
}

/// The stop signals that a service may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the signals' own")]
pub enum StopSignal {
    SigTerm,
    SigInt,
    SigQuit,
    SigHup,
    SigUsr1,
    SigUsr2,
    SigWinch,
    SigKill,
}

impl StopSignal {
    /// Every signal with its name.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::SigTerm, "SIGTERM"),
        (Self::SigInt, "SIGINT"),
        (Self::SigQuit, "SIGQUIT"),
        (Self::SigHup, "SIGHUP"),
        (Self::SigUsr1, "SIGUSR1"),
        (Self::SigUsr2, "SIGUSR2"),
        (Self::SigWinch, "SIGWINCH"),
        (Self::SigKill, "SIGKILL"),
    ];

    /// The name with its `SIG`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(signal, _)| *signal == self).map_or("SIGTERM", |(_, name)| name)
    }
}

/// What the engine does when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Restart {
    /// Starts it again, also after a reboot, unless a person stopped it.
    #[default]
    UnlessStopped,
    /// Starts it again whatever happened.
    Always,
    /// Starts it again when it failed.
    OnFailure,
    /// Leaves it ended: for services that do one thing and stop.
    No,
}

/// The limits of one container. An absent value takes the default of [`crate::blueprint::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u32>,
    /// Thousandths of a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Open files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nofile: Option<Nofile>,
}

/// How many files a process may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Nofile {
    /// The limit at first.
    pub soft: u32,
    /// What a process may raise it to.
    pub hard: u32,
}

/// The kernel capabilities that a service may ask for: what images need that start as root to
/// prepare a volume and then change to another user, and low ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the kernel's own")]
pub enum Capability {
    Chown,
    DacOverride,
    Fowner,
    NetBindService,
    Setgid,
    Setuid,
}

impl Capability {
    /// Every capability with its name, without `CAP_`.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Chown, "CHOWN"),
        (Self::DacOverride, "DAC_OVERRIDE"),
        (Self::Fowner, "FOWNER"),
        (Self::NetBindService, "NET_BIND_SERVICE"),
        (Self::Setgid, "SETGID"),
        (Self::Setuid, "SETUID"),
    ];

    /// The name without `CAP_`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(cap, _)| *cap == self).map_or("CHOWN", |(_, name)| name)
    }
}
