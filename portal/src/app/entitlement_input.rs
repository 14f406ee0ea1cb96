//! What an admin writes about products, features and limits → sets that only parse. All wrong
//! entries at once.

use std::collections::BTreeMap;

use super::tenant_input::Fields;
use crate::{
    api::licenses::Differences,
    api::plans::MAX_API_KEYS as MOST_API_KEYS,
    domain::entitlement::{
        EntitlementName, LimitMap, MAX_API_KEYS, MAX_LIMIT, MAX_NAMES, MAX_USERS, Names, Overrides,
    },
};

/// Reads a list of names; the order does not matter, a repetition is a mistake.
pub(super) fn names(fields: &mut Fields, pointer: &str, written: &[String]) -> Names {
    let mut names = Names::new();
    if written.len() > MAX_NAMES {
        fields.refuse(pointer, format!("give at most {MAX_NAMES} names"));
        return names;
    }
    for (index, text) in written.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        if let Some(name) = fields.parse::<EntitlementName>(&pointer, text)
            && !names.insert(name)
        {
            fields.refuse(pointer, format!("{text} is given twice"));
        }
    }
    names
}

/// Reads one limit.
pub(super) fn limit(
    fields: &mut Fields,
    pointer: &str,
    name: &str,
    value: u64,
) -> Option<(EntitlementName, u64)> {
    let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
    let name: EntitlementName = fields.parse(&pointer, name)?;
    if value > MAX_LIMIT {
        fields.refuse(pointer, format!("use at most {MAX_LIMIT}"));
        return None;
    }
    Some((name, value))
}

/// Refuses limits that a plan has as fields of their own.
pub(super) fn refuse_own_limits(fields: &mut Fields, limits: &LimitMap) {
    for own in [MAX_USERS, MAX_API_KEYS] {
        if limits.contains_key(own) {
            fields.refuse(format!("/limits/{own}"), format!("give it as the plan's field {own}"));
        }
    }
}

fn limits(fields: &mut Fields, pointer: &str, written: &BTreeMap<String, u64>) -> LimitMap {
    if written.len() > MAX_NAMES {
        fields.refuse(pointer, format!("give at most {MAX_NAMES} limits"));
        return LimitMap::new();
    }
    written.iter().filter_map(|(name, value)| limit(fields, pointer, name, *value)).collect()
}

/// Reads the limits of a plan.
pub(super) fn plan_limits(fields: &mut Fields, written: &BTreeMap<String, u64>) -> LimitMap {
    let limits = limits(fields, "/limits", written);
    refuse_own_limits(fields, &limits);
    limits
}

/// Reads how a license differs from its plan.
pub(super) fn overrides(fields: &mut Fields, written: &Differences) -> Overrides {
    let at = |field: &str| format!("/overrides/{field}");
    let overrides = Overrides {
        products_added: names(fields, &at("productsAdded"), &written.products_added),
        products_removed: names(fields, &at("productsRemoved"), &written.products_removed),
        features_added: names(fields, &at("featuresAdded"), &written.features_added),
        features_removed: names(fields, &at("featuresRemoved"), &written.features_removed),
        limits: limits(fields, &at("limits"), &written.limits),
    };
    for (added, removed, field) in [
        (&overrides.products_added, &overrides.products_removed, "productsRemoved"),
        (&overrides.features_added, &overrides.features_removed, "featuresRemoved"),
    ] {
        for name in added.intersection(removed) {
            fields.refuse(at(field), format!("{} is both added and removed", name.as_str()));
        }
    }
    if let Some(keys) = overrides.limits.get(MAX_API_KEYS)
        && !(1..=u64::from(MOST_API_KEYS)).contains(keys)
    {
        fields.refuse(at("limits/maxApiKeys"), format!("use 1 to {MOST_API_KEYS}"));
    }
    overrides
}

/// How a license differs from its plan, as it is shown.
#[must_use]
pub fn written(overrides: &Overrides) -> Differences {
    Differences {
        products_added: list(&overrides.products_added),
        products_removed: list(&overrides.products_removed),
        features_added: list(&overrides.features_added),
        features_removed: list(&overrides.features_removed),
        limits: map(&overrides.limits),
    }
}

/// Names as a list.
#[must_use]
pub fn list(names: &Names) -> Vec<String> {
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

/// Limits as a plain map.
#[must_use]
pub fn map(limits: &LimitMap) -> BTreeMap<String, u64> {
    limits.iter().map(|(name, value)| (name.as_str().to_owned(), *value)).collect()
}
