//! What users want of themselves: name, settings, password.

use serde_json::{Map, Value, json};

use super::{check_generation, sessions as app_sessions, tenant_input::Fields, users as app_users};
use crate::{
    api::users::{MAX_SETTINGS_BYTES, UpdateMe},
    db::{
        Tx, sessions,
        users::{self, UserRow},
    },
    domain::{
        ids::{SessionId, UserId},
        session::Ending,
    },
    error::{AppError, Kind},
};

/// Deepest nesting of settings.
const MAX_DEPTH: usize = 16;

/// A user wants itself changed.
#[derive(Debug)]
pub struct UpdateSelf {
    /// The user.
    pub id: UserId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// As it was written.
    pub request: UpdateMe,
}

impl UpdateSelf {
    /// Changes it.
    ///
    /// # Errors
    /// Wrong fields, 412.
    pub fn apply(self, tx: &Tx<'_>) -> Result<UserRow, AppError> {
        let before = app_users::find(tx, self.id)?;
        check_generation(self.generation, before.generation)?;
        let mut user = before.clone();
        if let Some(name) = self.request.name {
            let mut fields = Fields::default();
            fields.person_text("/name", &name);
            fields.done()?;
            user.name = name;
        }
        users::update(tx, &user)?;
        app_users::record_update(tx, &app_sessions::actor(&user.login), &before, &user)?;
        app_users::find(tx, self.id)
    }
}

/// A user wants its settings changed.
#[derive(Debug)]
pub struct UpdateSettings {
    /// The user.
    pub id: UserId,
    /// What `If-Match` named.
    pub generation: Option<u64>,
    /// What is merged into them (RFC 7396).
    pub patch: Map<String, Value>,
}

impl UpdateSettings {
    /// Merges it. Settings are the user's own business: the audit log does not say what they are.
    ///
    /// # Errors
    /// 412, or settings that are too large or too deep.
    pub fn apply(self, tx: &Tx<'_>) -> Result<UserRow, AppError> {
        let mut user = app_users::find(tx, self.id)?;
        check_generation(self.generation, user.generation)?;
        let patch = Value::Object(self.patch);
        if depth(&patch) > MAX_DEPTH {
            return Err(AppError::invalid("", format!("settings nest at most {MAX_DEPTH} deep")));
        }
        let mut settings = Value::Object(user.settings);
        merge(&mut settings, patch);
        let bytes = serde_json::to_string(&settings)?.len();
        if bytes > MAX_SETTINGS_BYTES {
            return Err(AppError::invalid(
                "",
                format!("the settings would be {bytes} bytes; keep them to {MAX_SETTINGS_BYTES}"),
            ));
        }
        user.settings = match settings {
            Value::Object(map) => map,
            _ => return Err(AppError::bug("merging made something else of an object")),
        };
        users::update(tx, &user)?;
        let more = [("settingsBytes", json!(bytes))];
        app_users::record(tx, &app_sessions::actor(&user.login), "user.settings", &user, &more)?;
        app_users::find(tx, self.id)
    }
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Object(map) => map.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// A user changes its password, and has shown the old one.
pub struct ChangePassword {
    /// The user.
    pub id: UserId,
    /// The session that goes on; all others end.
    pub session: SessionId,
    /// The hash that the old one was found to be right for.
    pub old: String,
    /// The hash of the new one.
    pub new: String,
}

impl std::fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChangePassword({})", self.id)
    }
}

impl ChangePassword {
    /// Changes it.
    ///
    /// # Errors
    /// `password_changed` when it was changed meanwhile.
    pub fn apply(self, tx: &Tx<'_>) -> Result<(), AppError> {
        let user = app_users::find(tx, self.id)?;
        if user.password != self.old {
            return Err(AppError::new(
                Kind::Conflict,
                "password_changed",
                "the password was changed meanwhile",
            )
            .advice("log in with the new one"));
        }
        users::set_password(tx, user.id, &self.old, &self.new, false)?;
        let ended = sessions::end_of_user(tx, user.id, Some(self.session), Ending::Password)?;
        let more = [("sessionsEnded", json!(ended))];
        app_users::record(tx, &app_sessions::actor(&user.login), "user.password", &user, &more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_merged_as_rfc_7396_says() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, result) in cases {
            merge(&mut target, patch);
            assert_eq!(target, result);
        }
        assert_eq!(depth(&json!({"a":[{"b":1}]})), 3);
    }
}
