//! YAML text → a tree with positions.
//!
//! Anchors, aliases and merge keys are resolved here, under limits on depth and on the nodes that
//! aliases multiply into. Tags other than `!!str` are refused: Compose's `!reset` and `!override`
//! change meaning between files, and a blueprint is one file.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

/// Levels of lists and maps inside each other. A Compose file has about six.
const DEPTH_LIMIT: usize = 24;
/// Nodes of the tree after aliases are expanded.
const NODE_LIMIT: usize = 40_000;

/// A position in the text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl From<Span> for Mark {
    fn from(span: Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A text, a number or a truth value, as it was written.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file, without duplicate keys.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) mark: Mark,
    pub(super) node: Node,
}

/// Why a text is not a tree.
#[derive(Debug)]
pub(super) struct TreeError {
    pub(super) mark: Mark,
    pub(super) what: String,
    pub(super) remedy: &'static str,
}

impl Node {
    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| 1 + entry.node.count()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => entries.iter().map(|e| e.node.depth()).max().unwrap_or(0),
        }
    }
}

/// A list or map that is still being filled.
struct Open {
    mark: Mark,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merges: Vec<Node>, key: Option<(String, Mark)> },
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

/// Parses one YAML document. `None` when the text has none.
pub(super) fn parse(text: &str) -> Result<Option<Node>, TreeError> {
    let mut builder = Builder::default();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| TreeError {
            mark: Mark { line: error.marker().line(), column: error.marker().col() + 1 },
            what: format!("is not YAML: {}", error.info()),
            remedy: "Correct the syntax at this place.",
        })?;
        let mark = Mark::from(span);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(TreeError {
                        mark,
                        what: "holds a second document".to_owned(),
                        remedy: "Keep one document per file; remove what follows `---`.",
                    });
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::Alias(anchor) => builder.alias(anchor, mark)?,
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some();
                check_tag(tag.as_deref(), mark)?;
                let plain = style == ScalarStyle::Plain && !is_text;
                let value = if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                builder.counted(1, mark)?;
                builder.push(Node { mark, value }, anchor, plain)?;
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), mark)?;
                builder.open(mark, anchor, OpenKind::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), mark)?;
                let kind = OpenKind::Map { entries: Vec::new(), merges: Vec::new(), key: None };
                builder.open(mark, anchor, kind)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
        }
    }
    Ok(builder.root)
}

fn check_tag(tag: Option<&Tag>, mark: Mark) -> Result<(), TreeError> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == "str") => Err(TreeError {
            mark,
            what: format!("holds the tag {tag}"),
            remedy: "Remove the tag; write the value itself.",
        }),
        _ => Ok(()),
    }
}

impl Builder {
    fn counted(&mut self, nodes: usize, mark: Mark) -> Result<(), TreeError> {
        self.nodes += nodes;
        if self.nodes > NODE_LIMIT {
            return Err(TreeError {
                mark,
                what: format!("has more than {NODE_LIMIT} values once its aliases are expanded"),
                remedy: "Use fewer aliases.",
            });
        }
        Ok(())
    }

    fn open(&mut self, mark: Mark, anchor: usize, kind: OpenKind) -> Result<(), TreeError> {
        self.counted(1, mark)?;
        self.deep_enough(0, mark)?;
        self.stack.push(Open { mark, anchor, kind });
        Ok(())
    }

    fn deep_enough(&self, below: usize, mark: Mark) -> Result<(), TreeError> {
        if self.stack.len() + below >= DEPTH_LIMIT {
            return Err(TreeError {
                mark,
                what: format!("is nested more than {DEPTH_LIMIT} levels deep"),
                remedy: "A Compose file needs about six; flatten it.",
            });
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), TreeError> {
        // An anchor enters the table when its value ends, so a value cannot contain itself.
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(TreeError {
                mark,
                what: "holds an alias to a value that is not complete".to_owned(),
                remedy: "Refer only to anchors that end before this place.",
            });
        };
        let (count, depth) = (node.count(), node.depth());
        // Counted before it is copied: a bomb costs nothing.
        self.counted(count, mark)?;
        self.deep_enough(depth, mark)?;
        let Some(node) = self.anchors.get(&anchor).cloned() else { return Ok(()) };
        self.push(node, 0, false)
    }

    fn close(&mut self) -> Result<(), TreeError> {
        let Some(Open { mark, anchor, kind }) = self.stack.pop() else { return Ok(()) };
        let value = match kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { entries, merges, .. } => Value::Map(self.merged(entries, merges)?),
        };
        self.push(Node { mark, value }, anchor, false)
    }

    /// The map's own entries, then what its merge keys add. An earlier source wins.
    fn merged(&mut self, entries: Vec<Entry>, merges: Vec<Node>) -> Result<Vec<Entry>, TreeError> {
        const WHAT: &str = "merges something that is not a map";
        let mut all = entries;
        for merge in merges {
            let mark = merge.mark;
            let sources = match merge.value {
                Value::List(items) => items,
                value => vec![Node { mark, value }],
            };
            for source in sources {
                let Value::Map(added) = source.value else {
                    return Err(TreeError {
                        mark,
                        what: WHAT.to_owned(),
                        remedy: "Let `<<` name an alias of a map, or a list of them.",
                    });
                };
                for entry in added {
                    if !all.iter().any(|known| known.key == entry.key) {
                        all.push(entry);
                    }
                }
            }
        }
        Ok(all)
    }

    /// Puts a finished node where it belongs: the key or value of a map, a list, or the root.
    fn push(&mut self, node: Node, anchor: usize, plain: bool) -> Result<(), TreeError> {
        if anchor > 0 {
            self.counted(node.count(), node.mark)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let (entries, merges, key) = match &mut open.kind {
            OpenKind::List(items) => {
                items.push(node);
                return Ok(());
            }
            OpenKind::Map { entries, merges, key } => (entries, merges, key),
        };
        if let Some((text, mark)) = key.take() {
            if text == "<<" {
                merges.push(node);
            } else {
                entries.push(Entry { key: text, mark, node });
            }
            return Ok(());
        }
        let mark = node.mark;
        let text = match node.value {
            Value::Scalar(text) => text,
            Value::Null | Value::List(_) | Value::Map(_) => {
                return Err(TreeError {
                    mark,
                    what: "holds a key that is not a text".to_owned(),
                    remedy: "Use a plain word as the key.",
                });
            }
        };
        // `"<<"` in quotes would be an ordinary key, which Compose never has.
        if (text == "<<" && (!plain || !merges.is_empty())) || entries.iter().any(|e| e.key == text)
        {
            return Err(TreeError {
                mark,
                what: format!("repeats the key `{}`", text.escape_debug()),
                remedy: "Keep one of them; to merge several maps write `<<: [*a, *b]`.",
            });
        }
        *key = Some((text, mark));
        Ok(())
    }
}
