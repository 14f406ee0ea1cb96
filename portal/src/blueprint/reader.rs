//! Walking the tree: collects problems, and remembers where each path stands.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use freehold_protocol::blueprint::template::Template;

use super::tree::{Entry, Mark, Node, Value};
use super::{PROBLEM_LIMIT, Problem, never};

/// A node with the path that leads to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) path: &'a str,
    pub(super) node: &'a Node,
}

#[derive(Debug)]
pub(super) struct Reader {
    file: String,
    problems: Vec<Problem>,
    marks: BTreeMap<String, Mark>,
}

impl Reader {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), problems: Vec::new(), marks: BTreeMap::new() }
    }

    /// The problems so far, in the order of the file.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }

    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn refuse(
        &mut self,
        mark: Mark,
        path: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.problems.len() < PROBLEM_LIMIT {
            self.problems.push(Problem {
                file: self.file.clone(),
                line: mark.line,
                column: mark.column,
                path: path.to_owned(),
                what: what.into(),
                remedy: remedy.into(),
            });
        }
    }

    /// Where a path stands, or the longest part of it that stands anywhere.
    pub(super) fn locate(&self, path: &str) -> Mark {
        let mut part = path;
        loop {
            if let Some(mark) = self.marks.get(part) {
                return *mark;
            }
            match part.rfind(['.', '[']) {
                Some(end) => part = &part[..end],
                None => return Mark { line: 1, column: 1 },
            }
        }
    }

    /// The entries of a map; nothing, and a problem, for anything else. `null` is an empty map.
    pub(super) fn map<'a>(&mut self, at: At<'a>) -> &'a [Entry] {
        match &at.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Scalar(_) | Value::List(_) => {
                self.refuse(
                    at.node.mark,
                    at.path,
                    "is not a map",
                    "Write it as `key: value` lines.",
                );
                &[]
            }
        }
    }

    /// The items of a list; nothing, and a problem, for anything else.
    pub(super) fn list<'a>(&mut self, at: At<'a>) -> &'a [Node] {
        match &at.node.value {
            Value::List(items) => items,
            Value::Null => &[],
            Value::Scalar(_) | Value::Map(_) => {
                self.refuse(at.node.mark, at.path, "is not a list", "Write it as `- item` lines.");
                &[]
            }
        }
    }

    /// The text of a scalar.
    pub(super) fn text<'a>(&mut self, at: At<'a>) -> Option<&'a str> {
        match &at.node.value {
            Value::Scalar(text) => Some(text),
            Value::Null => {
                self.refuse(
                    at.node.mark,
                    at.path,
                    "has no value",
                    "Give it one, or remove the key.",
                );
                None
            }
            Value::List(_) | Value::Map(_) => {
                self.refuse(at.node.mark, at.path, "is not a plain value", "Write one value.");
                None
            }
        }
    }

    /// A scalar that is a `T`.
    pub(super) fn parse<T>(&mut self, at: At<'_>) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(at)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(
                    at.node.mark,
                    at.path,
                    format!("is refused: {error}"),
                    "Correct the value.",
                );
                None
            }
        }
    }

    /// A scalar that a function understands; `form` says what it must look like.
    pub(super) fn convert<T>(
        &mut self,
        at: At<'_>,
        form: &str,
        convert: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(at)?;
        let value = convert(text);
        if value.is_none() {
            let short: String = text.chars().take(60).collect();
            self.refuse(
                at.node.mark,
                at.path,
                format!("is \"{}\", which is not understood", short.escape_debug()),
                format!("Use {form}."),
            );
        }
        value
    }

    pub(super) fn boolean(&mut self, at: At<'_>) -> Option<bool> {
        self.convert(at, "true or false", |text| match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    pub(super) fn number(&mut self, at: At<'_>) -> Option<u32> {
        self.convert(at, "a whole number", |text| {
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        })
    }

    pub(super) fn template(&mut self, at: At<'_>) -> Option<Template> {
        let text = self.text(at)?;
        match text.parse::<Template>() {
            Ok(template) => Some(template),
            Err(error) => {
                self.refuse(
                    at.node.mark,
                    at.path,
                    format!("is refused: {}", error.what),
                    sentence(error.remedy),
                );
                None
            }
        }
    }

    /// Calls `each` for every item of a list, with its path.
    pub(super) fn items(&mut self, at: At<'_>, mut each: impl FnMut(&mut Self, At<'_>)) {
        for (index, node) in self.list(at).iter().enumerate() {
            let path = format!("{}[{index}]", at.path);
            self.marks.insert(path.clone(), node.mark);
            each(self, At { path: &path, node });
        }
    }

    /// Calls `each` for every entry of a map, with its path and key.
    pub(super) fn entries(&mut self, at: At<'_>, mut each: impl FnMut(&mut Self, &Entry, At<'_>)) {
        for entry in self.map(at) {
            let path = if at.path.is_empty() {
                entry.key.clone()
            } else {
                format!("{}.{}", at.path, entry.key)
            };
            self.marks.insert(path.clone(), entry.mark);
            each(self, entry, At { path: &path, node: &entry.node });
        }
    }

    /// The key of a map that has names for keys.
    pub(super) fn name<T>(&mut self, entry: &Entry, at: At<'_>) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match entry.key.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.refuse(entry.mark, at.path, format!("has a bad name: {error}"), "Rename it.");
                None
            }
        }
    }

    /// Refuses a key that the model has no place for, with its own reason where it has one.
    pub(super) fn unknown(&mut self, scope: never::Scope, entry: &Entry, at: At<'_>) {
        let (what, remedy) = match never::explain(scope, &entry.key) {
            Some((why, remedy)) => (format!("is not allowed: {why}"), remedy.to_owned()),
            None => (
                "is not a key that Freehold knows".to_owned(),
                format!(
                    "Remove it, or correct the spelling; docs/blueprint.md lists the keys of {}.",
                    scope.name()
                ),
            ),
        };
        self.refuse(entry.mark, at.path, what, remedy);
    }
}

/// A remedy as a sentence of its own.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}
