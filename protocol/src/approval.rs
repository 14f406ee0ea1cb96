//! What was approved: the digest of a job's work, by which an agent tells it from anything else.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ids::{ProvisionRequestId, Sha256Digest},
    job::Work,
};

/// Stands in a job that somebody had to approve. An agent refuses the job unless its work has this digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// The provision request that was approved.
    pub request: ProvisionRequestId,
    /// [`work_digest`] of the work as it was shown to whoever approved it.
    pub digest: Sha256Digest,
}

impl Approval {
    /// Whether this is the work that was approved.
    #[must_use]
    pub fn is_of(&self, work: &Work) -> bool {
        work_digest(work).is_some_and(|digest| digest == self.digest)
    }
}

/// The digest of a work: SHA-256 over its JSON with the keys of every object in the order of their bytes and
/// nothing between the signs, so that the order of fields does not change it. Two versions of the program may
/// write a work differently, though; then the older approval holds for neither, and is asked for anew.
/// None for a work that is no JSON, which is a defect.
#[must_use]
pub fn work_digest(work: &Work) -> Option<Sha256Digest> {
    let value = serde_json::to_value(work).ok()?;
    let mut text = String::new();
    write(&value, &mut text);
    Some(Sha256Digest::of(text.as_bytes()))
}

/// Written here and not left to the order of a map, which a feature of `serde_json` changes for the whole program.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(&Value::String(key.clone()), text);
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{DataOnRemove, RemoveTenant};

    fn removal(slug: &str) -> Work {
        Work::RemoveTenant(RemoveTenant {
            tenant: "01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d04".parse().unwrap(),
            slug: slug.parse().unwrap(),
            data: DataOnRemove::Keep,
        })
    }

    #[test]
    fn the_digest_is_that_of_the_sorted_json_without_spaces() {
        let text = r#"{"kind":"remove_tenant","params":{"data":"keep","slug":"acme","tenant":"01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d04"}}"#;
        let digest = Sha256Digest::of(text.as_bytes());
        assert_eq!(work_digest(&removal("acme")), Some(digest));
        assert_ne!(work_digest(&removal("acme2")), Some(digest));
    }

    #[test]
    fn texts_and_numbers_are_written_as_json_writes_them() {
        let mut text = String::new();
        let value = serde_json::json!({ "ü\"\n": [1, -2, true, null, {}], "a": [], "B": "\u{1f}" });
        write(&value, &mut text);
        assert_eq!(text, "{\"B\":\"\\u001f\",\"a\":[],\"ü\\\"\\n\":[1,-2,true,null,{}]}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn an_approval_fits_one_work_alone() {
        let request = "01936d2a-7c2b-7e3c-8b7a-0c8f3a2b1d05".parse().unwrap();
        let approval = Approval { request, digest: work_digest(&removal("acme")).unwrap() };
        assert!(approval.is_of(&removal("acme")));
        assert!(!approval.is_of(&removal("beta")));
    }
}
