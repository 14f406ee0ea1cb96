//! What tenants' apps send: levels, limits, the rule about times, and the closed list of reasons why a
//! line is refused. docs/tenant-apps.md is the contract; a test compares the reasons.

use std::{fmt, str::FromStr};

use freehold_protocol::time::Timestamp;

/// Most lines of one batch of logs.
pub const MAX_LINES: usize = 5_000;
/// Most values of one batch of usage.
pub const MAX_VALUES: usize = 1_000;
/// Longest message of a line, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024;
/// Longest context of a line, in bytes of JSON.
pub const MAX_CONTEXT_BYTES: usize = 32 * 1024;
/// Objects and lists inside each other in a context.
pub const MAX_CONTEXT_DEPTH: usize = 16;
/// Longest user id, in bytes.
pub const MAX_USER_BYTES: usize = 200;
/// Longest address, in bytes.
pub const MAX_IP_BYTES: usize = 64;
/// Longest batch id, in characters.
pub const MAX_BATCH_ID: usize = 100;
/// Longest name of a metric, in characters.
pub const MAX_METRIC: usize = 100;
/// Metrics of one tenant on one day.
pub const MAX_METRICS_A_DAY: u64 = 500;
/// Largest value of a metric, either way: beyond it a sum of doubles is no longer exact.
pub const MAX_VALUE: f64 = 1e15;
/// Days that a value of a metric may be old when it comes.
pub const MAX_USAGE_AGE_DAYS: u32 = 60;
/// Checks in a report of health.
pub const MAX_CHECKS: usize = 50;
/// How far in the future a time may be before it is set to that of arrival, in milliseconds.
pub const MAX_AHEAD_MILLIS: i64 = 5 * 60 * 1000;
/// Milliseconds of a day.
pub const DAY_MILLIS: i64 = 86_400_000;

/// How grave a line is. The numbers are the severity numbers of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those that every logger has")]
pub enum Level {
    Trace = 1,
    Debug = 5,
    Info = 9,
    Warn = 13,
    Error = 17,
    Fatal = 21,
}

impl Level {
    /// All, the least grave first.
    pub const ALL: [Self; 6] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The level with this severity number.
    #[must_use]
    pub fn of_severity(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| *level as u8 == number)
    }

    /// The level that a numbering logger (bunyan, pino) means.
    #[must_use]
    pub const fn of_number(number: u64) -> Option<Self> {
        Some(match number {
            10 => Self::Trace,
            20 => Self::Debug,
            30 => Self::Info,
            40 => Self::Warn,
            50 => Self::Error,
            60 => Self::Fatal,
            _ => return None,
        })
    }
}

impl FromStr for Level {
    type Err = &'static str;

    /// Reads a name, in any case, as loggers spell it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NAMES: [(&str, Level); 20] = [
            ("info", Level::Info),
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("debug", Level::Debug),
            ("warning", Level::Warn),
            ("trace", Level::Trace),
            ("fatal", Level::Fatal),
            ("critical", Level::Fatal),
            ("crit", Level::Fatal),
            ("alert", Level::Fatal),
            ("emerg", Level::Fatal),
            ("emergency", Level::Fatal),
            ("panic", Level::Fatal),
            ("err", Level::Error),
            ("notice", Level::Info),
            ("information", Level::Info),
            ("http", Level::Info),
            ("log", Level::Info),
            ("verbose", Level::Debug),
            ("silly", Level::Trace),
        ];
        NAMES
            .iter()
            .find(|(name, _)| text.eq_ignore_ascii_case(name))
            .map(|(_, level)| *level)
            .ok_or("use trace, debug, info, warn, error or fatal")
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a metric's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// An amount that is added up: requests, minutes, bytes.
    Counter,
    /// A reading: users, bytes stored.
    Gauge,
}

impl MetricKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// What an app says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AppStatus {
    Healthy,
    Degraded,
    Unhealthy,
}

impl AppStatus {
    /// All, the best first.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Unhealthy];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl FromStr for AppStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "healthy" => Self::Healthy,
            "degraded" => Self::Degraded,
            "unhealthy" => Self::Unhealthy,
            _ => return Err("use healthy, degraded or unhealthy"),
        })
    }
}

/// Why a line or value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// It is no JSON.
    NotJson,
    /// It is not a JSON object, or one with a field twice.
    NotAnObject,
    /// A field that must be there is not.
    Missing,
    /// A field is of another type.
    WrongType,
    /// A field is not one of the values that it can have.
    BadValue,
    /// A field is too long.
    TooLong,
    /// A context holds too many things inside each other.
    TooDeep,
    /// A time is none.
    BadTime,
    /// A time is older than what is kept.
    TooOld,
    /// The tenant has too many metrics on that day.
    TooManyMetrics,
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::NotJson,
        Self::NotAnObject,
        Self::Missing,
        Self::WrongType,
        Self::BadValue,
        Self::TooLong,
        Self::TooDeep,
        Self::BadTime,
        Self::TooOld,
        Self::TooManyMetrics,
    ];

    /// Its code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::Missing => "missing",
            Self::WrongType => "wrong_type",
            Self::BadValue => "bad_value",
            Self::TooLong => "too_long",
            Self::TooDeep => "too_deep",
            Self::BadTime => "bad_time",
            Self::TooOld => "too_old",
            Self::TooManyMetrics => "too_many_metrics",
        }
    }
}

/// A time as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// As it was said.
    Kept(Timestamp),
    /// It was said to be in the future: the time of arrival instead.
    Clamped(Timestamp),
    /// Older than what is kept.
    TooOld,
}

/// Judges a time that an app says.
#[must_use]
pub fn judge_time(said: Timestamp, now: Timestamp, keep_days: u32) -> Judged {
    if said.millis_since(now) > MAX_AHEAD_MILLIS {
        return Judged::Clamped(now);
    }
    if now.millis_since(said) > i64::from(keep_days) * DAY_MILLIS {
        return Judged::TooOld;
    }
    Judged::Kept(said)
}

/// The day of a time (UTC), in days since 1970-01-01.
#[must_use]
pub const fn day(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MILLIS)
}

/// Whether a text is a metric's name: letters, digits, `.`, `_`, `-`, `/` and `:`, beginning with a letter.
#[must_use]
pub fn is_metric(name: &str) -> bool {
    name.len() <= MAX_METRIC
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte))
}

/// Whether a text is a batch id: visible ASCII.
#[must_use]
pub fn is_batch_id(text: &str) -> bool {
    (1..=MAX_BATCH_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// How deep objects and lists of a JSON text go into each other. The text is known to be JSON.
#[must_use]
pub fn depth(json: &str) -> usize {
    let (mut now, mut most) = (0usize, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_as_loggers_spell_them() {
        for (text, level) in
            [("WARNING", Level::Warn), ("Info", Level::Info), ("crit", Level::Fatal)]
        {
            assert_eq!(text.parse(), Ok(level));
        }
        assert!("".parse::<Level>().is_err() && "loud".parse::<Level>().is_err());
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert_eq!(Level::of_severity(level as u8), Some(level));
        }
        assert_eq!(Level::of_number(50), Some(Level::Error));
        assert_eq!(Level::of_number(55), None);
    }

    #[test]
    fn the_edge_of_each_time() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let at = |ms| judge_time(now.plus_millis(ms), now, 30);
        assert_eq!(at(MAX_AHEAD_MILLIS), Judged::Kept(now.plus_millis(MAX_AHEAD_MILLIS)));
        assert_eq!(at(MAX_AHEAD_MILLIS + 1), Judged::Clamped(now));
        assert_eq!(at(-30 * DAY_MILLIS), Judged::Kept(now.plus_millis(-30 * DAY_MILLIS)));
        assert_eq!(at(-30 * DAY_MILLIS - 1), Judged::TooOld);
        assert_eq!(day(Timestamp::from_millis(-1)), -1);
        assert_eq!(day(Timestamp::from_millis(DAY_MILLIS)), 1);
    }

    #[test]
    fn braces_inside_texts_are_no_depth() {
        assert_eq!(depth(r#"{"a":[1,{"b":"[[[{\"{"}]}"#), 3);
        assert_eq!(depth(r#""\\""#), 0);
        assert_eq!(depth(&"[".repeat(100_000)), 100_000);
    }

    #[test]
    fn names() {
        assert!(is_metric("api.requests/total") && !is_metric("") && !is_metric("1a"));
        assert!(!is_metric("a b") && !is_metric("=a") && !is_metric(&"a".repeat(101)));
        assert!(is_batch_id("b-1") && !is_batch_id("a b") && !is_batch_id("") && !is_batch_id("ü"));
    }

    #[test]
    fn reasons_are_numbered_in_order() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
