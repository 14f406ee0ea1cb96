//! What the kernel counts of a process.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

/// Memory and threads of a process at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident memory, shared pages of the program's file included, in KiB.
    pub resident_kib: f64,
    /// What of it the process has written, and so has alone, in KiB.
    pub private_kib: f64,
    /// Threads.
    pub threads: f64,
}

/// Memory and threads of a process.
#[track_caller]
pub fn memory(pid: u32) -> Memory {
    let field = |file: &str, name: &str| -> f64 {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("a running process");
        let line = text.lines().find(|line| line.starts_with(name)).expect("a field");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    };
    Memory {
        resident_kib: field("status", "VmRSS:"),
        private_kib: field("smaps_rollup", "Private_Dirty:"),
        threads: field("status", "Threads:"),
    }
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

/// Time that whole processes spend on a processor while `time` goes by, in milliseconds: threads that
/// come and end included, programs that they start not. Nothing where python3 is missing.
pub fn cpu_millis_of(pids: &[u32], time: Duration) -> Option<Vec<f64>> {
    let before = cpu_clocks(pids)?;
    thread::sleep(time);
    let after = cpu_clocks(pids)?;
    Some(after.iter().zip(before).map(|(after, before)| (after - before) * 1e3).collect())
}

/// The processor clocks of processes, in seconds. The kernel has one for each process, which counts in
/// nanoseconds where the files under /proc count in 10 ms; no safe function of Rust's reads it.
fn cpu_clocks(pids: &[u32]) -> Option<Vec<f64>> {
    // MAKE_PROCESS_CPUCLOCK of <linux/posix-timers_types.h>, with CPUCLOCK_SCHED.
    const READ: &str =
        "import sys, time\nfor p in sys.argv[1:]: print(time.clock_gettime((~int(p) << 3) | 2))";
    let output = Command::new("python3")
        .args(["-c", READ])
        .args(pids.iter().map(u32::to_string))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let clocks: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    (clocks.len() == pids.len()).then_some(clocks)
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
        assert!(memory.private_kib > 0.0 && memory.private_kib < memory.resident_kib, "{memory:?}");
    }

    #[test]
    fn an_idle_process_is_told_from_a_busy_one() {
        let busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn();
        let mut busy = busy.unwrap_or_else(|error| panic!("sh: {error}"));
        let idle = Command::new("sleep").arg("60").spawn();
        let mut idle = idle.unwrap_or_else(|error| panic!("sleep: {error}"));
        let took = cpu_millis_of(&[busy.id(), idle.id()], Duration::from_millis(500));
        for child in [&mut busy, &mut idle] {
            child.kill().and_then(|()| child.wait()).unwrap_or_else(|error| panic!("{error}"));
        }
        let took = took.unwrap_or_else(|| panic!("python3 is missing"));
        assert!(took[0] > 20.0 && took[1] < 5.0, "{took:?}");
    }
}
