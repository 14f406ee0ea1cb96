//! Whether two callers are one person, as far as the portal can tell.

/// Who stands behind a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The caller's identifier, then that of whoever made it (a token is made by a user or by another token),
    /// and so on.
    line: Vec<String>,
    /// The user at the end of the line; none when the first of its tokens was made by the portal itself.
    user: Option<String>,
}

impl Person {
    /// A user in a session, or a user by identifier.
    #[must_use]
    pub fn user(id: String) -> Self {
        Self { line: vec![id.clone()], user: Some(id) }
    }

    /// A token with the tokens before it, itself first, and the user that has made the first of them.
    #[must_use]
    pub fn token(tokens: Vec<String>, user: Option<String>) -> Self {
        let mut line = tokens;
        line.extend(user.clone());
        Self { line, user }
    }

    /// Whether both are one person: the same user stands behind them, or one of them has made the other.
    /// Two tokens that a token without a user has made count as two persons: such a token is what the
    /// first start prints, and with it one makes a token for each colleague.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let made = |old: &Self, new: &Self| {
            old.line.first().is_some_and(|id| new.line.iter().any(|one| one == id))
        };
        (self.user.is_some() && self.user == other.user) || made(self, other) || made(other, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(line: &[&str], user: Option<&str>) -> Person {
        Person::token(line.iter().map(ToString::to_string).collect(), user.map(str::to_owned))
    }

    #[test]
    fn who_counts_as_one_person() {
        let anna = Person::user("anna".into());
        let bob = Person::user("bob".into());
        let hers = token(&["t1"], Some("anna"));
        let hers_by_hers = token(&["t2", "t1"], Some("anna"));
        let first = token(&["first"], None);
        let (one, two) = (token(&["x", "first"], None), token(&["y", "first"], None));
        let below = token(&["z", "x", "first"], None);
        for (a, b, same) in [
            (&anna, &anna, true),
            (&anna, &bob, false),
            (&anna, &hers, true),
            (&hers_by_hers, &hers, true),
            (&hers_by_hers, &anna, true),
            (&bob, &hers, false),
            (&first, &first, true),
            (&first, &one, true),
            (&one, &two, false),
            (&one, &below, true),
            (&two, &below, false),
            (&first, &below, true),
            (&first, &anna, false),
        ] {
            assert_eq!(a.is(b), same, "{a:?} {b:?}");
            assert_eq!(b.is(a), same, "{b:?} {a:?}");
        }
    }
}
