//! Every maximum and default of a blueprint, with its reason.

use super::names::RoleName;
use crate::ids::PortRange;

/// Services in one stack. The largest reference system has seven.
pub const SERVICES: usize = 24;
/// Named volumes in one stack.
pub const VOLUMES: usize = 32;
/// Host ports of one tenant: a host's range has a hundred per role.
pub const PORTS: usize = 12;
/// Routes in one nginx site.
pub const ROUTES: usize = 32;
/// Secrets and settings together: all stand in one `.env`.
pub const VARIABLES: usize = 200;
/// Environment variables of one service.
pub const ENVIRONMENT: usize = 200;
/// Arguments of one command.
pub const ARGUMENTS: usize = 64;
/// Volumes and memory file systems of one service.
pub const MOUNTS: usize = 16;
/// Ports that one service documents.
pub const EXPOSED: usize = 32;
/// The whole blueprint as JSON, in bytes. A job of 256 KiB must hold it beside its other fields.
pub const BLUEPRINT_BYTES: usize = 192 * 1024;
/// One setting's value, in bytes.
pub const SETTING_BYTES: usize = 4096;

/// Memory of a service that names none, in MiB.
pub const MEMORY_DEFAULT_MB: u32 = 512;
/// Below this the engine refuses or the program dies at once, in MiB.
pub const MEMORY_MIN_MB: u32 = 8;
/// Processor of a service that names none, in thousandths.
pub const CPU_DEFAULT_MILLIS: u32 = 1000;
/// The most processor of one service or tenant, in thousandths.
pub const CPU_MAX_MILLIS: u32 = 64_000;
/// Processes and threads of a service that names none: enough for PostgreSQL and a thread pool,
/// and far from the host's own limit.
pub const PIDS_DEFAULT: u32 = 512;
/// The most processes and threads of a service.
pub const PIDS_MAX: u32 = 16_384;
/// The most open files of a process.
pub const NOFILE_MAX: u32 = 1_048_576;
/// A memory file system that names no size, in MiB.
pub const TMPFS_DEFAULT_MB: u32 = 64;
/// The most memory of one tenant, in MiB (1 TiB).
pub const TENANT_MEMORY_MAX_MB: u32 = 1024 * 1024;
/// The most disk of one tenant, in GiB (100 TiB).
pub const TENANT_DISK_MAX_GB: u32 = 100 * 1024;
/// Seconds that a container may take to stop: a job must end while someone waits for it.
pub const STOP_GRACE_MAX_SECS: u32 = 600;
/// Milliseconds between two health checks, and of a start period (an hour).
pub const HEALTH_MAX_MS: u32 = 3_600_000;
/// Failures in a row that make a container unhealthy.
pub const HEALTH_MAX_RETRIES: u32 = 100;
/// Seconds that a hook may take: a migration over a large table may need hours.
pub const HOOK_MAX_SECS: u32 = 4 * 3600;
/// Characters of a secret.
pub const SECRET_LENGTH: std::ops::RangeInclusive<u16> = 16..=128;

/// Container logs are kept in the engine's `local` format, which compresses and rotates.
pub const LOG_MAX_SIZE: &str = "10m";
/// Rotated log files kept per container.
pub const LOG_MAX_FILE: &str = "3";

/// The range of host ports for a role that names none.
#[must_use]
pub fn default_range(role: &RoleName) -> Option<PortRange> {
    let text = match role.as_str() {
        "backend" => "3001-3100",
        "frontend" => "5173-5273",
        "database" => "5432-5532",
        _ => return None,
    };
    text.parse().ok()
}
