//! `.env`: the values of the variables that `compose.yaml` names.

use std::collections::BTreeMap;

use super::{Allocation, RenderError, port_of};
use crate::blueprint::delivered::Need;
use crate::blueprint::model::Blueprint;
use crate::blueprint::names::VarName;
use crate::blueprint::values::check_env_value;
use crate::secret::Secret;

const HEADER: &str =
    "# Written by Freehold. Holds this tenant's secrets: keep it readable by root only.\n";

pub(super) fn render_env(
    blueprint: &Blueprint,
    allocation: &Allocation,
) -> Result<Secret, RenderError> {
    let freehold = &blueprint.freehold;
    if let Some(name) = allocation.settings.keys().find(|n| !freehold.settings.contains_key(*n)) {
        return Err(RenderError::SettingUnknown(name.clone()));
    }
    let url = format!("https://{}", allocation.domain);
    let mut values: BTreeMap<VarName, String> = BTreeMap::from([
        (VarName::fact("FREEHOLD_TENANT"), allocation.tenant.to_string()),
        (VarName::fact("FREEHOLD_TENANT_ID"), allocation.marks.tenant.to_string()),
        (VarName::fact("FREEHOLD_DOMAIN"), allocation.domain.to_string()),
        (VarName::fact("FREEHOLD_PUBLIC_URL"), url),
    ]);
    for role in freehold.ports.keys() {
        values.insert(VarName::of_port(role), port_of(allocation, role)?.to_string());
    }
    for (name, spec) in &freehold.settings {
        let given = allocation.settings.get(name).or(spec.default.as_ref());
        if spec.required && given.is_none_or(String::is_empty) {
            return Err(RenderError::SettingMissing(name.clone()));
        }
        if let Some(value) = given {
            spec.kind
                .check_value(value)
                .map_err(|why| RenderError::Value { name: name.clone(), why })?;
        }
        // An unset setting is written as empty, so that `${NAME:-default}` applies and Compose
        // does not warn about it.
        values.insert(name.clone(), given.cloned().unwrap_or_default());
    }
    // Secrets are written straight into the buffer that is cleared: no copy of them stays behind.
    let mut text = String::with_capacity(64 * 1024);
    text.push_str(HEADER);
    for (name, value) in &values {
        push_line(&mut text, name, value);
    }
    for name in freehold.secrets.keys() {
        let secret = allocation.secrets.get(name);
        let value = secret.ok_or_else(|| RenderError::SecretMissing(name.clone()))?.expose();
        if value.is_empty() {
            return Err(RenderError::SecretMissing(name.clone()));
        }
        check_env_value(value).map_err(|why| RenderError::Value { name: name.clone(), why })?;
        push_line(&mut text, name, value);
    }
    for (delivered, need) in blueprint.delivered() {
        let name = VarName::fact(delivered.name());
        match allocation.delivered.values().get(&delivered) {
            Some(value) => {
                let value = value.expose();
                check_env_value(value)
                    .map_err(|why| RenderError::Value { name: name.clone(), why })?;
                push_line(&mut text, &name, value);
            }
            // As for an unset setting.
            None if need == Need::Optional => push_line(&mut text, &name, ""),
            None => return Err(RenderError::DeliveredMissing(delivered)),
        }
    }
    Ok(Secret::new(text))
}

/// Appends `NAME="value"`, quoted for Compose's own dotenv parser.
///
/// Single quotes would be simpler and cannot carry a value that ends in a backslash. Inside double
/// quotes the parser reads `\\` and `\"`, and then interpolates, where `$$` is a dollar sign.
fn push_line(out: &mut String, name: &VarName, value: &str) {
    out.push_str(name.as_str());
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '$' => out.push_str("$$"),
            c => out.push(c),
        }
    }
    out.push_str("\"\n");
}
