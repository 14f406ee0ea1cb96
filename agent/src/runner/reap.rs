//! Ends what a command left behind.
//!
//! A process group covers everything but processes that called `setsid`. Those still carry the
//! marker that the command got in its environment, so they are found in `/proc`. What changes its
//! session *and* clears its environment escapes; the agent's systemd unit bounds that.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

/// The variable that marks every process of one run.
pub(super) const MARKER: &str = "FREEHOLD_RUN";

/// A process that forks faster than we scan is given up after so many passes.
const PASSES: u32 = 8;

/// Sends a signal to a process group. That the group is gone already is as good.
pub(super) fn signal_group(leader: Pid, signal: Signal) {
    if let Err(error) = rustix::process::kill_process_group(leader, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(pid = leader.as_raw_nonzero().get(), %error, "cannot signal a process group");
    }
}

/// Kills every process that carries the marker with this value; returns how many there were.
pub(super) fn kill_marked(value: &str) -> usize {
    let needle = format!("{MARKER}={value}");
    let mut killed = 0;
    for pass in 0..PASSES {
        let found = kill_once(needle.as_bytes());
        killed += found;
        if found == 0 {
            return killed;
        }
        std::thread::sleep(Duration::from_millis(5 << pass.min(5)));
    }
    tracing::warn!(killed, "processes of an ended command keep coming back");
    killed
}

fn kill_once(needle: &[u8]) -> usize {
    let entries = match fs::read_dir("/proc") {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(%error, "cannot look for left-over processes in /proc");
            return 0;
        }
    };
    let own = std::process::id();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| kill_if_marked(*pid, needle))
        .count()
}

fn kill_if_marked(pid: u32, needle: &[u8]) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // The descriptor comes first: it keeps meaning this process when the number is used again
    // between our look at its environment and the signal.
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let path = format!("/proc/{}/environ", pid.as_raw_nonzero());
    let Ok(environment) = fs::read(path) else { return false };
    environment.split(|byte| *byte == 0).any(|variable| variable == needle)
        && rustix::process::pidfd_send_signal(&process, Signal::KILL).is_ok()
}
