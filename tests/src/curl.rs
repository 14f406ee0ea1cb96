//! Requests as a tenant's users make them: by host name, to a server on this machine.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

/// Asks for `url`, its host being this machine whatever its name, and trusting `ca` alone when it
/// is given. The error is curl's own line.
pub fn get(url: &str, ca: Option<&Path>) -> Result<Answer, String> {
    send(url, ca, [] as [&str; 0])
}

/// The same with further arguments for curl: `["--request", "PUT", "--data", "…"]`.
pub fn send<I, A>(url: &str, ca: Option<&Path>, args: I) -> Result<Answer, String>
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--include", "--max-time", "30", "--noproxy", "*"]);
    curl.args(["--connect-to", "::127.0.0.1:"]);
    if let Some(ca) = ca {
        curl.arg("--cacert").arg(ca);
    }
    let output =
        curl.args(args).arg(url).output().map_err(|error| format!("curl cannot run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = split_interim(&text);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.trim().parse().ok())
        .ok_or_else(|| format!("no status line in: {head}"))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Head and body of the last answer: a "100 Continue" may come before it.
fn split_interim(text: &str) -> (&str, &str) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    if head.split(' ').nth(1).is_some_and(|code| code.starts_with('1')) {
        return split_interim(body);
    }
    (head, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_answers_are_left_out() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
        assert_eq!(split_interim(text), ("HTTP/1.1 200 OK\r\nA: b", "body"));
    }
}
