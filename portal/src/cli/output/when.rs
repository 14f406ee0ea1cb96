//! Times for people.

use std::time::Duration;

use freehold_protocol::time::Timestamp;

/// A point in time in UTC with its age: `2026-11-28 17:20:35Z (3m ago)`.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    let Ok(time) = jiff::Timestamp::from_millisecond(at.as_millis()) else {
        return "–".into();
    };
    // RFC 3339 to the second: `2026-11-28T17:20:35Z`.
    let text = format!("{time:.0}").replacen('T', " ", 1);
    let ahead = at.millis_since(now);
    if ahead > 0 {
        format!("{text} (in {})", duration(millis(ahead)))
    } else {
        format!("{text} ({} ago)", age(at, now))
    }
}

/// How long ago it was, for tables: `3m`.
pub(crate) fn age(at: Timestamp, now: Timestamp) -> String {
    duration(millis(now.millis_since(at)))
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// A length of time in its one or two largest units.
pub(crate) fn duration(length: Duration) -> String {
    let secs = length.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..600 => format!("{}m{:02}s", secs / 60, secs % 60),
        600..3600 => format!("{}m", secs / 60),
        3600..36_000 => format!("{}h{:02}m", secs / 3600, secs / 60 % 60),
        36_000..172_800 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        let now = Timestamp::from_millis(1_795_886_435_678);
        assert_eq!(moment(now, now), "2026-11-28 17:20:35Z (0s ago)");
        assert_eq!(moment(now.plus_secs(-180), now), "2026-11-28 17:17:35Z (3m00s ago)");
        assert_eq!(moment(now.plus_secs(90), now), "2026-11-28 17:22:05Z (in 1m30s)");
    }

    #[test]
    fn lengths_show_their_largest_units() {
        for (secs, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m01s"),
            (660, "11m"),
            (3700, "1h01m"),
            (40_000, "11h"),
            (200_000, "2d"),
        ] {
            assert_eq!(duration(Duration::from_secs(secs)), text);
        }
    }
}
