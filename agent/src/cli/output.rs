//! Writing to the terminal. The one place that does; a reader that went away is no error.

use std::io::{self, Write};

use freehold_protocol::time::Timestamp;
use serde::Serialize;

/// To standard output.
pub fn out(text: &str) {
    written(io::stdout().lock().write_all(text.as_bytes()));
}

/// To standard error.
pub fn err(text: &str) {
    written(io::stderr().lock().write_all(text.as_bytes()));
}

fn written(result: io::Result<()>) {
    if let Err(error) = result {
        // `freehold-agent status | head -1` closes early; there is nobody left to tell.
        tracing::debug!(%error, "the terminal went away");
    }
}

/// A value as JSON.
pub fn json<T: Serialize>(value: &T) {
    // Values of ours always have a JSON form.
    out(&serde_json::to_string_pretty(value).unwrap_or_default());
    out("\n");
}

/// A table with a header, columns as wide as their widest cell.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width - cell.chars().count() + 2));
        }
        format!("{}\n", text.trim_end())
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// A duration for people.
#[must_use]
pub fn age(millis: u64) -> String {
    let secs = millis / 1000;
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min {} s", secs / 60, secs % 60),
        3600..86_400 => format!("{} h {} min", secs / 3600, secs % 3600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3600),
    }
}

/// A time for people, in UTC.
#[must_use]
pub fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
