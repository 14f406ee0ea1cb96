//! What a license entitles to: products, features and limits, as a plan gives them and as a license
//! changes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use freehold_protocol::ids::ParseIdError;
use serde::{Deserialize, Serialize};

/// Most names in one set of products, features or limits.
pub const MAX_NAMES: usize = 256;
/// Longest name, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Largest limit: what every language's floating numbers still count exactly.
pub const MAX_LIMIT: u64 = 9_007_199_254_740_991;
/// The limit that a plan has as `maxUsers`.
pub const MAX_USERS: &str = "maxUsers";
/// The limit that a plan has as `maxApiKeys`.
pub const MAX_API_KEYS: &str = "maxApiKeys";

/// The name of a product, a feature or a limit, as the tenant app spells it: 1–64 letters, digits
/// and `. _ -`, starting with a letter. Upper and lower case differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntitlementName(String);

impl EntitlementName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for EntitlementName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntitlementName {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let ok = (1..=MAX_NAME_CHARS).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !ok {
            return Err(ParseIdError::new(
                "name of a product, feature or limit",
                "use 1 to 64 letters, digits and . _ -, starting with a letter, for example reports.export",
                text,
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for EntitlementName {
    type Error = ParseIdError;
    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<EntitlementName> for String {
    fn from(name: EntitlementName) -> String {
        name.0
    }
}

/// A set of names.
pub type Names = BTreeSet<EntitlementName>;
/// Limits by name.
pub type LimitMap = BTreeMap<EntitlementName, u64>;

/// What somebody may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entitlement {
    /// Products.
    pub products: Names,
    /// Features.
    pub features: Names,
    /// Limits. What is not named here is not limited.
    pub limits: LimitMap,
}

/// How one license differs from its plan. It is kept apart from the plan, so that a change of the
/// plan reaches every license of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Overrides {
    /// Products beyond the plan's.
    pub products_added: Names,
    /// Products of the plan that this license lacks.
    pub products_removed: Names,
    /// Features beyond the plan's.
    pub features_added: Names,
    /// Features of the plan that this license lacks.
    pub features_removed: Names,
    /// Limits instead of the plan's, or beyond them.
    pub limits: LimitMap,
}

impl Overrides {
    /// The plan's entitlement with this license's differences.
    #[must_use]
    pub fn apply(&self, plan: &Entitlement) -> Entitlement {
        let set = |of: &Names, added: &Names, removed: &Names| {
            of.union(added).filter(|name| !removed.contains(*name)).cloned().collect()
        };
        let mut limits = plan.limits.clone();
        limits.extend(self.limits.iter().map(|(name, value)| (name.clone(), *value)));
        Entitlement {
            products: set(&plan.products, &self.products_added, &self.products_removed),
            features: set(&plan.features, &self.features_added, &self.features_removed),
            limits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Names {
        of.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn names_of_products_features_and_limits() {
        let long = "a".repeat(65);
        for good in ["a", "maxUsers", "reports.export", "sso-saml", "A_1", &long[..64]] {
            assert_eq!(good.parse::<EntitlementName>().unwrap().as_str(), good);
        }
        for bad in ["", "1a", ".a", "a b", "a:b", "a\n", "ä", "a/b", "a\"", &long] {
            assert!(bad.parse::<EntitlementName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_license_differs_from_its_plan_only_as_it_says() {
        let plan = Entitlement {
            products: names(&["ats"]),
            features: names(&["export", "sso"]),
            limits: [("maxUsers".parse().unwrap(), 10), ("jobs".parse().unwrap(), 5)].into(),
        };
        assert_eq!(Overrides::default().apply(&plan), plan);
        let overrides = Overrides {
            products_added: names(&["payroll"]),
            features_added: names(&["api", "sso"]),
            features_removed: names(&["export", "none-such"]),
            limits: [("maxUsers".parse().unwrap(), 50), ("storage".parse().unwrap(), 1)].into(),
            ..Overrides::default()
        };
        let mine = overrides.apply(&plan);
        assert_eq!(mine.products, names(&["ats", "payroll"]));
        assert_eq!(mine.features, names(&["api", "sso"]));
        let limits: Vec<_> = mine.limits.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        assert_eq!(limits, [("jobs", 5), ("maxUsers", 50), ("storage", 1)]);
    }
}
