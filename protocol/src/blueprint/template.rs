//! Values with variables in them, in Compose's own notation.
//!
//! One parser, used by both sides: what the portal read as literal text, the agent reads so too.
//! The accepted part of Compose's interpolation is `$$` (a dollar sign), `${NAME}`, `$NAME` and
//! `${NAME:-default}`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::names::VarName;

/// The longest value, in bytes. It bounds a certificate chain in PEM generously.
pub const TEMPLATE_LIMIT_BYTES: usize = 16 * 1024;

/// A text in which declared variables may stand.
///
/// It travels and is stored as its source text; two equal texts are equal templates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(Vec<Part>);

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Text that means itself, dollar signs included.
    Literal(String),
    /// A variable, with the text to use when it is unset or empty.
    Variable {
        /// Its name.
        name: VarName,
        /// What stands after `:-`; it holds no variable.
        default: Option<String>,
    },
}

/// Why a text is not a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: &'static str,
}

impl TemplateError {
    fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        Self { what: what.into(), remedy }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// A template without variables.
    ///
    /// # Errors
    /// When the text holds a character that no YAML parser takes, or is too long.
    pub fn literal(text: &str) -> Result<Self, TemplateError> {
        check_text(text)?;
        Ok(Self(vec![Part::Literal(text.to_owned())]))
    }

    /// The pieces in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The variables that the template names.
    pub fn variables(&self) -> impl Iterator<Item = &VarName> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Variable { name, .. } => Some(name),
        })
    }
}

/// Refuses characters that YAML excludes or folds, and those that a terminal obeys.
///
/// Line feed and tab stay, because keys in PEM are values too. U+2028 and U+2029 are line breaks
/// to a YAML 1.1 parser, so a value with one would reach the container changed.
fn check_text(text: &str) -> Result<(), TemplateError> {
    if text.len() > TEMPLATE_LIMIT_BYTES {
        return Err(TemplateError::new(
            format!("the value has {} bytes and the limit is {TEMPLATE_LIMIT_BYTES}", text.len()),
            "put large content into the image or a volume",
        ));
    }
    let odd = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    match text.chars().find(|c| odd(*c)) {
        Some(c) => Err(TemplateError::new(
            format!("the value holds the control character U+{:04X}", u32::from(c)),
            "remove it",
        )),
        None => Ok(()),
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        check_text(text)?;
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let (variable, after) = variable(after)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(variable);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }
}

/// Reads what follows a dollar sign: `NAME…` or `{NAME…}…`.
fn variable(text: &str) -> Result<(Part, &str), TemplateError> {
    const LITERAL: &str = "write $$ for a dollar sign that means itself";
    let Some(inner) = text.strip_prefix('{') else {
        let end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            return Err(TemplateError::new("a dollar sign stands alone", LITERAL));
        }
        return Ok((Part::Variable { name: var_name(name)?, default: None }, rest));
    };
    let Some((inner, rest)) = inner.split_once('}') else {
        return Err(TemplateError::new("`${` has no closing brace", LITERAL));
    };
    let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    let name = var_name(name)?;
    if operator.is_empty() {
        return Ok((Part::Variable { name, default: None }, rest));
    }
    let Some(default) = operator.strip_prefix(":-") else {
        return Err(TemplateError::new(
            format!("`${{{inner}}}` uses a form of interpolation that is not supported"),
            "use ${NAME} or ${NAME:-default}; declare what must be present as `required: true` in x-freehold.settings",
        ));
    };
    // Braces, and line breaks: versions of Compose differ in where such a default ends.
    if default.contains(['$', '{', '\n']) {
        return Err(TemplateError::new(
            format!("the default of `{name}` holds a dollar sign, a brace or a line break"),
            "use a plain default, or a setting with a default in x-freehold.settings",
        ));
    }
    Ok((Part::Variable { name, default: Some(default.to_owned()) }, rest))
}

fn var_name(text: &str) -> Result<VarName, TemplateError> {
    text.parse().map_err(|_| {
        TemplateError::new(
            format!("`${{{text}}}` does not name a variable"),
            "name a variable in upper case that x-freehold declares, or write $$ for a dollar sign that means itself",
        )
    })
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('$', "$$"))?,
                Part::Variable { name, default: None } => write!(f, "${{{name}}}")?,
                Part::Variable { name, default: Some(default) } => {
                    write!(f, "${{{name}:-{default}}}")?;
                }
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Template {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_writes_composes_notation() {
        for (text, written) in [
            ("", ""),
            ("plain", "plain"),
            ("$$", "$$"),
            ("a$$b$$$$c", "a$$b$$$$c"),
            ("$NAME", "${NAME}"),
            ("$NAME.x", "${NAME}.x"),
            ("${NAME}", "${NAME}"),
            ("${NAME:-}", "${NAME:-}"),
            ("pre${NAME:-a b:c}post", "pre${NAME:-a b:c}post"),
            ("$$${NAME}$$", "$$${NAME}$$"),
            ("line\nline\t", "line\nline\t"),
        ] {
            assert_eq!(parse(text).to_string(), written, "{text:?}");
            assert_eq!(parse(written), parse(text), "{text:?}");
        }
        assert_eq!(parse("$$x").parts(), [Part::Literal("$x".into())]);
    }

    #[test]
    fn refuses_what_it_does_not_mean() {
        for text in [
            "$",
            "a$",
            "$ x",
            "${",
            "${}",
            "${A",
            "${a}",
            "$a",
            "$1",
            "${A-b}",
            "${A:?b}",
            "${A:+b}",
            "${A:-$B}",
            "${A:-${B}}",
            "${A:-{}",
            "${A:-\n}",
            "${A.B}",
            "a\0b",
            "a\rb",
            "a\u{1b}[0m",
            "a\u{2028}b",
            "\u{feff}",
        ] {
            assert!(text.parse::<Template>().is_err(), "{text:?}");
        }
        assert!("a".repeat(TEMPLATE_LIMIT_BYTES + 1).parse::<Template>().is_err());
    }
}
