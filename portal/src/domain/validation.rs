//! What a tenant app may ask about its license, and what it is answered. Pure.
//!
//! The order of the checks is part of the contract (docs/licenses.md): the first that fails names
//! the code.

use freehold_protocol::time::Timestamp;

use super::{
    entitlement::Entitlement,
    license::{ExpiryRule, LicenseStatus, Standing},
    spelled,
};

spelled! {
    /// What a question about a license is answered with. Closed: apps may match on all of them.
    ValidationCode, "validation code" {
        /// Yes.
        Valid = "VALID",
        /// Yes, though the license has expired: its plan lets it work on.
        InGrace = "IN_GRACE",
        /// The license key is mistyped or cut off.
        KeyMalformed = "KEY_MALFORMED",
        /// There is no license with this key.
        NotFound = "NOT_FOUND",
        /// The license is another customer's than the API key's tenant.
        KeyMismatch = "KEY_MISMATCH",
        /// The license is not this organization's.
        OrganizationMismatch = "ORGANIZATION_MISMATCH",
        /// The license is revoked.
        Revoked = "REVOKED",
        /// The license is suspended.
        Suspended = "SUSPENDED",
        /// The license has expired, and its grace is over.
        Expired = "EXPIRED",
        /// The license lacks the feature.
        FeatureNotLicensed = "FEATURE_NOT_LICENSED",
        /// The action begins like one that is judged, but is none.
        ActionUnknown = "ACTION_UNKNOWN",
        /// The license lacks the product.
        ProductNotLicensed = "PRODUCT_NOT_LICENSED",
        /// The license allows less.
        LimitExceeded = "LIMIT_EXCEEDED",
    }
}

impl ValidationCode {
    /// Whether the answer is yes.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Valid | Self::InGrace)
    }

    /// Whether the license itself is good, whatever was asked about it: then a lease goes along.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(
            self,
            Self::Valid
                | Self::InGrace
                | Self::FeatureNotLicensed
                | Self::ActionUnknown
                | Self::ProductNotLicensed
                | Self::LimitExceeded
        )
    }

    /// Whether it may have been a guess at somebody else's license: such answers are limited.
    #[must_use]
    pub const fn is_guess(self) -> bool {
        matches!(self, Self::NotFound | Self::KeyMismatch | Self::OrganizationMismatch)
    }

    /// Whether the license is the asker's own, so that the answer may describe it.
    #[must_use]
    pub const fn is_ones_own(self) -> bool {
        !matches!(
            self,
            Self::KeyMalformed | Self::NotFound | Self::KeyMismatch | Self::OrganizationMismatch
        )
    }

    /// The reason for people. Plain ASCII without quotes: it stands in JSON as it is.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::Valid => return None,
            Self::InGrace => "the license has expired and works on for a time; renew it",
            Self::KeyMalformed => "the license key is mistyped or cut off",
            Self::NotFound => "there is no license with this key",
            Self::KeyMismatch => "the license belongs to another customer than this API key",
            Self::OrganizationMismatch => "the license does not belong to this organization",
            Self::Revoked => "the license was revoked",
            Self::Suspended => "the license is suspended",
            Self::Expired => "the license has expired",
            Self::FeatureNotLicensed => "the license does not include this feature",
            Self::ActionUnknown => "the action is neither product:NAME nor limit:NAME:COUNT",
            Self::ProductNotLicensed => "the license does not include this product",
            Self::LimitExceeded => "the license allows less of this",
        })
    }
}

/// What an action asks. A word without a colon is the app's own affair and is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Nothing that is judged.
    Unjudged,
    /// `product:NAME`: whether the license includes a product.
    Product(&'a str),
    /// `limit:NAME:COUNT`: whether the app may have this many.
    Limit {
        /// The limit.
        name: &'a str,
        /// How many there would be.
        count: u64,
    },
    /// Something with a colon that is neither.
    Unknown,
}

impl<'a> Action<'a> {
    /// Reads an action.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let Some((kind, rest)) = text.split_once(':') else { return Self::Unjudged };
        match (kind, rest.rsplit_once(':')) {
            ("product", None) if !rest.is_empty() => Self::Product(rest),
            ("limit", Some((name, count)))
                if !name.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                count.parse().map_or(Self::Unknown, |count| Self::Limit { name, count })
            }
            _ => Self::Unknown,
        }
    }
}

/// What is asked about a license beyond whether it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Question<'a> {
    /// A feature that it must include.
    pub feature: Option<&'a str>,
    /// See [`Action`].
    pub action: Option<&'a str>,
}

/// What a license is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// Its status as noted.
    pub status: LicenseStatus,
    /// Its end.
    pub expires_at: Option<Timestamp>,
    /// Its plan's rule about the end.
    pub rule: ExpiryRule,
    /// What it entitles to.
    pub gives: &'a Entitlement,
}

/// Answers a question about a license that is the asker's own.
#[must_use]
pub fn judge(held: &Held<'_>, question: &Question<'_>, now: Timestamp) -> ValidationCode {
    let good = match held.rule.judge(held.status, held.expires_at, now) {
        Standing::Revoked => return ValidationCode::Revoked,
        Standing::Suspended => return ValidationCode::Suspended,
        Standing::Expired => return ValidationCode::Expired,
        Standing::InGrace { .. } => ValidationCode::InGrace,
        Standing::Valid => ValidationCode::Valid,
    };
    let gives = held.gives;
    // An empty text asks nothing: apps send one where others leave the field out.
    if question.feature.is_some_and(|name| !name.is_empty() && !gives.features.contains(name)) {
        return ValidationCode::FeatureNotLicensed;
    }
    match Action::read(question.action.unwrap_or_default()) {
        Action::Unjudged => good,
        Action::Unknown => ValidationCode::ActionUnknown,
        Action::Product(name) if !gives.products.contains(name) => {
            ValidationCode::ProductNotLicensed
        }
        Action::Limit { name, count }
            if gives.limits.get(name).is_some_and(|most| count > *most) =>
        {
            ValidationCode::LimitExceeded
        }
        Action::Product(_) | Action::Limit { .. } => good,
    }
}

#[cfg(test)]
mod tests {
    use super::{ValidationCode as C, *};
    use crate::domain::license::ExpiryStrategy;

    #[test]
    fn actions_are_read_by_a_closed_grammar() {
        for (text, action) in [
            ("", Action::Unjudged),
            ("read", Action::Unjudged),
            ("product:ats", Action::Product("ats")),
            ("limit:maxUsers:5", Action::Limit { name: "maxUsers", count: 5 }),
            ("limit:a.b:0", Action::Limit { name: "a.b", count: 0 }),
            ("product:", Action::Unknown),
            ("product:a:b", Action::Unknown),
            ("limit:maxUsers", Action::Unknown),
            ("limit::5", Action::Unknown),
            ("limit:a:", Action::Unknown),
            ("limit:a:-1", Action::Unknown),
            ("limit:a:+1", Action::Unknown),
            ("limit:a:99999999999999999999", Action::Unknown),
            ("Product:ats", Action::Unknown),
            ("other:x", Action::Unknown),
        ] {
            assert_eq!(Action::read(text), action, "{text}");
        }
    }

    #[test]
    fn the_first_check_that_fails_names_the_code() {
        let gives = Entitlement {
            products: ["ats".parse().unwrap()].into(),
            features: ["export".parse().unwrap()].into(),
            limits: [("seats".parse().unwrap(), 5)].into(),
        };
        let end = Timestamp::from_millis(1000);
        let judge = |status, rule, at, feature, action| {
            let held = Held { status, expires_at: Some(end), rule, gives: &gives };
            let question = Question { feature: Some(feature), action: Some(action) };
            judge(&held, &question, Timestamp::from_millis(at))
        };
        let grace = ExpiryRule { strategy: ExpiryStrategy::Grace, grace_days: 1 };
        let restrict = ExpiryRule { strategy: ExpiryStrategy::Restrict, grace_days: 0 };
        let active = LicenseStatus::Active;
        for (status, rule, at, feature, action, code) in [
            (active, restrict, 0, "", "", C::Valid),
            (LicenseStatus::PendingDeployment, restrict, 0, "", "", C::Valid),
            (active, restrict, 0, "export", "read", C::Valid),
            (active, restrict, 0, "export", "limit:seats:5", C::Valid),
            (active, restrict, 0, "", "limit:unheard-of:1000000", C::Valid),
            (active, restrict, 0, "", "product:ats", C::Valid),
            (active, grace, 1000, "export", "limit:seats:5", C::InGrace),
            (active, restrict, 1000, "none", "x:y", C::Expired),
            (LicenseStatus::Suspended, grace, 1000, "none", "x:y", C::Suspended),
            (LicenseStatus::Revoked, grace, 1000, "none", "x:y", C::Revoked),
            (active, restrict, 0, "none", "x:y", C::FeatureNotLicensed),
            (active, restrict, 0, "Export", "", C::FeatureNotLicensed),
            (active, restrict, 0, "export", "x:y", C::ActionUnknown),
            (active, restrict, 0, "export", "product:crm", C::ProductNotLicensed),
            (active, grace, 1000, "export", "limit:seats:6", C::LimitExceeded),
        ] {
            assert_eq!(judge(status, rule, at, feature, action), code, "{feature} {action} {at}");
        }
    }

    #[test]
    fn answers_describe_a_license_only_to_its_own_and_reasons_need_no_escaping() {
        for code in C::ALL {
            assert!(!code.is_valid() || code.is_usable(), "{code}");
            assert!(!code.is_usable() || code.is_ones_own(), "{code}");
            assert_eq!(code.reason().is_none(), *code == C::Valid, "{code}");
            let reason = code.reason().unwrap_or_default();
            assert!(reason.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\'));
        }
    }
}
