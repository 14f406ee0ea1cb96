//! A load generator that is not ours, as a check of the one that is.

use std::{net::SocketAddr, process::Command, time::Duration};

/// Requests a second that wrk gets out of `GET /` over so many kept connections; nothing where it is
/// not installed (Debian: wrk).
pub fn rate(server: SocketAddr, connections: usize, time: Duration) -> Option<f64> {
    let output = Command::new("wrk")
        .args(["--threads", "2", "--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs().max(1))])
        .arg(format!("http://{server}/"))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "wrk: {text}{}", String::from_utf8_lossy(&output.stderr));
    parse(&text)
}

fn parse(text: &str) -> Option<f64> {
    // A server that answered with errors was fast at something else.
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    text.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_words_are_understood() {
        let good =
            "  2 threads and 64 connections\n  9 requests in 1.00s\nRequests/sec:  54321.50\n";
        assert_eq!(parse(good), Some(54_321.5));
        assert_eq!(parse(&format!("  Non-2xx or 3xx responses: 7\n{good}")), None);
        assert_eq!(parse("unable to connect"), None);
    }
}
