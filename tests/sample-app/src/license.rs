//! Whether the app is licensed: the portal's word, or the lease that it gave while it is away.

use crate::lease::{Kept, check_lease};
use crate::portal::Line;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the app holds to prove that it is licensed.
#[derive(Debug)]
pub(crate) struct License {
    question: Value,
    product: String,
    keys: Vec<(String, [u8; 32])>,
    file: PathBuf,
    held: Mutex<Held>,
}

/// The lease, and what must never go back; on disk, so that a restart does not forget it.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
struct Held {
    lease: Option<String>,
    seq: i64,
    latest: i64,
}

impl License {
    /// As the environment says; the key set is the one that came with the deploy.
    pub(crate) fn from(
        var: &impl Fn(&str) -> Option<String>,
        folder: &Path,
    ) -> Result<Self, String> {
        let file = folder.join("lease.json");
        let held = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let text = |name: &str| var(name).unwrap_or_default();
        Ok(Self {
            question: json!({
                "licenseKey": text("LICENSE_KEY"), "organizationId": text("ORGANIZATION_ID"),
            }),
            product: var("LICENSED_PRODUCT").unwrap_or_else(|| "recruitiq".to_owned()),
            keys: keys(&var("PORTAL_JWKS").unwrap_or_else(|| r#"{"keys":[]}"#.to_owned()))?,
            file,
            held: Mutex::new(held.unwrap_or_default()),
        })
    }

    /// Asks, and says whether the app may work. `ahead`: seconds that the clock is taken to be ahead when
    /// the lease is judged.
    pub(crate) fn check(&self, line: &Line, ahead: i64) -> Value {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let question = self.question.to_string();
        match line.post("/api/licenses/validate", question.as_bytes()) {
            // The portal's word counts at once, whatever lease is held.
            Ok((200, said)) => {
                held.lease = said["lease"].as_str().map(str::to_owned);
                self.write(&held);
                json!({ "allowed": said["valid"] == true, "by": "portal", "code": said["code"] })
            }
            // Anything else is no answer about the license.
            Ok((status, problem)) => {
                let why = format!("{status} {}", problem["code"].as_str().unwrap_or_default());
                self.by_lease(&mut held, line, ahead, &why)
            }
            Err(why) => self.by_lease(&mut held, line, ahead, &why),
        }
    }

    fn by_lease(&self, held: &mut Held, line: &Line, ahead: i64, why: &str) -> Value {
        let Some(lease) = &held.lease else {
            return json!({ "allowed": false, "by": "nobody", "portal": why });
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(ahead);
        let mut kept = Kept { seq: held.seq, latest: held.latest };
        match check_lease(lease, &self.keys, &line.url, &self.product, &mut kept, now) {
            Ok(claims) => {
                // A clock that is only taken to be ahead has not been seen.
                if ahead == 0 {
                    (held.seq, held.latest) = (kept.seq, kept.latest);
                    self.write(held);
                }
                json!({ "allowed": true, "by": "lease", "portal": why, "until": claims["exp"] })
            }
            Err(refused) => {
                json!({ "allowed": false, "by": "lease", "portal": why, "reason": refused })
            }
        }
    }

    fn write(&self, held: &Held) {
        let written = serde_json::to_vec(held)
            .map_err(std::io::Error::other)
            .and_then(|json| std::fs::write(&self.file, json));
        if let Err(error) = written {
            eprintln!("{}: {error}", self.file.display());
        }
    }
}

/// The keys of a key set by their names.
fn keys(text: &str) -> Result<Vec<(String, [u8; 32])>, String> {
    let set: Value = serde_json::from_str(text).map_err(|error| format!("PORTAL_JWKS: {error}"))?;
    let listed = set["keys"].as_array().ok_or("PORTAL_JWKS: has no list of keys")?;
    listed
        .iter()
        .map(|key| {
            let name = key["kid"].as_str()?.to_owned();
            let bytes = BASE64URL.decode(key["x"].as_str()?).ok()?;
            Some((name, bytes.try_into().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "PORTAL_JWKS: holds a key that is not Ed25519".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_is_read_by_name() {
        let x = BASE64URL.encode([7; 32]);
        let set = json!({ "keys": [{ "kid": "a", "x": x }] }).to_string();
        assert_eq!(keys(&set).unwrap(), [("a".to_owned(), [7; 32])]);
        assert_eq!(keys(r#"{"keys":[]}"#).unwrap(), []);
        for bad in ["", "{}", r#"{"keys":[{"kid":"a","x":"AA"}]}"#, r#"{"keys":[{"x":"AA"}]}"#] {
            assert!(keys(bad).unwrap_err().starts_with("PORTAL_JWKS"), "{bad}");
        }
    }
}
