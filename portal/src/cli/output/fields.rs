//! One thing as labelled lines.

use super::clean;

/// Labels and values, aligned.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// No line yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One more line.
    pub(crate) fn add(mut self, label: &str, value: impl ToString) -> Self {
        self.0.push((label.to_owned(), value.to_string()));
        self
    }

    /// One more line, if there is a value.
    pub(crate) fn add_some(self, label: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.add(label, value),
            None => self,
        }
    }

    /// One line for each entry; the label stands at the first.
    pub(crate) fn add_all<T: ToString>(
        mut self,
        label: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        for (index, value) in values.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.0.push((label.to_owned(), value.to_string()));
        }
        self
    }

    /// The text, a line break after each line.
    pub(crate) fn render(&self) -> String {
        let width = self.0.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
        let mut text = String::new();
        for (label, value) in &self.0 {
            let mut label = label.as_str();
            let mut lines = value.lines().peekable();
            if lines.peek().is_none() {
                text.push_str(&format!("{label:width$}  –\n"));
            }
            for line in lines {
                text.push_str(&format!("{label:width$}  {}\n", clean(line)));
                label = "";
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_aligned_and_values_may_have_lines() {
        let text = Fields::new()
            .add("name", "web-1")
            .add("problems", "one\ntwo\u{7}")
            .add_some("none", None::<String>)
            .add("note", "")
            .add_all("list", ["a", "b"])
            .render();
        assert_eq!(
            text,
            "name      web-1\nproblems  one\n          two\u{fffd}\nnote      –\nlist      a\n          b\n"
        );
    }
}
