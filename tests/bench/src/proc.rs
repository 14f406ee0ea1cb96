//! What the kernel counts of a process.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

/// Memory and threads of a process at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident memory, shared pages of the program's file included, in KiB.
    pub resident_kib: f64,
    /// Threads.
    pub threads: f64,
}

/// Memory and threads of a process.
#[track_caller]
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let field = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a field of status");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    };
    Memory { resident_kib: field("VmRSS:"), threads: field("Threads:") }
}

/// Time that the living threads of a process have spent on a processor, in
/// nanoseconds; programs that it started are not counted.
#[track_caller]
pub fn cpu_nanos(pid: u32) -> f64 {
    // Not utime and stime of the whole process: they tick in 10 ms. A server's threads live as long
    // as their connections, so what is measured on kept connections is whole.
    let tasks: Vec<PathBuf> = fs::read_dir(format!("/proc/{pid}/task"))
        .expect("a running process")
        .flatten()
        .map(|entry| entry.path().join("schedstat"))
        .collect();
    tasks
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .filter_map(|text| text.split(' ').next().and_then(|word| word.parse::<f64>().ok()))
        .sum()
}

/// Time that a whole process spends on a processor while `time` goes by, in milliseconds: threads that
/// come and end included, programs that it starts not. Nothing when perf (Debian: linux-perf) is not
/// installed or not allowed, since no file of the kernel's tells it finer than in 10 ms.
pub fn cpu_millis_of(pids: &[u32], time: Duration) -> Option<Vec<f64>> {
    let watched: Vec<_> = pids
        .iter()
        .map(|pid| {
            Command::new("perf")
                .args(["stat", "--field-separator", ",", "--event", "task-clock", "--pid"])
                .arg(pid.to_string())
                .args(["--", "sleep", &time.as_secs_f64().to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
        })
        .collect();
    watched
        .into_iter()
        .map(|child| {
            let output = child.ok()?.wait_with_output().ok()?;
            let text = String::from_utf8(output.stderr).ok()?;
            let line = text.lines().find(|line| line.contains("task-clock"))?;
            // A process that did not run at all was "<not counted>".
            let first = line.split(',').next()?;
            if first.starts_with('<') { Some(0.0) } else { first.parse().ok() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let before = cpu_nanos(std::process::id());
        let mut sum = 0_u64;
        for n in 0..20_000_000_u64 {
            sum = std::hint::black_box(sum ^ n);
        }
        assert!(cpu_nanos(std::process::id()) > before + 1e6, "{sum}");
        let memory = memory(std::process::id());
        assert!(memory.resident_kib > 500.0 && memory.threads >= 1.0, "{memory:?}");
    }
}
