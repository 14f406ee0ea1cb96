//! Rows and columns.

use super::{clean, fit};

/// Narrowest that a column is made, in characters.
const MIN_COLUMN: usize = 8;
/// Between two columns.
const GAP: &str = "  ";

/// A table with a head.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// One more row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len(), "a row has as many cells as the head");
        // A cell is one line.
        self.rows.push(cells.iter().map(|cell| clean(cell.trim_end())).collect());
    }

    /// The text. With a width, columns are narrowed, the widest first, until the table fits;
    /// without one (a pipe, a file) every cell is whole.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let lines: Vec<&Vec<String>> = std::iter::once(&self.head).chain(&self.rows).collect();
        let columns = self.head.len();
        let mut widths: Vec<usize> = (0..columns)
            .map(|column| {
                lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
            })
            .collect();
        if let Some(width) = width {
            let gaps = GAP.len() * columns.saturating_sub(1);
            while widths.iter().sum::<usize>() + gaps > width {
                let Some(widest) = widths.iter_mut().filter(|w| **w > MIN_COLUMN).max() else {
                    break;
                };
                *widest -= 1;
            }
        }
        let mut text = String::new();
        for line in lines {
            let mut row = String::new();
            for (column, cell) in line.iter().enumerate() {
                let column_width = widths[column];
                let cell = fit(cell, column_width);
                row.push_str(&format!("{cell:column_width$}"));
                row.push_str(GAP);
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["NAME", "STATE", "MESSAGE"]);
        table.row(["web-1".into(), "online".into(), "all is well\nand more".into()]);
        table.row(["größer-2".into(), "–".into(), String::new()]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            table().render(None),
            "NAME      STATE   MESSAGE\nweb-1     online  all is well\u{fffd}and more\ngrößer-2  –\n"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_narrow_columns() {
        let text = table().render(Some(30));
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.contains("all is well…") || text.contains("all is we"), "{text}");
        // Never narrower than what can be read.
        assert!(table().render(Some(1)).contains("größer-2"));
    }
}
