//! A load generator that is not ours, as a check of the one that is; it also tells how long single
//! answers take under load.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

/// What wrk has seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Requests a second.
    pub rate: f64,
    /// The 99th percentile of the time to an answer, in microseconds.
    pub p99: f64,
}

/// What wrk gets out of a server over so many kept connections: `GET /`, or what a Lua script says.
/// Nothing where it is not installed (Debian: wrk).
pub fn ask(
    server: SocketAddr,
    path: &str,
    script: Option<&Path>,
    connections: usize,
    time: Duration,
) -> Option<Seen> {
    let mut command = Command::new("wrk");
    command.args(["--latency", "--threads", "2", "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{}s", time.as_secs().max(1))]);
    if let Some(script) = script {
        command.arg("--script").arg(script);
    }
    let output = command.arg(format!("http://{server}{path}")).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "wrk: {text}{}", String::from_utf8_lossy(&output.stderr));
    parse(&text)
}

fn parse(text: &str) -> Option<Seen> {
    // A server that answered with errors was fast at something else.
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label));
    let rate = after("Requests/sec:")?.trim().parse().ok()?;
    Some(Seen { rate, p99: micros(after("99%")?.trim())? })
}

/// `3.05ms`, `812.00us` or `1.49s`.
fn micros(text: &str) -> Option<f64> {
    let (number, factor) = if let Some(number) = text.strip_suffix("us") {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1e3)
    } else {
        (text.strip_suffix('s')?, 1e6)
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_words_are_understood() {
        let good = "  2 threads and 64 connections\n  Latency Distribution\n     50%    1.20ms\n     99%    3.05ms\n\
                    9 requests in 1.00s\nRequests/sec:  54321.50\n";
        assert_eq!(parse(good), Some(Seen { rate: 54_321.5, p99: 3050.0 }));
        assert_eq!(parse(&format!("  Non-2xx or 3xx responses: 7\n{good}")), None);
        assert_eq!(parse("unable to connect"), None);
        assert_eq!((micros("812.00us"), micros("1.49s")), (Some(812.0), Some(1_490_000.0)));
        assert_eq!(micros("fast"), None);
    }
}
