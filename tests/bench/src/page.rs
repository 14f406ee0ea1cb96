//! The table on the terminal, and docs/performance.md.

use std::{fmt::Write as _, path::Path};

use crate::{
    figure::{Figure, Goal, Unit},
    figures::Measurement,
    stats::Spread,
};

/// Where the part that is written by hand begins; it is kept.
const BY_HAND: &str = "<!-- Below this line the page is written by hand and kept. -->";

/// What was measured, in order.
pub type Results = Vec<(&'static Measurement, Vec<Figure>)>;

/// One line on standard output.
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
pub fn say(text: &str) {
    println!("{text}");
}

/// One line on standard error.
#[expect(clippy::print_stderr, reason = "it is told beside the figures")]
pub fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// Prints the figures of one measurement.
pub fn print(measurement: &Measurement, figures: &[Figure]) {
    say(&format!("\n{} ({})", measurement.title, measurement.name));
    let rows: Vec<[String; 6]> = figures.iter().map(row).collect();
    let widths: Vec<usize> = (0..6)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            line.push(' ');
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 1));
        }
        say(line.trim_end());
    }
}

/// Figure, value with spread, baseline, ratio, goal, verdict.
fn row(figure: &Figure) -> [String; 6] {
    let baseline = figure
        .baseline
        .as_ref()
        .map(|(what, values)| format!("{} {what}", middle(&Spread::of(values), figure.unit)));
    let ratio = figure.ratio().map(|ratio| format!("{} ×", spread(&ratio, "")));
    let goal = figure.goal.map(|goal| match goal {
        Goal::AtMost(most) => format!("≤ {} {}", number(most), figure.unit.as_str()),
        Goal::AtLeast(least) => format!("≥ {} {}", number(least), figure.unit.as_str()),
        Goal::RatioAtMost(most) => format!("≤ {most} ×"),
        Goal::RatioAtLeast(least) => format!("≥ {least} ×"),
    });
    let verdict = figure.is_met().map(|met| if met { "met" } else { "MISSED" }.to_owned());
    [
        figure.name.clone(),
        spread(&figure.value(), figure.unit.as_str()),
        baseline.unwrap_or_default(),
        ratio.unwrap_or_default(),
        goal.unwrap_or_default().trim_end().to_owned(),
        verdict.unwrap_or_default(),
    ]
}

fn middle(spread: &Spread, unit: Unit) -> String {
    format!("{} {}", number(spread.median), unit.as_str()).trim_end().to_owned()
}

fn spread(spread: &Spread, unit: &str) -> String {
    let middle = format!("{} {unit}", number(spread.median)).trim_end().to_owned();
    if spread.runs == 1 {
        return middle;
    }
    format!("{middle} ({}..{})", number(spread.min), number(spread.max))
}

/// Three digits that mean something; no figure is below zero.
fn number(value: f64) -> String {
    let places = match value.abs() {
        at_least if at_least >= 100.0 => 0,
        at_least if at_least >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.bytes().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(char::from(digit));
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

/// Writes the page, keeping what was written by hand below the figures.
pub fn write(path: &Path, command: &str, machine: &[String], results: &Results) {
    let kept = std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.split_once(BY_HAND).map(|(_, kept)| kept.to_owned()));
    let mut page = text(command, machine, results);
    page.push_str(BY_HAND);
    page.push_str(kept.as_deref().unwrap_or("\n"));
    std::fs::write(path, page).expect("the page can be written");
}

fn text(command: &str, machine: &[String], results: &Results) -> String {
    let mut page = String::from(
        "# Performance\n\nWritten by `script/bench`. Each figure stands beside a baseline of the same run on the same machine: \
         compare the ratios, not the figures of two machines. A value is the median over the runs with the smallest and the \
         largest in brackets; a ratio is formed run by run.\n\nClient and server share the processors of one machine and talk \
         over loopback; the programs are release builds.\n\n",
    );
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
    writeln!(page, "- measured on {today} with `{command}`").expect(TAKES);
    for line in machine {
        writeln!(page, "- {line}").expect(TAKES);
    }
    let (met, missed) = verdicts(results);
    writeln!(page, "- goals met: {met}, missed: {missed}").expect(TAKES);
    for (measurement, figures) in results {
        write!(page, "\n## {}\n\n{}\n\n", measurement.title, measurement.how).expect(TAKES);
        let runs = figures.iter().map(|figure| figure.runs.len()).max().unwrap_or(0);
        writeln!(page, "| figure | value, {runs} runs | baseline | ratio | goal | |").expect(TAKES);
        page.push_str("|---|---|---|---|---|---|\n");
        for figure in figures {
            let cells = row(figure).map(|cell| cell.replace('|', "\\|"));
            writeln!(page, "| {} |", cells.join(" | ")).expect(TAKES);
        }
    }
    page.push('\n');
    page
}

const TAKES: &str = "a String takes everything";

/// How many goals were met and missed.
pub fn verdicts(results: &Results) -> (usize, usize) {
    let all: Vec<bool> =
        results.iter().flat_map(|(_, figures)| figures.iter().filter_map(Figure::is_met)).collect();
    let met = all.iter().filter(|met| **met).count();
    (met, all.len() - met)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        for (value, shown) in
            [(0.123, "0.12"), (12.34, "12.3"), (123.4, "123"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn a_row_shows_spread_baseline_ratio_and_verdict() {
        let figure = Figure::new("x", Unit::Millis, vec![2.0, 3.0, 4.0])
            .beside("y", vec![1.0, 1.0, 1.0])
            .goal(Goal::AtMost(2.5));
        let shown = row(&figure);
        assert_eq!(
            shown.each_ref().map(String::as_str),
            [
                "x",
                "3.00 ms (2.00..4.00)",
                "1.00 ms y",
                "3.00 (2.00..4.00) ×",
                "≤ 2.50 ms",
                "MISSED"
            ]
        );
    }
}
