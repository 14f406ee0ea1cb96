//! A call for a certificate: tried again where that may help, and what the authority answered.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::runner::{Argv, CommandError, Commands, Limits};

/// Longest time of one attempt.
const DEADLINE: Duration = Duration::from_secs(300);
/// Attempts at a certificate. Authorities refuse a nonce now and then; certbot does not try again. Of
/// single tries one in ten fails when five nonces of a hundred are refused.
const ATTEMPTS: u32 = 4;
/// Pause before the second attempt; each further one waits twice as long as the one before.
const PAUSE: Duration = Duration::from_secs(2);
/// How far from its end certbot's log is read.
const LOG_END: u64 = 64 * 1024;

/// A call that did not get a certificate.
#[derive(Debug)]
pub(super) struct Refused {
    /// The authority's answer as a code of RFC 8555, if it was that. Codes are part of the protocol,
    /// unlike the prose around them.
    pub(super) code: Option<String>,
    /// What certbot said.
    pub(super) source: CommandError,
}

impl Refused {
    /// Whether the same call may work a moment later.
    fn may_pass(&self) -> bool {
        if !matches!(self.source, CommandError::NonZero { .. }) {
            return false;
        }
        match self.code.as_deref() {
            Some("badNonce" | "serverInternal") => true,
            // A validation that failed counts against the authority's limits: one look at the cause is
            // worth more than two further failures.
            Some(_) => false,
            // No code: the authority was not reached, certbot's own lock was held, or a refused nonce
            // was lost on the way: certbot 2.1 with Python 3.11 (Debian 12) shows one that meets an
            // order under way as "AttributeError: can't set attribute".
            None => true,
        }
    }
}

/// Calls certbot until it succeeds, or trying again is no use.
pub(super) fn with_retries(
    commands: &Commands<'_>,
    argv: &Argv,
    logs: &Path,
) -> Result<(), Refused> {
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let log = Log::of(logs);
        let Err(source) = commands.run(argv, Limits::within(DEADLINE)) else { return Ok(()) };
        let refused = Refused { code: printed(&source).or_else(|| log.code()), source };
        if attempt == ATTEMPTS || !refused.may_pass() {
            return Err(refused);
        }
        tracing::warn!(attempt, error = %refused.source, "certbot failed; trying again");
        if commands.watch.cancel.sleep(pause) {
            let output = refused.source.output().cloned().map(Box::new).unwrap_or_default();
            let source = CommandError::Cancelled { command: argv.to_string(), output };
            return Err(Refused { source, ..refused });
        }
        attempt += 1;
        pause *= 2;
    }
}

const PREFIX: &str = "urn:ietf:params:acme:error:";

fn code(text: &str) -> String {
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// The code in certbot's output: as it travelled, or in the `Type:` line about a challenge.
fn printed(error: &CommandError) -> Option<String> {
    let printed = error.output()?.printed();
    if let Some((_, rest)) = printed.split_once(PREFIX) {
        return Some(code(rest));
    }
    printed.lines().find_map(|line| line.trim().strip_prefix("Type:")).map(|rest| code(rest.trim()))
}

/// certbot's log, which it begins anew with each call. Of an order or an account that the authority
/// refuses, certbot prints the prose; the code stands in the log alone.
struct Log {
    path: PathBuf,
    /// When it was written last before the call: one that the call has not touched tells of another.
    before: Option<SystemTime>,
}

impl Log {
    fn of(logs: &Path) -> Self {
        let path = logs.join("letsencrypt.log");
        let before = written(&path);
        Self { path, before }
    }

    fn code(&self) -> Option<String> {
        if written(&self.path) == self.before {
            return None;
        }
        let mut file = File::open(&self.path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_END))).ok()?;
        let mut end = Vec::new();
        file.take(LOG_END).read_to_end(&mut end).ok()?;
        let text = String::from_utf8_lossy(&end);
        // The exception that ended the call, not what it has read on the way.
        let (_, rest) = text.rsplit_once("acme.messages.Error: ")?;
        rest.lines().next()?.split_once(PREFIX).map(|(_, rest)| code(rest))
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_refused_order_is_read_from_the_log_of_that_call() {
        let logs = tempfile::tempdir().unwrap();
        let path = logs.path().join("letsencrypt.log");
        let text = format!(
            "DEBUG:urllib3:\"type\": \"{PREFIX}badNonce\"\nacme.messages.Error: {PREFIX}badNonce :: x\n{}\n\
             acme.messages.Error: Problem for a.test: {PREFIX}rejectedIdentifier :: The server will not :: forbidden by policy\n\
             2026-11-29 11:15:53,001:ERROR:certbot._internal.log:An unexpected error occurred:\n",
            "x".repeat(usize::try_from(LOG_END).unwrap()),
        );
        let log = Log::of(logs.path());
        assert_eq!(log.code(), None);
        std::fs::write(&path, &text).unwrap();
        assert_eq!(log.code().as_deref(), Some("rejectedIdentifier"));
        // Of a call before.
        assert_eq!(Log::of(logs.path()).code(), None);
        let other = Log { path: path.clone(), before: None };
        std::fs::write(&path, "certbot.errors.Error: no code\n").unwrap();
        assert_eq!(other.code(), None);
    }
}
