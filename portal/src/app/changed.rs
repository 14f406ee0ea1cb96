//! What an update changed, as the audit log tells it: the state before and after, of the fields that differ.

use serde_json::{Map, Value, json};

/// The fields that an update changed.
#[derive(Debug)]
pub(super) struct Changed(Map<String, Value>);

impl Changed {
    /// Compares two objects field by field: `{"title": ["Pro", "Pro 2"]}`. A field that one of them lacks is
    /// null there.
    pub(super) fn between(before: &Value, after: &Value) -> Self {
        let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let (mut before, after) = (fields(before), fields(after));
        let mut changed = Map::new();
        for (name, new) in after {
            let old = before.remove(&name).unwrap_or_default();
            if old != new {
                changed.insert(name, json!([old, new]));
            }
        }
        changed.extend(before.into_iter().filter(|(_, old)| !old.is_null()).map(gone));
        Self(changed)
    }

    /// Names a field of which the log, which is for ever, must not say more than whether it changed: a
    /// setting, which may be a secret, or what is a person's own.
    pub(super) fn unshown(mut self, name: &str, differs: bool) -> Self {
        if differs {
            self.0.insert(name.to_owned(), json!(true));
        }
        self
    }

    /// The fields by name.
    pub(super) fn fields(self) -> Value {
        Value::Object(self.0)
    }

    /// As the particulars of an entry.
    pub(super) fn detail(self) -> Value {
        json!({ "changed": self.0 })
    }
}

fn gone((name, old): (String, Value)) -> (String, Value) {
    (name, json!([old, null]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_with_both_values_and_what_is_unshown_without() {
        let before = json!({ "a": 1, "b": { "x": 1 }, "c": null, "gone": "g", "never": null });
        let after = json!({ "a": 1, "b": { "x": 2 }, "c": [1], "new": true, "unset": null });
        let changed = Changed::between(&before, &after).unshown("s", true).unshown("t", false);
        assert_eq!(
            changed.detail(),
            json!({ "changed": {
                "b": [{ "x": 1 }, { "x": 2 }], "c": [null, [1]], "gone": ["g", null],
                "new": [null, true], "s": true,
            } })
        );
        assert_eq!(Changed::between(&before, &before).detail(), json!({ "changed": {} }));
    }
}
