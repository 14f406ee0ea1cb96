//! The machine that was measured.

use std::{fs, path::Path, process::Command};

/// Lines that say what the figures were measured on.
pub fn lines(folder: &Path) -> Vec<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names: Vec<&str> = cpus.lines().filter(|line| line.starts_with("model name")).collect();
    let cpu = names.first().and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<f64>().ok())
        .map_or(0.0, |kib| kib / 1024.0 / 1024.0);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    let mount = output("findmnt", &["-no", "FSTYPE,SOURCE", "-T", &folder.display().to_string()]);
    vec![
        format!("{} processors ({cpu}), {memory:.0} GiB of memory", names.len().max(1)),
        format!("kernel {}", output("uname", &["-r"])),
        format!("databases on {}", mount.split_whitespace().collect::<Vec<_>>().join(" on ")),
        format!("load before the first measurement: {}", load.join(" ")),
        output("rustc", &["--version"]),
    ]
}

fn output(program: &str, args: &[&str]) -> String {
    let found = Command::new(program).args(args).output().ok();
    let text = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("{program}: unknown"))
}
